//! What is wished is brought about, and brought about again.

use crate::fixture::{Fixture, available_servers, deploy, servers};
use control::backend::Command;
use control::journal::Entry;
use control::ledger::FIRST_OWN;
use model::event::Happening;
use model::id::{NodeId, OperationId, VmId};
use model::order::{Shutdown, Verb};
use model::report::VmState;
use model::time::{Span, Time};

/// What a lease lasts, as in the settings.
const LEASE: Span = Span(60_000);

fn states(fixture: &Fixture) -> Vec<VmState> {
    let held = fixture.held.iter().flat_map(|vms| vms.values());
    held.copied().collect()
}

/// All VMs of a design are made before the first is started, each on its node, and then run.
#[test]
fn a_design_comes_to_stand() {
    let mut fixture = Fixture::new(3);
    let operation = fixture.accepted(deploy(servers("ada", 5)));
    let mut order = Vec::new();
    while let Some(next) = fixture.orders.values().next().cloned() {
        let record = &fixture.controller.ledger().vms[&next.vm];
        assert_eq!(record.node, next.node);
        order.push(matches!(next.verb, Verb::Create { .. }));
        fixture.obey(next.operation);
    }
    assert_eq!(order, [[true; 5], [false; 5]].concat());
    assert_eq!(fixture.ends(operation), [model::report::Outcome::Done]);
    assert_eq!(states(&fixture), [VmState::Running; 5]);
    fixture.pass(Span(600_000));
    assert_eq!(fixture.orders.len(), 0, "nothing is left to do");
}

/// A VM that is not as it is wished is brought there by an operation of the controller's own, and not
/// before the last attempt has rested.
#[test]
fn drift_is_healed() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 2)));
    fixture.pass(Span(60_000));
    let vm = VmId(1);
    let node = fixture.node_of(vm);
    fixture.see(node, vm, VmState::Failed);
    assert_eq!(fixture.orders.len(), 0);
    fixture.pass(Span(10_000));
    let order = fixture.orders.values().next().expect("an order").clone();
    assert_eq!(
        (order.vm, order.node, &order.verb),
        (vm, node, &Verb::Start)
    );
    let own = fixture.controller.ledger().holder(vm).expect("it is held");
    assert!(own >= OperationId(FIRST_OWN));
    fixture.carry_out();
    assert_eq!(states(&fixture), [VmState::Running; 2]);
    let begun = |fixture: &Fixture| {
        let accepted = |entry: &&Entry| matches!(entry, Entry::Accepted { .. });
        fixture.journal.iter().filter(accepted).count()
    };
    let before = begun(&fixture);
    fixture.see(node, vm, VmState::Failed);
    fixture.pass(Span(10_000));
    assert_eq!(begun(&fixture), before, "it rests");
    fixture.pass(Span(30_000));
    assert_eq!(begun(&fixture), before + 1);
}

/// A VM that somebody has stopped stays so, and is stopped where it comes up by itself.
#[test]
fn what_is_stopped_stays_so() {
    let mut fixture = Fixture::new(1);
    fixture.done(deploy(servers("ada", 1)));
    let (vm, node) = (VmId(0), NodeId(0));
    let shutdown = Shutdown::Forced;
    let verb = Verb::Stop { shutdown };
    fixture.done(Command::Vm { vm, verb });
    fixture.pass(Span(120_000));
    assert_eq!(fixture.orders.len(), 0);
    fixture.see(node, vm, VmState::Running);
    fixture.pass(Span(10_000));
    fixture.carry_out();
    assert_eq!(states(&fixture), [VmState::Stopped]);
}

/// Highly available VMs of a node that is silent are made and started elsewhere, not before its lease
/// has lapsed; what is left there is wiped before the node gets another lease.
#[test]
fn a_dead_node_is_given_up_once_its_lease_has_lapsed() {
    let mut fixture = Fixture::new(3);
    fixture.done(deploy(available_servers("ada", 2)));
    let node = fixture.node_of(VmId(0));
    let before: Vec<VmId> = fixture.held[node.index()].keys().copied().collect();
    fixture.pass(Span(60_000));
    let leased = fixture.leased[&node];
    fixture.leave(node);
    while fixture.now + Span(10_000) < leased + LEASE {
        fixture.pass(Span(10_000));
        assert_eq!(fixture.orders.len(), 0, "at {}", fixture.now);
    }
    fixture.pass(Span(20_000));
    let given_up = Happening::GivenUp { node };
    assert!(
        fixture
            .history
            .iter()
            .any(|event| event.happening == given_up)
    );
    let made = fixture.orders.values();
    let made = made.filter(|order| matches!(order.verb, Verb::Create { .. }));
    assert_eq!(made.clone().count(), before.len());
    assert!(made.clone().all(|order| order.node != node));
    fixture.carry_out();
    for vm in &before {
        let elsewhere = fixture.node_of(*vm);
        assert_ne!(elsewhere, node);
        let state = fixture.held[elsewhere.index()].get(vm);
        assert_eq!(state, Some(&VmState::Running));
    }
    // It is back, with what it had.
    fixture.up.insert(node);
    fixture.call(node);
    assert_eq!(fixture.leased[&node], leased, "no lease before the wipe");
    fixture.pass(Span(60_000));
    assert_eq!(fixture.leased[&node], leased, "no lease before the wipe");
    fixture.carry_out();
    assert!(fixture.held[node.index()].is_empty());
    fixture.pass(Span(10_000));
    assert_eq!(fixture.leased[&node], fixture.now);
}

/// A node that comes back before its VMs were made anew keeps them.
#[test]
fn what_nobody_else_has_stays() {
    let mut fixture = Fixture::new(1);
    fixture.done(deploy(available_servers("ada", 1)));
    let node = NodeId(0);
    fixture.leave(node);
    fixture.pass(Span(300_000));
    assert_eq!(fixture.orders.len(), 0, "there is nowhere to go");
    fixture.up.insert(node);
    fixture.pass(Span(120_000));
    fixture.carry_out();
    assert_eq!(states(&fixture), [VmState::Running]);
    assert_eq!(fixture.leased[&node], fixture.now);
}

/// VMs that nobody here has made are told of and left alone; those that should not be there go.
#[test]
fn strangers_are_told_of() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 1)));
    let node = fixture.node_of(VmId(0));
    let other = NodeId(1 - node.0);
    fixture.held[other.index()].insert(VmId(500), VmState::Running);
    fixture.held[other.index()].insert(VmId(0), VmState::Stopped);
    fixture.pass(Span(60_000));
    fixture.carry_out();
    assert_eq!(fixture.controller.found().get(&VmId(500)), Some(&other));
    let here: Vec<VmId> = fixture.held[other.index()].keys().copied().collect();
    assert_eq!(here, [VmId(500)]);
    let found = Happening::Found {
        vm: VmId(500),
        node: other,
    };
    let told = fixture.history.iter();
    assert_eq!(told.filter(|event| event.happening == found).count(), 1);
    assert_eq!(fixture.held[node.index()][&VmId(0)], VmState::Running);
    assert!(fixture.now > Time::ZERO);
}
