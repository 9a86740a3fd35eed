//! Keys come with an order, are asked for where they are lacking, and are never written.

use crate::node::{Node, keys, naming};
use crate::orders::{DEADLINE, VM, create, order};
use crate::rules::{outcomes, settled};
use agent::message::Input;
use agent::secret::Keys;
use model::id::KeyId;
use model::order::{Order, Verb};
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
