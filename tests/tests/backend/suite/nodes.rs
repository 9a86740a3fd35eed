//! VMs move, and nodes are closed, emptied and opened.

use super::designs::{component, deploy, design};
use super::ground::Ground;
use super::trial::Trial;
use control::backend::{Command, Refused};
use model::grid::NodeState;
use model::id::{NodeId, VmId};
use model::report::VmState;

/// A VM moves to the other node of its hypervisor, by name or as the grid chooses; where there is none it
/// stays.
pub fn vms_move_within_their_hypervisor<G: Ground>(trial: &mut Trial<G>) {
    let (vm, from) = trial.vm_under("qemu-tcg");
    let to = NodeId(1 - from.0);
    let moved = |to| Command::Move { vm, to };
    let why = trial.refused(&moved(Some(from)));
    assert!(matches!(why, Refused::Illegal { .. }), "{why:?}");
    let node = NodeId(77);
    let why = trial.refused(&moved(Some(node)));
    assert_eq!(why, Refused::UnknownNode { node });
    let why = trial.refused(&moved(Some(NodeId(2))));
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    trial.done(&moved(Some(to)));
    is_on(trial, vm, to);
    for hypervisor in ["uml", "incus"] {
        let (vm, _) = trial.vm_under(hypervisor);
        let why = trial.refused(&Command::Move { vm, to: None });
        assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    }
}

/// A closed node keeps what it has and takes nothing; an emptied one has nothing; a node whose VMs find no
/// other keeps all of them.
pub fn closed_nodes_take_nothing<G: Ground>(trial: &mut Trial<G>) {
    let (vm, node) = trial.vm_under("qemu-tcg");
    let other = NodeId(1 - node.0);
    let set = |trial: &mut Trial<G>, node: NodeId, state: NodeState| {
        trial.done(&Command::Node { node, state });
        let view = trial.view_at_rest();
        assert_eq!(view.nodes[node.index()].state, state);
    };
    let solo = || deploy(design("Solo", &[component("solo", 1, "full", "qemu-tcg")]));
    set(trial, other, NodeState::Cordoned);
    set(trial, node, NodeState::Cordoned);
    is_on(trial, vm, node);
    let why = trial.refused(&solo());
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    // There is nowhere to go.
    let state = NodeState::Draining;
    let why = trial.refused(&Command::Node { node, state });
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    set(trial, other, NodeState::Up);
    set(trial, node, NodeState::Draining);
    is_on(trial, vm, other);
    assert!(trial.view().nodes[node.index()].vms.is_empty());
    set(trial, node, NodeState::Down);
    let why = trial.refused(&Command::Move { vm, to: Some(node) });
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    set(trial, node, NodeState::Up);
    let node = NodeId(2);
    let why = trial.refused(&Command::Node { node, state });
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
    assert_eq!(trial.view().nodes[2].state, NodeState::Up);
}

fn is_on<G: Ground>(trial: &mut Trial<G>, vm: VmId, node: NodeId) {
    assert_eq!(trial.vm_under("qemu-tcg"), (vm, node));
    trial.until("it to run there", |trial| {
        let seen = trial.seen(vm);
        (seen == Some((node, VmState::Running))).then_some(())
    });
}
