//! Moves between two nodes: data, count and downtime, and what is left of a move that fails.

use super::node::{Node, PATIENCE, boot};
use crate::guest::{run, wait_for};
use agent::driver::{Act, DriverError};
use agent::machine::{DiskFormat, Machine};
use agent::watch::{CalledOff, Watch};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Storage};
use model::report::VmState;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

pub const HOST: &str = "127.0.0.1";

/// A guest of 256 MiB whose init does what a word says.
pub fn guest(node: &Node, vm: VmId, word: &str) -> Machine {
    let mut machine = node.machine(vm);
    machine.mem_mib = 256;
    machine.boot = boot(machine.arch, word);
    machine
}

/// What a guest has counted on its console, each with its word before it.
pub fn counted(node: &Node, vm: VmId, word: &str) -> Vec<u64> {
    let console = node.console(vm);
    let whole = console.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let numbers = whole
        .lines()
        .filter_map(|line| line.trim().strip_prefix(word));
    numbers
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

fn ticks(node: &Node, vm: VmId) -> Vec<u64> {
    counted(node, vm, "tick")
}

pub fn wait_ticks(node: &Node, vm: VmId, beyond: u64) -> u64 {
    wait_for(&format!("a tick after {beyond}"), PATIENCE, || {
        let last = ticks(node, vm).last().copied();
        last.filter(|&last| last > beyond)
    })
}

/// That the guest counts on.
pub fn goes_on(node: &Node, vm: VmId, why: &str) {
    assert_eq!(node.state(vm), Some(VmState::Running), "{why}");
    let last = ticks(node, vm).last().copied().unwrap_or(0);
    wait_ticks(node, vm, last + 1);
}

/// Lets a node listen for a VM; gives where.
pub fn receive(to: &Node, machine: Machine, storage: Storage, key: KeyId) -> String {
    let vm = machine.vm;
    let receive = Act::Receive {
        machine: Box::new(machine),
        storage,
        host: HOST.to_owned(),
        key,
    };
    let listening = to.perform(vm, &receive);
    assert_eq!(listening.state, Some(VmState::Migrating));
    listening.listening.expect("an address")
}

/// Moves a VM; gives how long it stood still.
fn migrate(from: &Node, to: &Node, machine: Machine, storage: Storage, key: KeyId) -> u64 {
    let vm = machine.vm;
    let address = receive(to, machine, storage, key);
    let send = Act::Send {
        address,
        storage,
        key,
    };
    let sent = from.perform(vm, &send);
    assert_eq!(to.state(vm), Some(VmState::Running), "once it is sent");
    assert_eq!(sent.state, Some(VmState::Stopped));
    assert_eq!(from.perform(vm, &send), sent, "sent again");
    assert_eq!(from.state(vm), Some(VmState::Stopped));
    let started = from.try_perform(vm, &Act::Start);
    assert!(
        matches!(started, Err(DriverError::Illegal { .. })),
        "a VM that has gone was started: {started:?}"
    );
    sent.downtime_millis.expect("the sender tells the downtime")
}

/// Every tick is on the disk, each in its place, and what lay there before the move.
fn check_disk(machine: &Machine, last: u64) {
    let path = machine.disks[0].path.display().to_string();
    let said = run(Command::new("qemu-io").args(["-r", "-c", "read -P 0xab 32M 16M", &path]));
    assert!(!said.contains("verification failed"), "{said}");
    let raw = format!("{path}.raw");
    run(Command::new("qemu-img").args(["convert", "-O", "raw", &path, &raw]));
    let bytes = fs::read(raw).expect("the disk");
    for tick in 1..=last {
        let sector = &bytes[usize::try_from(tick).expect("few ticks") * 512..][..512];
        let expected = format!("tick {tick}\n");
        assert!(
            sector.starts_with(expected.as_bytes()),
            "tick {tick} of {last} is lost"
        );
    }
}

/// A running VM moves with its own disk, there and back: data verified, the count goes on without
/// repeat or gap, and nothing runs twice.
#[test]
fn moves_with_its_disk() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    let first = guest(&nodes[0], vm, "ticker");
    let path = first.disks[0].path.display().to_string();
    run(Command::new("qemu-io").args(["-c", "write -P 0xab 32M 16M", &path]));
    nodes[0].boot(first);
    for (here, key) in [(0, KeyId(1)), (1, KeyId(2))] {
        let (from, to) = (&nodes[here], &nodes[1 - here]);
        let before = wait_ticks(from, vm, ticks(from, vm).last().copied().unwrap_or(0));
        fs::remove_file(to.path("vm-1-root.qcow2")).ok();
        let machine = guest(to, vm, "ticker");
        migrate(from, to, machine.clone(), Storage::Local, key);
        let (left, after) = (ticks(from, vm), wait_ticks(to, vm, before + 3));
        let arrived = ticks(to, vm);
        let (last_there, first_here) =
            (left.last().expect("ticks"), arrived.first().expect("ticks"));
        assert!(
            (last_there + 1..=last_there + 2).contains(first_here),
            "{last_there} on the one, {first_here} on the other node"
        );
        from.perform(vm, &Act::Destroy);
        if here == 1 {
            // A tick is on the disk once the next one is told.
            wait_ticks(to, vm, after);
            let shutdown = Shutdown::Forced;
            to.perform(vm, &Act::Stop { shutdown });
            check_disk(&machine, after);
        }
    }
}

/// With a disk that both nodes see, only memory moves.
#[test]
fn moves_on_shared_disks() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    let machine = guest(&nodes[0], vm, "ticker");
    let path = machine.disks[0].path.display().to_string();
    run(Command::new("qemu-io").args(["-c", "write -P 0xab 32M 16M", &path]));
    nodes[0].boot(machine.clone());
    let before = wait_ticks(&nodes[0], vm, 1);
    let key = KeyId(1);
    migrate(&nodes[0], &nodes[1], machine.clone(), Storage::Shared, key);
    let after = wait_ticks(&nodes[1], vm, before + 3);
    wait_ticks(&nodes[1], vm, after);
    let shutdown = Shutdown::Forced;
    nodes[1].perform(vm, &Act::Stop { shutdown });
    check_disk(&machine, after);
}

/// Sees the first pulse of a guest on the node that it comes to.
struct Pulse {
    left: PathBuf,
    first: std::thread::JoinHandle<SystemTime>,
}

impl Pulse {
    /// Watches the console of a VM there.
    fn watch(from: &Node, to: &Node, vm: VmId) -> Self {
        let path = |node: &Node| node.path(&format!("vms/vm-{}/console.log", vm.0));
        let (left, arrived) = (path(from), path(to));
        let first = std::thread::spawn(move || {
            let bytes = || fs::metadata(&arrived).map_or(0, |data| data.len());
            let before = bytes();
            while bytes() <= before {
                std::thread::sleep(Duration::from_micros(500));
            }
            SystemTime::now()
        });
        Self { left, first }
    }

    /// For how long nothing came, in milliseconds, from the last pulse on the node that it left: the
    /// kernel has written down when that was, however late anybody looks.
    fn gap_millis(self) -> u64 {
        wait_for("a pulse over there", PATIENCE, || {
            self.first.is_finished().then_some(())
        });
        let first = self.first.join().expect("it does not panic");
        let last = fs::metadata(self.left).and_then(|data| data.modified());
        let gap = first.duration_since(last.expect("a console"));
        u64::try_from(gap.expect("time goes on").as_millis()).expect("a short while")
    }
}

/// What the sender tells of how long its guest stood still counts all of it: the guest's console,
/// watched from outside, misses a beat for a little longer. How short it is tells the benchmark of
/// moves between agents, as it hangs on what else the machine does.
#[test]
fn tells_how_long_it_stood_still() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    for (storage, keys) in [(Storage::Local, [1, 2]), (Storage::Shared, [3, 4])] {
        let shared = guest(&nodes[0], vm, "pulse");
        let on = |node: &Node| match storage {
            Storage::Local => guest(node, vm, "pulse"),
            Storage::Shared => shared.clone(),
        };
        nodes[0].boot(on(&nodes[0]));
        for (here, key) in keys.map(KeyId).into_iter().enumerate() {
            let (from, to) = (&nodes[here], &nodes[1 - here]);
            let pulse = Pulse::watch(from, to, vm);
            let told = migrate(from, to, on(to), storage, key);
            let seen = pulse.gap_millis();
            assert!(told <= seen, "{storage:?}: told {told} ms, seen {seen} ms");
            from.perform(vm, &Act::Destroy);
        }
        nodes[0].perform(vm, &Act::Destroy);
    }
}

/// Calls an act off once it has made a certain call.
struct CalledOffAt(&'static str, AtomicBool);

impl Watch for CalledOffAt {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &agent::driver::NativeCall) {
        if call.call.contains(self.0) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(CalledOff::Cancelled),
            false => Ok(()),
        }
    }
}

/// A move that is called off, or whose other node is gone, leaves the VM running where it was; and it
/// can still move afterwards.
#[test]
fn goes_on_where_a_move_fails() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    nodes[0].boot(guest(&nodes[0], vm, "ticker"));
    let calls = [
        "blockdev-mirror",
        "\"migrate\"",
        "query-migrate",
        "migrate-continue",
    ];
    for (at, key) in calls.into_iter().zip(1..) {
        let (storage, key) = (Storage::Local, KeyId(key));
        let address = receive(&nodes[1], guest(&nodes[1], vm, "ticker"), storage, key);
        let send = Act::Send {
            address,
            storage,
            key,
        };
        let watch = CalledOffAt(at, false.into());
        let ended = nodes[0].watched(vm, &send, &watch);
        assert!(
            matches!(ended, Err(DriverError::CalledOff { .. })),
            "{at}: {ended:?}"
        );
        goes_on(&nodes[0], vm, at);
        assert_eq!(nodes[1].state(vm), Some(VmState::Migrating), "{at}");
        nodes[1].perform(vm, &Act::Destroy);
        let ended = nodes[0].try_perform(vm, &send);
        assert!(
            matches!(ended, Err(DriverError::Hypervisor { .. })),
            "{at}: nobody listens: {ended:?}"
        );
        goes_on(&nodes[0], vm, at);
    }
    fs::remove_file(nodes[1].path("vm-1-root.qcow2")).expect("a disk half written");
    let machine = guest(&nodes[1], vm, "ticker");
    migrate(&nodes[0], &nodes[1], machine, Storage::Local, KeyId(9));
    // One that has come before is no less called off.
    let machine = guest(&nodes[0], vm, "ticker");
    nodes[0].perform(vm, &Act::Destroy);
    let (storage, key) = (Storage::Local, KeyId(10));
    let send = Act::Send {
        address: receive(&nodes[0], machine, storage, key),
        storage,
        key,
    };
    let watch = CalledOffAt("\"migrate\"", false.into());
    let ended = nodes[1].watched(vm, &send, &watch);
    assert!(
        matches!(ended, Err(DriverError::CalledOff { .. })),
        "{ended:?}"
    );
    goes_on(&nodes[1], vm, "it came here");
}

/// A VM with snapshots on its own disk does not leave them behind in silence.
#[test]
fn snapshots_hold_a_vm_back() {
    let node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    assert_eq!(machine.disks[0].format, DiskFormat::Qcow2);
    node.perform(vm, &Act::Define { machine });
    node.perform(vm, &Act::Snapshot { name: "old".into() });
    node.perform(vm, &Act::Start);
    let send = Act::Send {
        address: "127.0.0.1:1,word=2,nbd=3".to_owned(),
        storage: Storage::Local,
        key: KeyId(1),
    };
    let error = node.try_perform(vm, &send).expect_err("a refusal");
    assert!(error.to_string().contains("old"), "{error}");
}
