//! A VM is handed over and something dies: a driver, a QEMU or the way between, at every call of the
//! end of a move. No two copies ever run, and one always does in the end.

use super::between::{Between, Way};
use super::migration::{HOST, goes_on, guest, receive};
use super::node::{Node, PATIENCE};
use crate::guest::wait_for;
use agent::driver::{Act, DriverError, NativeCall};
use agent::machine::Machine;
use agent::watch::{CalledOff, Unwatched, Watch};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Storage};
use model::report::VmState;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const VM: VmId = VmId(1);

/// Does something before one of the calls of an act, by its number from 0, and knows what it was.
struct At<'a> {
    number: usize,
    seen: AtomicUsize,
    reached: Mutex<Option<String>>,
    act: &'a (dyn Fn() + Sync),
}

impl<'a> At<'a> {
    fn call(number: usize, act: &'a (dyn Fn() + Sync)) -> Self {
        Self {
            number,
            seen: AtomicUsize::new(0),
            reached: Mutex::default(),
            act,
        }
    }

    /// The call; `None`: the act ended before.
    fn reached(&self) -> Option<String> {
        self.reached.lock().expect("nobody panics here").clone()
    }

    fn why(&self) -> String {
        format!("at call {}, {:?}", self.number, self.reached())
    }
}

/// The calls of a move on shared disks: the one that begins to copy, the one by which the guest stands
/// still, and the one that says the word; the way may break before any of them.
const COPIES: usize = 5;
const HALTS: usize = 8;
const SAYS: usize = 12;
/// The last call.
const LAST: usize = 14;

/// The calls that a test disturbs: some that differ, or with `GRIDWRIGHT_ALL_POINTS` all from the
/// first of them, and one beyond the last.
fn calls(some: &[usize]) -> Vec<usize> {
    match std::env::var("GRIDWRIGHT_ALL_POINTS") {
        Ok(_) => (some[0]..=LAST + 1).collect(),
        Err(_) => some.to_vec(),
    }
}

impl Watch for At<'_> {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        if self.seen.fetch_add(1, Ordering::Relaxed) == self.number {
            *self.reached.lock().expect("nobody panics here") = Some(call.call.clone());
            (self.act)();
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// Two nodes that see the same disk, and a guest that counts, on the first of them.
struct Pair {
    nodes: [Node; 2],
    machine: Machine,
    keys: u64,
}

impl Pair {
    fn new() -> Self {
        let nodes = [Node::new(), Node::new()];
        let machine = guest(&nodes[0], VM, "ticker");
        nodes[0].boot(machine.clone());
        Self {
            nodes,
            machine,
            keys: 0,
        }
    }

    /// The other node listens; this is what the first is to do.
    fn send(&mut self) -> Act {
        self.keys += 1;
        let (storage, key) = (Storage::Shared, KeyId(self.keys));
        let address = receive(&self.nodes[1], self.machine.clone(), storage, key);
        Act::Send {
            address,
            storage,
            key,
        }
    }

    fn runs(&self) -> [bool; 2] {
        [0, 1].map(|node| self.nodes[node].state(VM) == Some(VmState::Running))
    }

    fn check(&self, why: &str) {
        assert_ne!(self.runs(), [true, true], "{why}");
    }

    /// However it ended: one node runs the VM or can start it, and it counts there; then it is brought
    /// back to where it began, by the first node.
    fn settle(&mut self, why: &str) {
        self.check(why);
        let here = self.nodes[0].try_perform(VM, &Act::Start);
        if here.is_ok() {
            let there = self.nodes[1].try_perform(VM, &Act::Start);
            assert!(there.is_err(), "both would start it, {why}");
            self.nodes[1].perform(VM, &Act::Destroy);
            goes_on(&self.nodes[0], VM, why);
            return;
        }
        self.nodes[1].perform(VM, &Act::Start);
        goes_on(&self.nodes[1], VM, why);
        self.nodes[0].perform(VM, &Act::Destroy);
        self.nodes.swap(0, 1);
    }
}

fn kill_qemu(node: &Node) {
    let pid = std::fs::read_to_string(node.path("vms/vm-1/pid")).unwrap_or_default();
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-9", pid.trim()]).status();
}

/// The driver of the sender dies before any call of a move; the next one, asked again, comes to an
/// end: the VM runs there, or goes on here.
#[test]
fn a_killed_sender_hands_over_once() {
    let mut pair = Pair::new();
    for number in calls(&[0, COPIES + 1, HALTS, SAYS - 1, SAYS, LAST]) {
        let send = pair.send();
        let died = || std::panic::resume_unwind(Box::new("killed"));
        let watch = At::call(number, &died);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            pair.nodes[0].watched(VM, &send, &watch)
        }));
        let why = watch.why();
        assert_eq!(ended.is_ok(), number > LAST, "{why}");
        pair.check(&why);
        pair.nodes[0].restart();
        pair.check(&why);
        match pair.nodes[0].try_perform(VM, &send) {
            Ok(_) => assert_eq!(pair.runs(), [false, true], "{why}"),
            // A copy that was under way is not taken up again.
            Err(error) => {
                assert!(number < SAYS - 1, "{why}: {error}");
                assert_eq!(pair.runs(), [true, false], "{why}: {error}");
            }
        }
        pair.settle(&why);
    }
}

/// Whichever QEMU is killed before whichever call of a move: one node has the VM, and it runs there
/// or can be started.
#[test]
fn a_killed_qemu_leaves_one_owner() {
    let mut pair = Pair::new();
    for victim in [0, 1] {
        for number in calls(&[COPIES, HALTS, SAYS, SAYS + 1]) {
            let send = pair.send();
            let kill = || kill_qemu(&pair.nodes[victim]);
            let watch = At::call(number, &kill);
            let ended = pair.nodes[0].watched(VM, &send, &watch);
            let why = watch.why();
            if matches!(ended, Err(DriverError::Unfinished { .. })) {
                // As an agent does.
                let again = pair.nodes[0].try_perform(VM, &send);
                assert!(
                    !matches!(again, Err(DriverError::Unfinished { .. })),
                    "{why}"
                );
            }
            pair.settle(&why);
        }
    }
}

/// The receiver's driver is away when the word is said: the sender says it again, and the next
/// driver hears it, though it was never told the key.
#[test]
fn the_next_receiver_hears_the_word() {
    let mut pair = Pair::new();
    let send = pair.send();
    let away = || pair.nodes[1].end();
    let watch = At::call(SAYS, &away);
    let ended = pair.nodes[0].watched(VM, &send, &watch);
    assert!(
        matches!(ended, Err(DriverError::Unfinished { .. })),
        "{ended:?}"
    );
    assert_eq!(pair.runs(), [false, false]);
    assert!(pair.nodes[0].try_perform(VM, &Act::Start).is_err());
    let again = pair.nodes[0].try_perform(VM, &send);
    assert!(
        matches!(again, Err(DriverError::Unfinished { .. })),
        "{again:?}"
    );
    pair.nodes[1].restart();
    wait_for("the word to be heard", PATIENCE, || {
        pair.nodes[0].try_perform(VM, &send).ok()
    });
    assert_eq!(pair.runs(), [false, true]);
    pair.settle("the next receiver has heard");
}

/// The order to receive is called off between the last byte and the word: the sender hears that the
/// VM was dropped, and it goes on where it was.
#[test]
fn what_is_dropped_is_taken_back() {
    let mut pair = Pair::new();
    let send = pair.send();
    let forget = || drop(pair.nodes[1].perform(VM, &Act::Destroy));
    let watch = At::call(SAYS, &forget);
    let ended = pair.nodes[0]
        .watched(VM, &send, &watch)
        .expect_err("dropped");
    assert!(ended.to_string().contains("dropped the VM"), "{ended}");
    assert_eq!(pair.runs(), [true, false]);
    goes_on(&pair.nodes[0], VM, "it was dropped over there");
    let send = pair.send();
    pair.nodes[0].perform(VM, &send);
    pair.settle("sent anew");
}

/// The way breaks, before whichever call of a move, or swallows the answer to the word: nothing runs
/// twice, and the guest goes on, by itself or by the word once the way is whole.
#[test]
fn a_broken_way_stops_nobody_for_ever() {
    let mut pair = Pair::new();
    let cuts = [COPIES, HALTS, SAYS].map(|number| (Way::Cut, number));
    for (broken, number) in cuts.into_iter().chain([(Way::Unanswered, SAYS)]) {
        let Act::Send {
            address,
            storage,
            key,
        } = pair.send()
        else {
            unreachable!("it is a send")
        };
        let (between, address) = Between::put(&address);
        let send = Act::Send {
            address,
            storage,
            key,
        };
        let breaks = || between.set(broken);
        let watch = At::call(number, &breaks);
        let ended = pair.nodes[0].watched(VM, &send, &watch);
        let why = watch.why();
        let says = watch
            .reached()
            .is_some_and(|call| call.contains("say that"));
        assert_eq!(says, number == SAYS, "{why}");
        pair.check(&why);
        between.set(Way::Open);
        if matches!(ended, Err(DriverError::Unfinished { .. })) {
            assert!(!pair.runs()[0], "{why}: given away");
            let again = pair.nodes[0].watched(VM, &send, &Unwatched);
            assert!(again.is_ok(), "{why}: {again:?}");
            assert_eq!(pair.runs(), [false, true], "{why}");
        } else if ended.is_err() {
            wait_for("the guest to go on", PATIENCE, || {
                (pair.runs() == [true, false]).then_some(())
            });
        }
        pair.settle(&why);
    }
}

/// Nobody comes in place of the sender: without the key there is neither a TLS connection to QEMU nor
/// an answer to a word.
#[test]
fn a_stranger_is_not_let_in() {
    let mut pair = Pair::new();
    let Act::Send {
        address, storage, ..
    } = pair.send()
    else {
        unreachable!("it is a send")
    };
    let other = Act::Send {
        address: address.clone(),
        storage,
        key: KeyId(99),
    };
    let refused = pair.nodes[0].try_perform(VM, &other);
    assert!(
        matches!(refused, Err(DriverError::Hypervisor { .. })),
        "{refused:?}"
    );
    goes_on(&pair.nodes[0], VM, "its key is another");
    assert_eq!(pair.nodes[1].state(VM), Some(VmState::Migrating));
    let door = address.split("word=").nth(1).expect("a port");
    let port: u16 = door
        .split(',')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    for said in [
        "{\"run\":\"00\"}\n",
        "nonsense\n",
        "{\"run\":\"../machine\"}\n",
    ] {
        let mut stream = TcpStream::connect((HOST, port)).expect("it listens");
        stream.write_all(said.as_bytes()).expect("it hears");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("a stream");
        let mut answer = String::new();
        // A line that is none is answered by hanging up.
        let _ = stream.read_to_string(&mut answer);
        assert!(!answer.contains("taken"), "{said:?}: {answer}");
        assert_eq!(pair.nodes[1].state(VM), Some(VmState::Migrating), "{said}");
    }
    let shutdown = Shutdown::Forced;
    pair.nodes[0].perform(VM, &Act::Stop { shutdown });
    let key = [KeyId(99), KeyId(1)].map(|KeyId(key)| format!("{key:02x}").repeat(32));
    for node in &pair.nodes {
        for entry in walk(&node.path("vms")) {
            let text =
                String::from_utf8_lossy(&std::fs::read(&entry).unwrap_or_default()).into_owned();
            assert!(
                !key.iter().any(|key| text.contains(key)),
                "{}",
                entry.display()
            );
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => files.extend(walk(&entry.path())),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}
