//! Operations on one VM wait for each other, or are told why they cannot.

use crate::fixture::{Fixture, deploy, servers};
use control::backend::{Command, Refused};
use control::record::Wish;
use model::id::{OperationId, VmId};
use model::order::{Shutdown, Verb};
use model::report::Outcome;
use std::collections::BTreeSet;

fn asked(vm: VmId, verb: Verb) -> Command {
    Command::Vm { vm, verb }
}

/// Of two operations on one VM the second is not ordered before the first has ended; one on another
/// VM goes on beside them.
#[test]
fn the_second_waits_for_the_first() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 2)));
    let name = "before".to_owned();
    let first = fixture.accepted(asked(VmId(0), Verb::Snapshot { name }));
    let second = fixture.accepted(asked(VmId(0), Verb::Reboot));
    let third = fixture.accepted(asked(VmId(1), Verb::Pause));
    let vms: Vec<VmId> = fixture.orders.values().map(|order| order.vm).collect();
    assert_eq!(vms, [VmId(0), VmId(1)]);
    let snapshot = fixture.orders.values().next().expect("it").operation;
    fixture.obey(snapshot);
    assert_eq!(fixture.ends(first), [Outcome::Done]);
    let verbs: BTreeSet<String> = fixture
        .orders
        .values()
        .map(|order| format!("{:?}", order.verb))
        .collect();
    assert_eq!(verbs, ["Pause", "Reboot"].map(str::to_owned).into());
    fixture.carry_out();
    assert_eq!(fixture.ends(second), [Outcome::Done]);
    assert_eq!(fixture.ends(third), [Outcome::Done]);
    assert!(fixture.controller.ledger().locks.is_empty());
}

/// One that waits takes its turn also where the one before it has failed.
#[test]
fn a_failure_lets_the_next_one_go() {
    let mut fixture = Fixture::new(1);
    fixture.done(deploy(servers("ada", 1)));
    let shutdown = Shutdown::Forced;
    let first = fixture.accepted(asked(VmId(0), Verb::Stop { shutdown }));
    let second = fixture.accepted(asked(VmId(0), Verb::Pause));
    let order = fixture.orders.values().next().expect("it").clone();
    let reason = "it hangs".to_owned();
    fixture.end(&order, Outcome::Failed { reason });
    assert!(matches!(fixture.ends(first)[..], [Outcome::Failed { .. }]));
    fixture.carry_out();
    assert_eq!(fixture.ends(second), [Outcome::Done]);
}

/// What needs all of a VM is refused while another operation has it, and is told so.
#[test]
fn what_cannot_wait_is_told_why() {
    let mut fixture = Fixture::new(3);
    fixture.done(deploy(servers("ada", 2)));
    let (vm, to) = (VmId(1), None);
    let first = fixture.accepted(asked(vm, Verb::Reboot));
    let name = fixture.controller.ledger().vms[&vm].name.clone();
    let generation = fixture.controller.ledger().generation;
    let withdrawn = Command::Move { vm, to };
    let changed = deploy(servers("ada", 1));
    for (command, of) in [(withdrawn, ""), (changed, " of shop")] {
        let (_, answer) = fixture.ask(command);
        let why = format!("{name}{of} is changed by another operation, which has to end first");
        assert_eq!(answer, Err(Refused::Illegal { why }));
    }
    assert_eq!(fixture.controller.ledger().generation, generation);
    fixture.carry_out();
    assert_eq!(fixture.ends(first), [Outcome::Done]);
    fixture.done(Command::Move { vm, to });
}

/// A design that is withdrawn while it is deployed is to be gone, though its VMs are started first.
#[test]
fn what_is_withdrawn_stays_so() {
    let mut fixture = Fixture::new(1);
    let design = servers("ada", 1);
    fixture.accepted(deploy(design.clone()));
    let (tenant, design) = (design.tenant, design.name);
    let withdrawn = fixture.accepted(Command::Withdraw { tenant, design });
    for _ in 0..2 {
        let next = *fixture.orders.keys().next().expect("create, then start");
        fixture.obey(next);
    }
    let record = &fixture.controller.ledger().vms[&VmId(0)];
    assert_eq!(record.wish, Wish::Gone);
    fixture.carry_out();
    assert_eq!(fixture.ends(withdrawn), [Outcome::Done]);
    assert!(fixture.held[0].is_empty());
}

/// What a VM is ordered makes no sense any more once it is being deleted.
#[test]
fn what_is_being_deleted_is_left_alone() {
    let mut fixture = Fixture::new(1);
    fixture.done(deploy(servers("ada", 1)));
    fixture.accepted(asked(VmId(0), Verb::Delete));
    let (_, answer) = fixture.ask(asked(VmId(0), Verb::Start));
    let why = "web-0 is being deleted".to_owned();
    assert_eq!(answer, Err(Refused::Illegal { why }));
    fixture.carry_out();
    let (_, answer) = fixture.ask(asked(VmId(0), Verb::Start));
    assert_eq!(answer, Err(Refused::UnknownVm { vm: VmId(0) }));
    let ids: Vec<OperationId> = fixture.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [1, 2, 3, 4].map(OperationId));
}
