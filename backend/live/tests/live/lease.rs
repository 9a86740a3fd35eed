//! The lease with real guests: those that are highly available end with it, whatever the agent does.

use crate::node::{Hypervisor, Node, wait_until};
use link::protocol::{Answer, Request};
use live::clock::since_boot;
use live::journal::replace;
use live::watchdog::{Orders, is_held};
use model::order::{Shutdown, Verb};
use model::report::{Outcome, VmState};
use model::time::Span;
use rustix::process::Signal;
use std::fs;
use std::time::Instant;

/// A highly available guest is stopped once the lease lapses, though the agent was killed; and not
/// while the lease is renewed.
#[test]
fn the_watchdog_outlives_the_agent() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    let renew = |millis| Request::Renew {
        span: Span(millis),
        from: None,
    };
    assert_eq!(node.ask(&renew(600_000)), Answer::Heard);
    let create = node.create_available();
    assert_eq!(node.order(&create), Some(Outcome::Done));
    assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
    node.kill();
    assert_eq!(node.guests(), 1, "its lease has not lapsed");
    lapse(&node);
    wait_until("the watchdog to stop the guest", || node.guests() == 0);
}

/// Tells the watchdog that the lease lapses in a moment: no agent shortens the one that it has.
fn lapse(node: &Node) {
    let file = node.root().join("watchdog.json");
    let orders = fs::read_to_string(&file).expect("the watchdog's orders");
    let mut orders: Orders = serde_json::from_str(&orders).expect("they are JSON");
    orders.until = Some(Span(since_boot().0 + 300));
    let orders = serde_json::to_vec(&orders).expect("they are JSON");
    replace(&file, &orders).expect("new orders");
}

/// An agent that hangs with all that it holds keeps no guest alive: the watchdog ends the guest by
/// its processes, and an agent that wakes up afterwards finds it gone and lets it be.
#[test]
fn a_hung_agent_keeps_no_guest_alive() {
    for hypervisor in [Hypervisor::Uml, Hypervisor::Qemu] {
        let mut node = Node::new(hypervisor);
        node.start(None);
        let span = Span(600_000);
        assert_eq!(
            node.ask(&Request::Renew { span, from: None }),
            Answer::Heard
        );
        let create = node.create_available();
        assert_eq!(node.order(&create), Some(Outcome::Done));
        assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
        assert_eq!(node.firsts(), 1);
        let mut asked = None;
        if hypervisor == Hypervisor::Qemu {
            // The guest does not hear, and so the agent waits with the VM's lock in its hands.
            let patience_millis = 600_000;
            let shutdown = Shutdown::Asked { patience_millis };
            asked = Some(node.begin(&Verb::Stop { shutdown }));
            let lock = node.root().join("driver/vm-7/lock");
            wait_until("the agent to hold the VM", || {
                is_held(&lock).expect("a lock")
            });
        }
        node.signal(Signal::STOP);
        lapse(&node);
        let begun = Instant::now();
        wait_until("the watchdog to stop the guest", || node.firsts() == 0);
        println!(
            "{hypervisor:?}: gone {:?} after the lapse was told",
            begun.elapsed()
        );
        node.signal(Signal::CONT);
        wait_until("the agent to see it", || {
            node.status().vms[0].state != Some(VmState::Running)
        });
        assert_eq!(node.firsts(), 0, "it runs again");
        drop(asked);
    }
}

/// Without a new lease a living agent stops the guest itself.
#[test]
fn an_agent_without_a_lease_stops_what_is_highly_available() {
    let mut node = Node::new(Hypervisor::Uml);
    node.start(None);
    let create = node.create_available();
    assert_eq!(node.order(&create), Some(Outcome::Done));
    let refused = node.order(&Verb::Start);
    assert!(
        matches!(refused, Some(Outcome::Failed { .. })),
        "{refused:?}"
    );
    let span = Span(4_000);
    assert_eq!(
        node.ask(&Request::Renew { span, from: None }),
        Answer::Heard
    );
    assert_eq!(node.order(&Verb::Start), Some(Outcome::Done));
    wait_until("the agent to stop it", || {
        node.status().vms[0].state == Some(VmState::Stopped)
    });
    assert_eq!(node.guests(), 0);
}
