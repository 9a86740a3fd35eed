//! A node is emptied, or nothing changes.

use crate::fixture::{Fixture, deploy, servers};
use control::backend::{Command, Refused};
use control::journal::Entry;
use model::grid::NodeState;
use model::id::{NodeId, VmId};
use model::order::{Passage, Verb};
use model::report::VmState;
use model::time::Span;
use std::collections::BTreeSet;

fn drained(node: NodeId) -> Command {
    let state = NodeState::Draining;
    Command::Node { node, state }
}

/// All VMs of a node go elsewhere, running, few at a time, and it takes no others.
#[test]
fn all_leave() {
    let mut fixture = Fixture::new(3);
    fixture.done(deploy(servers("ada", 4)));
    let node = fixture.node_of(VmId(0));
    let here = fixture.held[node.index()].clone();
    assert!(here.len() > 2, "best fit fills one node first: {here:?}");
    fixture.accepted(drained(node));
    let received = |fixture: &Fixture| {
        let orders = fixture.orders.values();
        let orders = orders.filter(|order| matches!(order.verb, Verb::Receive { .. }));
        orders.count()
    };
    assert_eq!(received(&fixture), 2, "few at a time");
    for order in fixture.orders.values() {
        assert!(
            matches!(
                order.verb,
                Verb::Receive {
                    passage: Passage::Live,
                    ..
                }
            ),
            "{order:?}"
        );
    }
    fixture.carry_out();
    assert!(fixture.held[node.index()].is_empty());
    let moved: BTreeSet<VmId> = fixture
        .held
        .iter()
        .flat_map(|vms| vms.keys().copied())
        .collect();
    assert_eq!(moved, here.keys().copied().collect());
    for vm in here.keys() {
        let there = fixture.node_of(*vm);
        assert_eq!(fixture.held[there.index()][vm], VmState::Running);
    }
    let view = fixture.controller.view();
    assert_eq!(view.nodes[node.index()].used, Default::default());
    assert_eq!(view.nodes[node.index()].state, NodeState::Draining);
    fixture.done(deploy(servers("bob", 2)));
    assert!(fixture.held[node.index()].is_empty());
}

/// Where one VM has nowhere to go, none goes, and the grid is as it was.
#[test]
fn none_leaves_where_one_cannot() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 7)));
    let (node, other) = (NodeId(0), NodeId(1));
    assert!(!fixture.held[0].is_empty() && !fixture.held[1].is_empty());
    let before = fixture.controller.ledger().clone();
    let view = fixture.controller.view().clone();
    for node in [node, other] {
        let (operation, answer) = fixture.ask(drained(node));
        let Err(Refused::Unplaced { why }) = &answer else {
            panic!("{answer:?}");
        };
        assert!(why.contains("no node fits vm web-"), "{why}");
        let refused = Entry::Refused {
            operation,
            why: Refused::Unplaced { why: why.clone() },
        };
        assert_eq!(fixture.journal.last(), Some(&refused));
    }
    let after = fixture.controller.ledger();
    assert_eq!((&after.vms, &after.nodes), (&before.vms, &before.nodes));
    assert_eq!(after.generation, before.generation);
    assert!(after.open.is_empty() && fixture.orders.is_empty());
    assert_eq!(*fixture.controller.view(), view);
}

/// While a VM moves, both of its nodes have room for it, and the one that it left none for it after.
#[test]
fn a_move_has_its_room_on_both_nodes() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 1)));
    let used = |fixture: &Fixture, node: NodeId| {
        let view = fixture.controller.view();
        view.nodes[node.index()].used.cpu_milli.0
    };
    let (vm, from) = (VmId(0), fixture.node_of(VmId(0)));
    let to = NodeId(1 - from.0);
    let operation = fixture.accepted(Command::Move { vm, to: Some(to) });
    assert_eq!((used(&fixture, from), used(&fixture, to)), (2_000, 2_000));
    fixture.carry_out();
    assert_eq!(fixture.ends(operation).len(), 1);
    assert_eq!((used(&fixture, from), used(&fixture, to)), (0, 2_000));
    fixture.pass(Span(60_000));
    assert!(fixture.orders.is_empty());
}

/// A move that fails leaves the VM where it was.
#[test]
fn a_failed_move_leaves_it_there() {
    let mut fixture = Fixture::new(2);
    fixture.done(deploy(servers("ada", 1)));
    let (vm, from) = (VmId(0), fixture.node_of(VmId(0)));
    let operation = fixture.accepted(Command::Move { vm, to: None });
    fixture.listen();
    let orders: Vec<_> = fixture.orders.values().cloned().collect();
    let [receive, send] = &orders[..] else {
        panic!("{orders:?}");
    };
    let reason = "nobody waits for it".to_owned();
    fixture.end(send, model::report::Outcome::Failed { reason });
    assert!(fixture.called_off.contains(&receive.operation));
    fixture.carry_out();
    assert_eq!(fixture.ends(operation).len(), 1);
    assert_eq!(fixture.node_of(vm), from);
    let other = NodeId(1 - from.0);
    let view = fixture.controller.view();
    assert_eq!(view.nodes[other.index()].used, Default::default());
    assert_eq!(fixture.held[from.index()][&vm], VmState::Running);
}
