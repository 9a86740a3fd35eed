//! Orders about one VM.

use super::ground::{Ground, NODES};
use super::trial::Trial;
use control::backend::{Command, Refused};
use model::id::{KeyId, NodeId, VmId};
use model::order::{Passage, Scale, Shutdown, Storage, Verb};
use model::report::VmState;

const FORCED: Verb = Verb::Stop {
    shutdown: Shutdown::Forced,
};

/// Under each hypervisor a VM does what that can do, and what it cannot is refused.
pub fn orders_do_what_their_hypervisors_can<G: Ground>(trial: &mut Trial<G>) {
    for hypervisor in &NODES[1..] {
        let (vm, _) = trial.vm_under(hypervisor);
        let does = |trial: &mut Trial<G>, verb: Verb, state: VmState| {
            let said = tried(trial, vm, verb.clone());
            assert_eq!(said, Some(Ok(())), "{hypervisor}: {}", verb.word());
            trial.comes_to(vm, state);
        };
        does(trial, Verb::Pause, VmState::Paused);
        does(trial, Verb::Resume, VmState::Running);
        does(trial, Verb::ReportStatistics, VmState::Running);
        keeps_instants(trial, vm, hypervisor);
        does(trial, Verb::Reboot, VmState::Running);
        does(trial, FORCED, VmState::Stopped);
        is_still(trial, vm, hypervisor);
        does(trial, Verb::Start, VmState::Running);
    }
}

/// What came of an order; `None`: it was refused, as the hypervisor cannot do it.
fn tried<G: Ground>(trial: &mut Trial<G>, vm: VmId, verb: Verb) -> Option<Result<(), String>> {
    let view = trial.view();
    let mut nodes = view.grid.node_ids();
    let is_there = |node: &NodeId| view.nodes[node.index()].vms.iter().any(|of| of.id == vm);
    let node = nodes.find(is_there).expect("it is on a node");
    let can = &view.grid.hypervisor_of(node).capabilities;
    let is_able = verb.needs().is_none_or(|needs| can.contains(&needs));
    let command = Command::Vm { vm, verb };
    if is_able {
        return Some(trial.ended(&command));
    }
    let why = trial.refused(&command);
    assert!(matches!(why, Refused::Illegal { .. }), "{why:?}");
    None
}

/// An instant is kept, gone back to and dropped; or, where disks of this kind have none, each of these is said
/// to be impossible, and the VM runs on.
fn keeps_instants<G: Ground>(trial: &mut Trial<G>, vm: VmId, hypervisor: &str) {
    let name = || "first".to_owned();
    let kept = tried(trial, vm, Verb::Snapshot { name: name() });
    let is_kept = |said: &Option<Result<(), String>>| matches!(said, Some(Ok(())));
    for verb in [
        Verb::Restore { name: name() },
        Verb::DropSnapshot { name: name() },
    ] {
        let word = verb.word();
        let said = tried(trial, vm, verb);
        assert_eq!(
            is_kept(&said),
            is_kept(&kept),
            "{hypervisor}: {word}: {said:?}"
        );
    }
    trial.comes_to(vm, VmState::Running);
}

/// What only a running VM does fails for one that is stopped, which stays so.
fn is_still<G: Ground>(trial: &mut Trial<G>, vm: VmId, hypervisor: &str) {
    for verb in [Verb::Pause, Verb::Resume] {
        let word = verb.word();
        let said = trial.ended(&Command::Vm { vm, verb });
        assert!(said.is_err(), "{hypervisor}: {word} a stopped VM");
        let seen = trial.seen(vm).map(|(_, state)| state);
        assert_eq!(seen, Some(VmState::Stopped), "{hypervisor}: {word}");
    }
}

/// What takes orders to several nodes is no order for whoever asks, and nothing outgrows its node.
pub fn what_is_no_order_of_one_is_refused<G: Ground>(trial: &mut Trial<G>) {
    let (vm, _) = trial.vm_under("qemu-tcg");
    let migrate = Verb::Migrate {
        to: NodeId(1),
        address: "198.51.100.1:1".to_owned(),
        storage: Storage::Local,
        key: KeyId(1),
        passage: Passage::Live,
    };
    let lend = Verb::Lend {
        volume: "all".to_owned(),
        size_mib: 1,
        key: KeyId(1),
    };
    for verb in [migrate, lend] {
        let why = trial.refused(&Command::Vm { vm, verb });
        assert!(matches!(why, Refused::Illegal { .. }), "{why:?}");
    }
    for scale in [
        Scale::Cpu { cpus: 4_000 },
        Scale::Cpu { cpus: u32::MAX },
        Scale::Mem { mem_mib: u32::MAX },
        Scale::Disk {
            disk: "none".to_owned(),
            size_mib: u64::MAX,
        },
    ] {
        let verb = Verb::Scale { scale };
        let why = trial.refused(&Command::Vm { vm, verb });
        assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    }
}
