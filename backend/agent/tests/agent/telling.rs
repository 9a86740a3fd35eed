//! What an agent sees of its VMs by itself, and tells of them.

use crate::node::Node;
use crate::orders::{VM, create, order, stop};
use crate::rules::{outcomes, settled};
use agent::message::Input;
use model::order::Verb;
use model::report::{Outcome, VmState};
use model::sample::Metric;
use model::time::Span;

/// What somebody saw before an act had ended does not hide what the act told.
#[test]
fn an_old_look_hides_nothing() {
    let mut node = settled(&[order(1, create(VM)), order(2, Verb::Start)]);
    let asked = node.now;
    let state = |state| agent::step::SeenState { vm: VM, state };
    let states = vec![state(Some(VmState::Stopped))];
    node.tell(Input::Seen { asked, states });
    assert_eq!(node.agent.seen()[&VM], VmState::Running);
    let asked = node.now + Span(1);
    let states = vec![state(Some(VmState::Failed))];
    node.tell(Input::Seen { asked, states });
    while node.turn().expect("nobody kills") {}
    let last = node.reports.last().expect("it was told");
    let failed = Outcome::Seen {
        state: Some(VmState::Failed),
    };
    assert_eq!((last.vm, &last.outcome), (Some(VM), &failed));
}

/// Stops and reboots are counted once each, asked for or not, whether or not an agent sees them, and
/// are told with what was measured.
#[test]
fn stops_and_reboots_are_counted() {
    let up = [order(1, create(VM)), order(2, Verb::Start)];
    let mut node = settled(&up);
    let gives_up = |node: &mut Node| {
        node.world.vm(VM).state = VmState::Failed;
    };
    node.order(&order(3, Verb::Reboot));
    node.order(&order(4, stop()));
    node.order(&order(5, Verb::Start));
    node.settle();
    gives_up(&mut node);
    for _ in 0..2 {
        let (asked, states) = (node.now + Span(1), node.world.seen());
        node.tell(Input::Seen { asked, states });
    }
    while node.turn().expect("nobody kills") {}
    node.order(&order(6, Verb::Start));
    node.settle();
    gives_up(&mut node);
    node.restart();
    node.restart();
    node.tell(Input::Sampled {
        samples: Vec::new(),
    });
    while node.turn().expect("nobody kills") {}
    let last = node.reports.last().map(|report| &report.outcome);
    let Some(Outcome::Sampled { samples }) = last else {
        panic!("{last:?}");
    };
    let told = |metric| {
        let mut of_vm = samples.iter().filter(|sample| sample.vm == Some(VM));
        of_vm
            .find(|sample| sample.metric == metric)
            .map(|sample| sample.value)
    };
    assert_eq!(told(Metric::Stops), Some(3.0));
    assert_eq!(told(Metric::Reboots), Some(1.0));
}

/// A VM that does not answer an agent that has just started is there all the same: its orders wait for
/// it, but those that end it by force.
#[test]
fn orders_wait_for_a_vm_that_does_not_answer() {
    let up = [order(1, create(VM)), order(2, Verb::Start)];
    let silent = || {
        let mut node = settled(&up);
        node.silent.insert(VM);
        node.restart();
        node
    };
    let mut node = silent();
    node.order(&order(3, Verb::Pause));
    while node.turn().expect("nobody kills") {}
    assert_eq!(outcomes(&node, 3), [Outcome::Accepted]);
    let asked = node.now;
    let states = node.world.seen();
    node.tell(Input::Seen { asked, states });
    node.settle();
    assert_eq!(outcomes(&node, 3), [Outcome::Accepted, Outcome::Done]);

    for verb in [stop(), Verb::Delete] {
        let mut node = silent();
        node.order(&order(3, verb));
        node.settle();
        assert_eq!(outcomes(&node, 3), [Outcome::Accepted, Outcome::Done]);
    }
}
