//! The lease: highly available VMs run with one, are stopped without, and the watchdog knows.

use crate::node::{Node, naming};
use crate::orders::{OTHER, VM, about, blueprint, create, order};
use agent::message::{Guard, Input};
use model::id::VmId;
use model::order::{Order, Verb};
use model::report::{Outcome, VmState};
use model::time::{Span, Time};
use proptest::prelude::*;

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

/// A start that was under way when the node lost its power goes on only with a lease of the new boot.
#[test]
fn a_start_goes_on_with_a_lease_alone() {
    let begin = || {
        let mut node = Node::new();
        node.order(&order(1, highly_available(VM)));
        node.settle();
        node.order(&late(order(2, Verb::Start)));
        node
    };
    let mut undisturbed = begin();
    undisturbed.settle();
    let mut points = undisturbed.points.iter();
    let start = points.position(|point| point.starts_with("before start"));
    let mut node = begin();
    node.kill_at = [start.expect("it is started")].into();
    while node.turn().is_ok() {}
    node.boot.id = "another boot".to_owned();
    node.restart();
    node.settle();
    assert_eq!(node.agent.seen()[&VM], VmState::Stopped);
    let end = &node.ends[&order(2, Verb::Start).operation];
    assert!(
        matches!(&end[..], [Outcome::Failed { reason }] if reason.contains("lease")),
        "{end:?}"
    );
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
    let until = node.agent.leased_until();
    node.tell(Input::Renewed { span: Span(1) });
    assert_eq!(node.agent.leased_until(), until);
    node.restart();
    assert_eq!(node.agent.leased_until(), until);
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
    let receive = Verb::Receive {
        blueprint,
        storage,
        key: model::id::KeyId(2),
        passage: model::order::Passage::Live,
    };
    node.order(&about(OTHER, 2, receive));
    while node.turn().expect("nobody kills") && node.world.coming.is_empty() {}
    assert_eq!(node.guard.map(|guard| guard.vms), Some(vec![VM, OTHER]));
}

/// The node's wall clock is set while no agent runs; its clock since the boot goes on as it was.
fn set_clock(node: &mut Node, by: Span) {
    node.now = node.now + by;
    node.boot.at = node.boot.at + by;
    node.restart();
}

/// The node goes down and comes up again; nothing runs on it then.
fn reboot(node: &mut Node, boot: u64) {
    node.boot.id = format!("boot {boot}");
    node.boot.at = node.now;
    node.restart();
}

/// A wall clock that is set back while the agent is away lengthens no lease, and one that is set ahead
/// shortens none; another boot ends it.
#[test]
fn a_set_clock_changes_no_lease() {
    for by in [Span(-500_000_000), Span(500_000_000)] {
        let mut node = running();
        let left = node.agent.leased_until().map(|until| until - node.now);
        set_clock(&mut node, by);
        let now = node.now;
        assert_eq!(node.agent.leased_until().map(|until| until - now), left);
        reboot(&mut node, 2);
        assert_eq!(node.agent.leased_until(), None);
    }
}

/// What happens to a node with a lease.
#[derive(Clone, Debug)]
enum Happening {
    Renewed(i64),
    Passed(i64),
    Restarted,
    ClockSet(i64),
    Rebooted,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (0..10_000_i64).prop_map(Happening::Renewed),
        4 => (1..8_000_i64).prop_map(Happening::Passed),
        2 => Just(Happening::Restarted),
        2 => (-100_000..100_000_i64).prop_map(Happening::ClockSet),
        1 => Just(Happening::Rebooted),
    ];
    proptest::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever sets the clock and kills the agent when, the lease lapses exactly when the last renewal
    /// says by a clock that nobody sets, and with the boot; and the watchdog is told the same.
    #[test]
    fn a_lease_lapses_when_it_should(happenings in happenings()) {
        let mut node = Node::new();
        reboot(&mut node, 0);
        node.settle();
        // Both by a clock of this test alone.
        let (mut passed, mut lapses) = (0, None::<i64>);
        for (number, happening) in happenings.into_iter().enumerate() {
            match happening {
                Happening::Renewed(span) => {
                    node.tell(Input::Renewed { span: Span(span) });
                    lapses = lapses.max(Some(passed + span));
                }
                Happening::Passed(millis) => {
                    node.now = node.now + Span(millis);
                    passed += millis;
                    node.tell(Input::Ticked);
                }
                Happening::Restarted => node.restart(),
                Happening::ClockSet(by) => set_clock(&mut node, Span(by)),
                Happening::Rebooted => {
                    reboot(&mut node, number as u64 + 1);
                    lapses = None;
                }
            }
            node.settle();
            let left = lapses.map(|lapses| lapses - passed).filter(|left| *left > 0);
            let now = node.now;
            let held = node.agent.leased_until().map(|until| (until - now).0);
            prop_assert_eq!(held.filter(|left| *left > 0), left);
            let guarded = node.guard.clone().and_then(|guard| guard.until);
            prop_assert_eq!(guarded.map(|until| (until - now).0), left);
        }
    }
}
