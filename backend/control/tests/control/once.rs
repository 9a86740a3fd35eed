//! What is asked is written down, answered, and ended once.

use crate::fixture::{Fixture, component, deploy, servers};
use control::backend::{Command, Refused};
use control::journal::Entry;
use control::message::{Input, Output};
use model::design::ComponentKind;
use model::id::{NodeId, OperationId, VmId};
use model::order::{Order, Verb};
use model::report::Outcome;
use model::time::Span;
use std::collections::BTreeSet;

/// The entry comes before the answer, and before any order; what is refused is written down too.
#[test]
fn what_is_answered_is_in_the_journal() {
    let mut fixture = Fixture::new(3);
    let mut out = Vec::new();
    let asked = [deploy(servers("ada", 2)), deploy(servers("bob", 900))];
    for (operation, command) in asked.into_iter().enumerate() {
        let input = Input::Submitted {
            operation: OperationId(operation as u64),
            command: Box::new(command),
        };
        fixture.controller.step(fixture.now, input, &mut out);
    }
    let place = |of: &dyn Fn(&Output) -> bool| out.iter().position(of).expect("it is there");
    let accepted = place(&|output| matches!(output, Output::Write(Entry::Accepted { .. })));
    let answered = place(&|output| matches!(output, Output::Answer { answer: Ok(()), .. }));
    let refused = place(&|output| matches!(output, Output::Write(Entry::Refused { .. })));
    let told = place(&|output| matches!(output, Output::Answer { answer: Err(_), .. }));
    let ordered = place(&|output| matches!(output, Output::Write(Entry::Ordered { .. })));
    let sent = place(&|output| matches!(output, Output::Send { .. }));
    assert!(accepted < answered && refused < told, "{out:?}");
    assert!(accepted < ordered && ordered < sent, "{out:?}");
}

/// A repeated id is given the first answer, whatever has become of it, by a later controller too, and
/// nothing more is done.
#[test]
fn a_repeated_id_gives_the_first_answer() {
    let mut fixture = Fixture::new(3);
    let (taken, _) = fixture.ask(deploy(servers("ada", 2)));
    let unknown = Command::Vm {
        vm: VmId(77),
        verb: Verb::Start,
    };
    let (refused, why) = fixture.ask(unknown.clone());
    assert_eq!(why, Err(Refused::UnknownVm { vm: VmId(77) }));
    let check = |fixture: &mut Fixture| {
        let before = fixture.journal.clone();
        // The id counts, not what comes with it.
        assert_eq!(fixture.ask_as(taken, unknown.clone()), Ok(()));
        assert_eq!(fixture.ask_as(taken, deploy(servers("ada", 5))), Ok(()));
        assert_eq!(fixture.ask_as(refused, deploy(servers("ada", 1))), why);
        assert_eq!(fixture.journal, before);
    };
    check(&mut fixture);
    fixture.carry_out();
    assert_eq!(fixture.ends(taken), [Outcome::Done]);
    check(&mut fixture);
    fixture.kill();
    check(&mut fixture);
}

/// Ids that a controller gives to what it begins by itself are nobody else's.
#[test]
fn its_own_ids_are_kept() {
    let mut fixture = Fixture::new(1);
    let own = OperationId(control::ledger::FIRST_OWN);
    let answer = fixture.ask_as(own, deploy(servers("ada", 1)));
    assert!(matches!(answer, Err(Refused::Illegal { .. })), "{answer:?}");
}

/// Where no agent answers, an operation ends by its deadline, once, and is undone once they do.
#[test]
fn silence_ends_by_the_deadline() {
    for are_reached in [true, false] {
        let mut fixture = Fixture::new(3);
        let operation = fixture.accepted(deploy(servers("ada", 2)));
        let other = fixture.accepted(Command::Vm {
            vm: VmId(0),
            verb: Verb::Reboot,
        });
        if !are_reached {
            for node in fixture.grid.node_ids() {
                fixture.leave(node);
            }
        }
        fixture.pass(Span(590_000));
        assert_eq!(fixture.ends(operation), []);
        fixture.pass(Span(20_000));
        let reason = "the deadline has passed".to_owned();
        let late = Outcome::Failed { reason };
        assert_eq!(fixture.ends(operation), std::slice::from_ref(&late));
        // One that has waited for it all the time is no later.
        assert_eq!(fixture.ends(other), std::slice::from_ref(&late));
        fixture.up = fixture.grid.node_ids().collect();
        for _ in 0..30 {
            fixture.pass(Span(60_000));
            fixture.carry_out();
        }
        assert_eq!(fixture.ends(operation), [late]);
        let ledger = fixture.controller.ledger();
        assert!(ledger.open.is_empty(), "{:?}", ledger.open);
        assert!(ledger.locks.is_empty(), "{:?}", ledger.locks);
        assert!(ledger.vms.is_empty(), "{:?}", ledger.vms);
        assert!(fixture.held.iter().all(|vms| vms.is_empty()));
    }
}

/// What is called off ends as cancelled, once, and leaves nothing.
#[test]
fn what_is_called_off_leaves_nothing() {
    let mut fixture = Fixture::new(3);
    let operation = fixture.accepted(deploy(servers("ada", 3)));
    let first = *fixture.orders.keys().next().expect("an order");
    fixture.obey(first);
    for _ in 0..2 {
        fixture.tell(Input::CalledOff { operation });
    }
    fixture.carry_out();
    assert_eq!(fixture.ends(operation), [Outcome::Cancelled]);
    assert!(fixture.controller.ledger().vms.is_empty());
    assert!(fixture.held.iter().all(|vms| vms.is_empty()));
}

/// An order that fails takes back what the others of its operation have made.
#[test]
fn one_failure_takes_all_back() {
    let mut fixture = Fixture::new(3);
    let operation = fixture.accepted(deploy(servers("ada", 3)));
    let mut orders = fixture.orders.clone().into_values();
    let (first, second) = (orders.next().expect("one"), orders.next().expect("another"));
    fixture.obey(first.operation);
    let reason = "no such image".to_owned();
    fixture.end(&second, Outcome::Failed { reason });
    fixture.carry_out();
    let name = &fixture.grid.nodes[second.node.index()].name;
    let reason = format!("node {name}: no such image");
    assert_eq!(fixture.ends(operation), [Outcome::Failed { reason }]);
    // What could not be made is deleted by an operation of its own.
    fixture.pass(Span(10_000));
    fixture.carry_out();
    assert!(fixture.controller.ledger().vms.is_empty());
    assert!(fixture.held.iter().all(|vms| vms.is_empty()));
}

/// An order is sent again until it is answered, and what a node has refused for its age is ordered
/// anew under another id.
#[test]
fn orders_are_sent_until_they_end() {
    let mut fixture = Fixture::new(1);
    let operation = fixture.accepted(deploy(servers("ada", 1)));
    let first = fixture.orders.pop_first().expect("an order").1;
    fixture.pass(Span(10_000));
    assert_eq!(fixture.orders[&first.operation], first);
    // Something else has raised the generation meanwhile.
    let node = NodeId(0);
    let state = model::grid::NodeState::Up;
    fixture.done_without_orders(Command::Node { node, state });
    let newest = fixture.controller.ledger().generation;
    fixture.end(
        &first,
        Outcome::Refused {
            reason: "it is older than what the node has done".to_owned(),
            newest,
            is_for_now: false,
        },
    );
    let again = fixture.orders.values().next().expect("another").clone();
    assert_ne!(again.operation, first.operation);
    assert_eq!((again.generation, &again.verb), (newest, &first.verb));
    fixture.carry_out();
    assert_eq!(fixture.ends(operation), [Outcome::Done]);
}

/// A VM with a disk of other nodes is made once those serve it, and nothing of it stays behind.
#[test]
fn what_is_lent_is_taken_back() {
    let mut fixture = Fixture::new(3);
    let mut design = servers("ada", 1);
    design.components[0] = component(ComponentKind::Database, 1);
    design.components[0].remote_disk_gib = 50;
    fixture.done(deploy(design.clone()));
    let ledger = fixture.controller.ledger();
    let lent: Vec<_> = ledger.vms[&VmId(0)].lent.clone();
    assert!(!lent.is_empty() && lent.iter().all(|lent| lent.address.is_some()));
    let node = fixture.node_of(VmId(0));
    assert!(lent.iter().all(|lent| lent.node != node));
    let nodes = fixture.controller.view().nodes.clone();
    let disks: u32 = nodes.iter().map(|node| node.used.disk_gib.0).sum();
    assert_eq!(disks, 60, "its own disk and what is lent to it");
    fixture.done(Command::Withdraw {
        tenant: design.tenant,
        design: design.name,
    });
    let nodes = &fixture.controller.view().nodes;
    assert!(nodes.iter().all(|node| node.used == Default::default()));
    let vms: BTreeSet<_> = fixture.controller.ledger().vms.keys().collect();
    assert!(vms.is_empty());
}

/// A node's word of where it serves a piece may be lost, and the end of its order arrive: it is asked
/// again, and the VM is made.
#[test]
fn a_lost_address_is_asked_for_again() {
    let mut fixture = Fixture::new(3);
    let mut design = servers("ada", 1);
    design.components[0] = component(ComponentKind::Database, 1);
    design.components[0].remote_disk_gib = 50;
    let operation = fixture.accepted(deploy(design));
    let lends = |order: &&Order| matches!(order.verb, Verb::Lend { .. });
    let lend = fixture.orders.values().find(lends).cloned();
    let lend = lend.expect("a piece is lent");
    fixture.end(&lend, Outcome::Done);
    fixture.carry_out();
    assert_eq!(
        fixture.ends(operation),
        [],
        "nobody knows where it is served"
    );
    fixture.pass(Span(20_000));
    fixture.carry_out();
    assert_eq!(fixture.ends(operation), [Outcome::Done]);
}
