//! What an agent answers: repeats, older generations, keys, cancelling, deadlines, order and bounds.

use crate::node::{Node, naming};
use crate::orders::{OTHER, VM, about, blueprint, create, order, stop};
use agent::agent::MAX_OPEN;
use agent::message::Input;
use agent::refusal::check_configuration;
use model::configuration::{Configuration, ConfiguredFile, Piece};
use model::id::{Generation, NodeId, OperationId};
use model::order::{Order, Scale, Verb};
use model::report::{Outcome, VmState};
use model::time::{Span, Time};

/// The outcomes reported of an operation, without progress.
pub fn outcomes(node: &Node, operation: u64) -> Vec<Outcome> {
    let reports = node.reports.iter();
    reports
        .filter(|report| report.operation == Some(OperationId(operation)))
        .map(|report| report.outcome.clone())
        .filter(|outcome| !matches!(outcome, Outcome::Progressed { .. } | Outcome::Seen { .. }))
        .collect()
}

pub fn settled(orders: &[Order]) -> Node {
    let mut node = Node::new();
    for order in orders {
        node.order(order);
    }
    node.settle();
    node
}

/// A repeated operation is answered by its first result and does nothing, whether it succeeded or
/// failed.
#[test]
fn a_repeat_gives_the_first_result() {
    let first = order(1, create(VM));
    let again = order(2, create(VM));
    let mut node = settled(&[first.clone(), again.clone()]);
    let points = node.points.len();
    node.order(&first);
    node.order(&again);
    node.settle();
    let failed = Outcome::Failed {
        reason: "vm 7 is here already".to_owned(),
    };
    assert_eq!(
        outcomes(&node, 1),
        [Outcome::Accepted, Outcome::Done, Outcome::Done]
    );
    assert_eq!(
        outcomes(&node, 2),
        [Outcome::Accepted, failed.clone(), failed]
    );
    assert_eq!(node.points.len(), points, "a repeat did something");
}

/// What cannot be taken is refused with the reason and the newest generation, and leaves no line in
/// the journal.
#[test]
fn what_cannot_be_taken_is_refused() {
    let check = |order: Order, expected: &str| {
        let newer = Order {
            generation: Generation(5),
            ..self::order(1, create(VM))
        };
        let mut node = settled(&[newer]);
        let lines = node.journal.len();
        node.order(&order);
        node.settle();
        let refused = Outcome::Refused {
            reason: expected.to_owned(),
            newest: Generation(5),
            is_for_now: false,
        };
        let operation = order.operation.0;
        assert_eq!(outcomes(&node, operation), [refused]);
        assert_eq!(node.journal.len(), lines, "{expected}");
    };
    let new = |operation| Order {
        generation: Generation(5),
        ..order(operation, Verb::Start)
    };
    check(
        Order {
            generation: Generation(4),
            ..new(2)
        },
        "the order is of an older generation",
    );
    check(
        Order {
            node: NodeId(9),
            ..new(2)
        },
        "the order is for node 9, which is not here",
    );
    check(
        Order {
            deadline: Time(1_000),
            ..new(2)
        },
        "the deadline has passed",
    );
    check(
        new(1 << 63),
        "operation ids from 2^63 on are the agent's own",
    );
}

/// An order of an older generation whose operation is known is a repeat all the same.
#[test]
fn a_repeat_is_answered_whatever_its_generation() {
    let first = order(1, create(VM));
    let newer = Order {
        generation: Generation(2),
        ..order(2, Verb::Start)
    };
    let mut node = settled(&[first.clone(), newer]);
    node.order(&first);
    node.settle();
    assert_eq!(outcomes(&node, 1).last(), Some(&Outcome::Done));
}

/// Orders on one VM are carried out one at a time and in the order in which they came.
#[test]
fn orders_on_one_vm_wait_for_each_other() {
    let verbs = [create(VM), Verb::Start, Verb::Pause, Verb::Resume, stop()];
    let orders: Vec<Order> = verbs
        .into_iter()
        .enumerate()
        .map(|(index, verb)| order(1 + index as u64, verb))
        .collect();
    let node = settled(&orders);
    let ends: Vec<u64> = finished(&node);
    assert_eq!(ends, [1, 2, 3, 4, 5]);
    assert!(node.ends.values().all(|ends| *ends == [Outcome::Done]));
    assert_eq!(node.agent.seen()[&VM], VmState::Stopped);
}

fn finished(node: &Node) -> Vec<u64> {
    let reports = node.reports.iter();
    reports
        .filter(|report| report.outcome == Outcome::Done)
        .filter_map(|report| report.operation)
        .map(|operation| operation.0)
        .collect()
}

/// Orders on different VMs are under way at once.
#[test]
fn orders_on_two_vms_run_side_by_side() {
    let mut node = Node::new();
    node.order(&order(1, create(VM)));
    node.order(&about(OTHER, 2, create(OTHER)));
    // Always the step that was begun last: the second order overtakes the first.
    node.choices = std::iter::repeat_n(1, 1_000).collect();
    node.settle();
    assert_eq!(finished(&node), [2, 1]);
    assert!(node.ends.values().all(|ends| *ends == [Outcome::Done]));
    node.world.check(node.agent.ledger(), &naming());
}

/// A copy waits for both VMs.
#[test]
fn a_copy_holds_both_vms() {
    let to = Box::new(blueprint(OTHER));
    let node = settled(&[
        order(1, create(VM)),
        order(2, Verb::Copy { to }),
        about(OTHER, 3, Verb::Start),
        order(4, Verb::Delete),
    ]);
    assert!(node.ends.values().all(|ends| *ends == [Outcome::Done]));
    assert_eq!(node.agent.seen()[&OTHER], VmState::Running);
    node.world.check(node.agent.ledger(), &naming());
}

/// An operation that is called off between steps undoes what it did; one whose turn has not come
/// just ends.
#[test]
fn what_is_called_off_is_undone() {
    let mut node = Node::new();
    node.order(&order(1, create(VM)));
    node.order(&order(2, Verb::Start));
    for _ in 0..20 {
        node.turn().expect("nobody kills");
    }
    for operation in [OperationId(2), OperationId(1)] {
        node.tell(Input::CalledOff { operation });
    }
    node.settle();
    for operation in [1, 2] {
        let last = outcomes(&node, operation);
        assert_eq!(last.last(), Some(&Outcome::Cancelled), "{operation}");
    }
    node.world.check(node.agent.ledger(), &naming());
}

/// A step that breaks fails its order, undone, with the step and what it said.
#[test]
fn a_broken_step_fails_its_order() {
    for call in 1..=10 {
        let mut node = Node::new();
        node.breaks.insert(call);
        node.order(&order(1, create(VM)));
        node.settle();
        let Some(Outcome::Failed { reason }) = outcomes(&node, 1).pop() else {
            panic!("call {call}: {:?}", outcomes(&node, 1));
        };
        assert!(reason.ends_with(": it broke"), "{reason}");
        node.world.check(node.agent.ledger(), &naming());
    }
}

/// On the way back, and where there is no way back, what breaks is repeated until it succeeds, with
/// longer and longer waits, and told each time.
#[test]
fn there_is_no_giving_up_on_the_way_back() {
    let mut node = settled(&[order(1, create(VM))]);
    // The first call deletes it from the driver; wiping then breaks five times.
    node.breaks = (13..18).collect();
    let begun = node.now;
    node.order(&order(2, Verb::Delete));
    node.settle();
    assert_eq!(outcomes(&node, 2), [Outcome::Accepted, Outcome::Done]);
    let told = node.reports.iter().filter(|report| {
        matches!(&report.outcome, Outcome::Progressed { step, .. } if step.ends_with("it broke"))
    });
    assert_eq!(told.count(), 5);
    assert!(node.now - begun >= Span(60_000));
    node.world.check(node.agent.ledger(), &naming());
}

/// More orders than the bound are refused, and taken once there is room again.
#[test]
fn the_queue_is_bounded() {
    let mut node = Node::new();
    for operation in 0..=MAX_OPEN as u64 {
        node.order(&order(operation, create(VM)));
    }
    let last = MAX_OPEN as u64;
    while node.turn().expect("nobody kills") {}
    assert!(matches!(
        outcomes(&node, last)[..],
        [Outcome::Refused {
            is_for_now: true,
            ..
        }]
    ));
    node.settle();
    node.order(&order(last, Verb::Delete));
    node.settle();
    assert_eq!(outcomes(&node, last).last(), Some(&Outcome::Done));
}

/// Disk space is promised once: what is being made counts, what failed does not, and what is wiped
/// comes back.
#[test]
fn space_is_promised_once() {
    let mut big = blueprint(OTHER);
    (big.disks[0].size_mib, big.disks[0].shared_base) = (4_900, false);
    let create_big = Verb::Create {
        blueprint: Box::new(big),
    };
    let mut node = settled(&[about(OTHER, 1, create_big.clone())]);
    let grow = |size_mib| Verb::Scale {
        scale: Scale::Disk {
            disk: "root".to_owned(),
            size_mib,
        },
    };
    node.order(&about(OTHER, 2, grow(9_951)));
    node.order(&about(OTHER, 3, grow(9_950)));
    node.order(&order(4, create(VM)));
    node.order(&about(OTHER, 5, Verb::Delete));
    node.settle();
    node.order(&order(6, create(VM)));
    node.settle();
    let failed = |asked, free| Outcome::Failed {
        reason: format!("{asked} MiB of disk asked, {free} MiB free"),
    };
    assert_eq!(outcomes(&node, 2)[1], failed(5_051, 5_050));
    assert_eq!(outcomes(&node, 3)[1], Outcome::Done);
    assert_eq!(outcomes(&node, 4)[1], failed(350, 0), "with its base");
    assert_eq!(outcomes(&node, 6)[1], Outcome::Done);
}

/// What no guest could take is refused before anything is done, by the field that is wrong.
#[test]
fn a_configuration_that_leads_elsewhere_is_refused() {
    let file = |owner: &str, text: String| ConfiguredFile {
        pieces: vec![Piece::Text(text)],
        mode: 0o644,
        owner: owner.to_owned(),
        check: None,
    };
    let small = String::new;
    for (path, file, told) in [
        (
            "/etc/../boot/x",
            file("root", small()),
            "no path of a guest",
        ),
        ("etc/x", file("root", small()), "no path of a guest"),
        ("/etc/\nx", file("root", small()), "no path of a guest"),
        ("/etc/x", file("-R", small()), "expected a user's name"),
        ("/etc/x", file("a b", small()), "expected a user's name"),
        (
            "/etc/x",
            file("root", "x".repeat((1 << 20) + 1)),
            "expected at most 1048576",
        ),
    ] {
        let configuration = Configuration {
            files: [(path.to_owned(), file)].into(),
            ..Configuration::default()
        };
        let refused = check_configuration(&configuration)
            .expect_err(path)
            .to_string();
        assert!(refused.contains(told), "{path:?}: {refused}");
    }
}
