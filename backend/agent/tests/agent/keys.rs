//! Keys come with an order, are asked for where they are lacking, and are never written.

use crate::node::{Node, keys, naming};
use crate::orders::{DEADLINE, VM, create, order};
use crate::rules::{outcomes, settled};
use agent::message::Input;
use agent::secret::Keys;
use model::id::{KeyId, OperationId};
use model::order::{Order, Scale, Verb};
use model::report::Outcome;

fn sent_without_keys(node: &mut Node, order: &Order) {
    let order = Box::new(order.clone());
    let keys = Keys::default();
    node.tell(Input::Ordered { order, keys });
}

/// Without its keys an order asks for them once, does nothing meanwhile, and goes on when it is
/// sent again with them.
#[test]
fn keys_are_asked_for() {
    let mut node = Node::new();
    let order = order(1, create(VM));
    sent_without_keys(&mut node, &order);
    while node.turn().expect("nobody kills") {}
    node.tell(Input::Ticked);
    while node.turn().expect("nobody kills") {}
    let wanted = Outcome::KeysWanted {
        keys: vec![KeyId(1)],
    };
    assert_eq!(outcomes(&node, 1), [Outcome::Accepted, wanted.clone()]);
    node.order(&order);
    node.settle();
    assert_eq!(
        outcomes(&node, 1),
        [Outcome::Accepted, wanted, Outcome::Accepted, Outcome::Done]
    );
}

/// No key is ever in the journal, nor in what a message shows of itself.
#[test]
fn keys_are_never_written() {
    let node = settled(&[order(1, create(VM)), order(2, Verb::Start)]);
    let written = node.journal.concat();
    assert!(written.contains("\"key\":1"));
    for key in [b"first", b"secon"] {
        let text = String::from_utf8_lossy(key).into_owned();
        let numbers = format!("{key:?}").replace(' ', "");
        let numbers = numbers.trim_matches(['[', ']']).to_owned();
        let shown = format!("{:?}", keys());
        for place in [&written, &shown] {
            assert!(
                !place.contains(&text) && !place.contains(&numbers),
                "{text}"
            );
        }
    }
}

/// Goes on to a point of operation 2; there the agent is killed, which loses all keys, and the
/// operation called off and late.
fn forgotten_and_called_off(node: &mut Node, at: impl Fn(&String) -> bool) {
    while !node.points.iter().any(&at) {
        node.turn().expect("nobody kills");
    }
    node.sent.clear();
    node.restart();
    node.tell(Input::CalledOff {
        operation: OperationId(2),
    });
    node.now = DEADLINE;
    node.tell(Input::Ticked);
    while node.turn().expect("nobody kills") {}
}

/// What was done to an encrypted disk is undone with its key, which is asked for.
#[test]
fn a_new_size_waits_for_its_keys_on_the_way_back() {
    let mut node = settled(&[order(1, create(VM))]);
    let scale = Scale::Disk {
        disk: "data".to_owned(),
        size_mib: 20,
    };
    let scaling = order(2, Verb::Scale { scale });
    node.order(&scaling);
    forgotten_and_called_off(&mut node, |point| *point == "before scale vm 7");
    let keys = vec![KeyId(1)];
    let told = outcomes(&node, 2);
    assert_eq!(told.last(), Some(&Outcome::KeysWanted { keys }));
    let tries = node.points.iter();
    let tries = tries.filter(|point| *point == "before scale vm 7").count();
    assert_eq!(tries, 1, "nothing is tried without the key");
    node.order(&scaling);
    node.settle();
    assert_eq!(node.ends[&OperationId(2)], [Outcome::Cancelled]);
    node.world.check(node.agent.ledger(), &naming());
}

/// A rotation that is turned back, or is past its point of no return, asks for the one key that it needs
/// and waits for it, whoever is impatient; the disk then opens by one key, which the ledger names.
#[test]
fn a_rotation_waits_for_its_keys_on_either_way() {
    let (from, to) = (KeyId(1), KeyId(2));
    let rotation = order(2, Verb::RotateKey { from, to });
    for (last, is_back) in [("rekey vm 7", true), ("keep key 2 of data alone", false)] {
        let mut node = settled(&[order(1, create(VM))]);
        node.order(&rotation);
        let at = |point: &String| *point == format!("before {last}");
        forgotten_and_called_off(&mut node, at);
        let keys = vec![if is_back { from } else { to }];
        let told = outcomes(&node, 2);
        assert_eq!(told.last(), Some(&Outcome::KeysWanted { keys }), "{last}");
        node.order(&rotation);
        node.settle();
        let end = if is_back {
            Outcome::Cancelled
        } else {
            Outcome::Done
        };
        assert_eq!(node.ends[&OperationId(2)], [end], "{last}");
        node.world.check(node.agent.ledger(), &naming());
        let disks = &node.agent.ledger().vms[&VM].blueprint.disks;
        let key = disks[1].encryption.expect("it is encrypted").key;
        assert_eq!(key, if is_back { from } else { to }, "{last}");
    }
}

/// A key that opens nothing is not rotated, nor one into another that opens something else; one that
/// was rotated already is.
#[test]
fn a_rotation_is_from_a_known_key_to_a_new_one() {
    let rotate = |from, to| Verb::RotateKey {
        from: KeyId(from),
        to: KeyId(to),
    };
    let failed = |reason: &str| Outcome::Failed {
        reason: reason.to_owned(),
    };
    for (from, to, end) in [
        (1, 2, Outcome::Done),
        (5, 1, Outcome::Done),
        (
            5,
            6,
            failed("from is key 5, expected a key of a disk of vm 7"),
        ),
        (
            1,
            1,
            failed("to is key 1, expected a key that no disk of vm 7 has"),
        ),
    ] {
        let node = settled(&[order(1, create(VM)), order(2, rotate(from, to))]);
        assert_eq!(node.ends[&OperationId(2)], [end], "{from} to {to}");
    }
    let name = "before".to_owned();
    let kept = order(2, Verb::Snapshot { name });
    let node = settled(&[order(1, create(VM)), kept, order(3, rotate(1, 2))]);
    let reason = "vm 7 has 1 snapshots, which keep their keys; hint: drop them first";
    assert_eq!(node.ends[&OperationId(3)], [failed(reason)]);
}

/// A deadline that passes while keys are waited for ends the order, undone.
#[test]
fn a_deadline_ends_the_wait_for_keys() {
    let mut node = Node::new();
    sent_without_keys(&mut node, &order(1, create(VM)));
    while node.turn().expect("nobody kills") {}
    node.now = DEADLINE;
    node.tell(Input::Ticked);
    node.settle();
    let failed = Outcome::Failed {
        reason: "the deadline has passed".to_owned(),
    };
    assert_eq!(outcomes(&node, 1).last(), Some(&failed));
    node.world.check(node.agent.ledger(), &naming());
}
