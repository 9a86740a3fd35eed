//! A VM that stands still goes from one agent to another, whatever runs it and whoever dies.

use super::killed::Trial;
use super::kind::Kind;
use super::node::Node;
use super::order::{End, Move};
use super::pair::Pair;
use crate::planted::{held, is_holed, plant};
use model::order::{Passage, Shutdown, Storage, Verb};
use model::report::{Outcome, VmState};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// How a VM that is off moves.
pub const OFF: Passage = Passage::Cold { shutdown: None };

/// How one that runs moves.
pub const SHUT_DOWN: Passage = Passage::Cold {
    shutdown: Some(Shutdown::Forced),
};

/// Puts files of all kinds where a container has its own.
fn fill(kind: Kind, node: &Node) {
    if kind == Kind::Incus {
        plant(&node.container());
    }
}

/// All that a VM's disk or root folder holds on this node, and how much of a disk is no hole, in KiB.
pub fn data(kind: Kind, node: &Node) -> (Vec<u8>, u64) {
    if kind == Kind::Incus {
        assert!(is_holed(&node.container()), "its hole was filled");
        return (held(&node.container()), 0);
    }
    let path = node.root().join("vms/vm-7/root.raw");
    let kib = fs::metadata(&path).expect("a disk").blocks() / 2;
    (fs::read(&path).expect("a disk"), kib)
}

/// One that is off arrives bit by bit, with its holes, and boots there; one that runs is shut down and
/// runs again on its way back; and neither leaves anything behind.
fn goes_there_and_back(kind: Kind) {
    let mut pair = Pair::new(kind);
    pair.create();
    fill(kind, &pair.nodes[0]);
    let (before, kib) = data(kind, &pair.nodes[0]);
    let there = Move::begin(&mut pair, OFF, 1);
    let [home, away] = &mut pair.nodes;
    assert_eq!(there.go(home, away), (Outcome::Done, Outcome::Done));
    assert!(!pair.has(0));
    assert_eq!(pair.state(1), Some(VmState::Stopped));
    let (arrived, arrived_kib) = data(kind, &pair.nodes[1]);
    assert!(arrived == before, "other data have arrived");
    assert!(arrived_kib <= kib, "{kib} KiB became {arrived_kib}");
    pair.order(1, Verb::Start);
    pair.nodes[1].says("GUEST-UP host=web-7");
    let back = Move::begin(&mut pair, SHUT_DOWN, 0);
    let [home, away] = &mut pair.nodes;
    assert_eq!(back.go(away, home), (Outcome::Done, Outcome::Done));
    assert!(!pair.has(1));
    assert_eq!(pair.state(0), Some(VmState::Running));
    pair.nodes[0].says("GUEST-UP host=web-7");
    pair.order(0, Verb::Delete);
    assert!(!pair.has(0) && !pair.has(1));
}

#[test]
fn a_still_vm_of_qemu_goes_there_and_back() {
    goes_there_and_back(Kind::Qemu);
}

#[test]
fn a_still_vm_of_uml_goes_there_and_back() {
    goes_there_and_back(Kind::Uml);
}

#[test]
fn a_container_goes_there_and_back() {
    goes_there_and_back(Kind::Incus);
}

/// Whichever agent is killed, and at whichever of these steps of the sender and of the receiver, one node
/// has the VM in the end with all of its data, and the other has nothing of it.
fn is_never_lost_or_doubled(kind: Kind, steps: [&[&str]; 2]) {
    let mut trial = Trial::new(kind, Storage::Local, OFF);
    fill(kind, trial.home());
    let (before, _) = data(kind, trial.home());
    for (end, steps) in [End::Sender, End::Receiver].into_iter().zip(steps) {
        for step in steps {
            for side in ["before", "after"] {
                trial.kill_at(end, &format!("{side} {step}"));
                let found = data(kind, trial.home()).0;
                assert!(found == before, "{side} {step}: other data");
            }
        }
    }
}

#[test]
fn a_still_vm_is_never_lost_or_doubled() {
    let sender = ["knock for vm 7", "ship vm 7", "cede vm 7", "destroy vm 7"];
    let receiver = ["expect vm 7", "let in vm 7", "define vm 7"];
    is_never_lost_or_doubled(Kind::Uml, [&sender, &receiver]);
}

#[test]
fn a_container_is_never_lost_or_doubled() {
    let sender = ["save-image vm 7", "ship vm 7", "cede vm 7", "destroy vm 7"];
    let receiver = ["let in vm 7", "unpack root", "define vm 7"];
    is_never_lost_or_doubled(Kind::Incus, [&sender, &receiver]);
}

/// One that is shut down for its move runs again where it is in the end, whichever agent is killed.
#[test]
fn a_vm_that_is_shut_down_is_never_lost_or_doubled() {
    let trial = Trial::new(Kind::Uml, Storage::Local, SHUT_DOWN);
    trial.try_points(29, |_, _| {});
}
