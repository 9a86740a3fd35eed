//! The lease: highly available VMs run with one, are stopped without, and the watchdog knows.

use crate::node::{Node, naming};
use crate::orders::{OTHER, VM, about, blueprint, create, order};
use agent::message::{Guard, Input};
use model::id::VmId;
use model::order::{Order, Verb};
use model::report::{Outcome, VmState};
use model::time::{Span, Time};

fn highly_available(vm: VmId) -> Verb {
    let mut blueprint = Box::new(blueprint(vm));
    blueprint.highly_available = true;
    Verb::Create { blueprint }
}

/// A node where one VM is highly available and another is not, both running.
fn running() -> Node {
    let mut node = Node::new();
    for order in [
        order(1, highly_available(VM)),
        order(2, Verb::Start),
        about(OTHER, 3, create(OTHER)),
        about(OTHER, 4, Verb::Start),
    ] {
        node.order(&order);
    }
    node.settle();
    node
}

fn lapse(node: &mut Node) {
    node.now = node.now + Span(2_000_000_000);
    node.tell(Input::Ticked);
    node.settle();
}

fn late(order: Order) -> Order {
    Order {
        deadline: Time::NEVER,
        ..order
    }
}

/// Once the lease lapses, the highly available VM is stopped and the other runs on; the stop is
/// seen, and its operation is nobody's.
#[test]
fn a_lapsed_lease_stops_the_highly_available() {
    let mut node = running();
    let reports = node.reports.len();
    lapse(&mut node);
    assert_eq!(node.agent.seen()[&VM], VmState::Stopped);
    assert_eq!(node.agent.seen()[&OTHER], VmState::Running);
    let told: Vec<_> = node.reports[reports..].iter().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].vm, told[0].operation), (Some(VM), None));
    let stopped = Some(VmState::Stopped);
    assert_eq!(told[0].outcome, Outcome::Seen { state: stopped });
    // Nothing more happens at the next tick.
    let points = node.points.len();
    node.tell(Input::Ticked);
    node.settle();
    assert_eq!(node.points.len(), points);
}

/// A lapse is heeded before orders that wait, and an order under way is called off for it.
#[test]
fn a_lapse_comes_first() {
    let mut node = running();
    node.order(&late(order(5, Verb::Pause)));
    node.order(&late(order(6, Verb::Reboot)));
    lapse(&mut node);
    assert_eq!(node.agent.seen()[&VM], VmState::Stopped);
    let last = node
        .reports
        .iter()
        .rfind(|report| report.operation == Some(order(6, Verb::Delete).operation));
    assert_eq!(
        last.map(|report| report.outcome.clone()),
        Some(Outcome::Failed {
            reason: "vm 7 is highly available and the node's lease has lapsed".to_owned()
        })
    );
}

/// Without a lease nothing highly available starts; with a new one it does.
#[test]
fn nothing_highly_available_starts_without_a_lease() {
    let mut node = running();
    lapse(&mut node);
    node.order(&late(order(5, Verb::Start)));
    node.settle();
    let refused = "vm 7 is highly available and the node's lease has lapsed";
    assert_eq!(
        node.ends[&order(5, Verb::Start).operation],
        [Outcome::Failed {
            reason: refused.to_owned()
        }]
    );
    node.tell(Input::Renewed { span: Span(1_000) });
    node.order(&late(order(6, Verb::Start)));
    node.settle();
    assert_eq!(node.agent.seen()[&VM], VmState::Running);
    node.world.check(node.agent.ledger(), &naming());
}

/// A lease is kept through a restart, and an overtaken renewal does not shorten it.
#[test]
fn a_lease_survives_the_agent() {
    let mut node = running();
    let until = node.agent.ledger().leased_until;
    node.tell(Input::Renewed { span: Span(1) });
    assert_eq!(node.agent.ledger().leased_until, until);
    node.restart();
    assert_eq!(node.agent.ledger().leased_until, until);
}

/// The watchdog is told of every highly available VM before it can run, and of every renewal.
#[test]
fn the_watchdog_is_told_first() {
    let mut node = Node::new();
    let first = node.guard.clone().expect("it was told at once");
    assert_eq!(first.vms, []);
    node.order(&order(1, highly_available(VM)));
    node.settle();
    let guard = Guard {
        until: first.until,
        vms: vec![VM],
    };
    assert_eq!(node.guard, Some(guard));
    let blueprint = Box::new({
        let mut blueprint = blueprint(OTHER);
        blueprint.highly_available = true;
        blueprint
    });
    node.world.elsewhere.insert(OTHER);
    let storage = model::order::Storage::Local;
    node.order(&about(OTHER, 2, Verb::Receive { blueprint, storage }));
    while node.turn().expect("nobody kills") && node.world.coming.is_empty() {}
    assert_eq!(node.guard.map(|guard| guard.vms), Some(vec![VM, OTHER]));
}
