//! What is not there, is wrong, or has no room.

use super::designs::{component, deploy, design, withdraw};
use super::ground::{Ground, IMAGE};
use super::trial::Trial;
use control::backend::{Command, Refused};
use control::ledger::FIRST_OWN;
use model::grid::NodeState;
use model::id::{NodeId, OperationId, VmId};
use model::order::Verb;

/// Each is refused for its reason.
pub fn what_is_not_there_is_refused<G: Ground>(trial: &mut Trial<G>) {
    let (vm, node) = (VmId(77), NodeId(77));
    let verb = Verb::Start;
    let why = trial.refused(&Command::Vm { vm, verb });
    assert_eq!(why, Refused::UnknownVm { vm });
    let why = trial.refused(&Command::Move { vm, to: None });
    assert_eq!(why, Refused::UnknownVm { vm });
    let state = NodeState::Draining;
    let why = trial.refused(&Command::Node { node, state });
    assert_eq!(why, Refused::UnknownNode { node });
    let why = trial.refused(&withdraw("Nothing"));
    assert!(matches!(why, Refused::UnknownDesign { .. }), "{why:?}");
    what_is_drawn_wrongly_is_refused(trial);
    // Ids that a grid gives itself are nobody else's.
    let own = OperationId(FIRST_OWN);
    let state = NodeState::Up;
    let node = NodeId(0);
    let why = trial.refused_as(own, &Command::Node { node, state });
    assert!(matches!(why, Refused::Illegal { .. }), "{why:?}");
}

fn what_is_drawn_wrongly_is_refused<G: Ground>(trial: &mut Trial<G>) {
    let machine = |instances| component("machine", instances, "full", "qemu-tcg");
    let faulty = |trial: &mut Trial<G>, components: &[String]| {
        let why = trial.refused(&deploy(design("Wrong", components)));
        assert!(matches!(why, Refused::Faulty { .. }), "{why:?}");
        why.to_string()
    };
    faulty(trial, &[machine(1), machine(1)]);
    faulty(
        trial,
        &[machine(1).replace("mem_mib = 128", "mem_gib = 900")],
    );
    let why = faulty(trial, &[machine(1).replace(IMAGE, "nonesuch")]);
    assert!(why.contains("nonesuch"), "{why}");
    // Both nodes together have room for eight.
    let why = trial.refused(&deploy(design("Crowd", &[machine(9)])));
    assert!(matches!(why, Refused::Unplaced { .. }), "{why:?}");
}
