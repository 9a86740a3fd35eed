//! Views of a past run against the log that they come from.

use crate::{fixture, golden};
use capacity::outcome::{Fate, Outcome};
use capacity::replay::{NoLog, Replay};
use capacity::run::{Options, run};
use engine::chance::Stream;
use engine::watch::Unwatched;
use model::event::Happening;
use model::id::{NodeId, VmId};
use model::time::Time;
use model::units::Resources;
use placement::policy::Policy;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who is where just after each instant of the golden run: (instant, VMs of node 0, VMs of node 1).
#[test]
fn views_of_the_golden_run_are_as_reasoned() {
    let (trace, grid) = golden::scene();
    let outcome = Arc::new(golden::golden());
    let replay = Replay::new(Arc::new(trace), grid, outcome).expect("the log was kept");
    let check = |at: i64, small: &[u64], large: &[u64]| {
        let view = replay.view_at(Time(at));
        let ids = |node: usize| view.nodes[node].vms.iter().map(|vm| vm.id.0);
        assert!(ids(0).eq(small.iter().copied()), "node 0 at {at}");
        assert!(ids(1).eq(large.iter().copied()), "node 1 at {at}");
    };
    check(-1, &[], &[]);
    check(0, &[0], &[1]);
    check(19, &[0, 2], &[1]);
    check(20, &[2], &[1, 3]);
    check(49, &[2], &[1, 3]);
    check(50, &[], &[1]);
    check(60, &[5], &[1]);
    check(100, &[5], &[1]);
    assert_eq!(
        replay.view_at(Time(20)).nodes[1].used,
        Resources::cpu_mem(8_000, 8)
    );
    assert_eq!(replay.view_at(Time(70)).nodes[0].vms[0].since, Time(60));
    assert_eq!(replay.span(), (Time(0), Time(100)));
}

/// An event's number is its place in the log, and a refusal names its filter.
#[test]
fn events_follow_the_log() {
    let (trace, grid) = golden::scene();
    let outcome = Arc::new(golden::golden());
    let replay = Replay::new(Arc::new(trace), grid, outcome).expect("the log was kept");
    let events = replay.events(5, 2);
    let refused = Happening::Refused {
        vm: VmId(4),
        reason: "too little cpu free".into(),
    };
    let released = Happening::Released {
        vm: VmId(2),
        node: NodeId(0),
    };
    let found: Vec<_> = events.into_iter().map(|event| event.happening).collect();
    assert_eq!(found, [refused, released]);
    assert_eq!(replay.events(8, 10).len(), 1);
    assert!(replay.events(9, 10).is_empty());
}

/// Without a log there is nothing to replay, and the error says what to do.
#[test]
fn a_run_without_a_log_is_refused() {
    let (trace, grid) = golden::scene();
    let mut outcome = golden::golden();
    outcome.log.clear();
    let refused = Replay::new(Arc::new(trace), grid, Arc::new(outcome)).expect_err("no log");
    assert_eq!(refused, NoLog { vms: 6 });
}

/// A run long enough for several checkpoints, seen at instants all over it, shows what a plain walk
/// through the log from its beginning shows.
#[test]
fn checkpoints_change_nothing() {
    let mut chance = Stream::new(7, 0, "replay test");
    let mut arrival = 0;
    let vms: Vec<_> = (0..20_000)
        .map(|_| {
            arrival += chance.below(10) as i64;
            (
                arrival,
                Some(chance.below(5_000) as i64),
                chance.below(2) as u32,
            )
        })
        .collect();
    let shapes = [Resources::cpu_mem(1_000, 1), Resources::cpu_mem(3_000, 5)];
    let trace = fixture::trace(&shapes, &vms, arrival + 5_000);
    let grid = fixture::grid(&[(60, Resources::cpu_mem(16_000, 32))]);
    let options = Options {
        log: true,
        ..Options::default()
    };
    let outcome =
        run(&trace, &grid, &Policy::BestFit, &options, &Unwatched).expect("not cancelled");
    assert!(outcome.log.len() > 5 * 4_096, "several checkpoints");
    let end = trace.end.0;
    let replay =
        Replay::new(Arc::new(trace), grid, Arc::new(outcome.clone())).expect("the log was kept");
    for _ in 0..60 {
        let at = Time(chance.below(end as u64) as i64);
        let view = replay.view_at(at);
        let shown = view.nodes.iter().zip(0..).flat_map(|(node, number)| {
            node.vms
                .iter()
                .map(move |vm| (vm.id.0 as u32, NodeId(number)))
        });
        let shown: BTreeMap<u32, NodeId> = shown.collect();
        assert_eq!(shown, walked(&outcome, at), "at {at:?}");
    }
}

fn walked(outcome: &Outcome, at: Time) -> BTreeMap<u32, NodeId> {
    let mut alive = BTreeMap::new();
    for entry in outcome.log.iter().filter(|entry| entry.at <= at) {
        match entry.fate {
            Fate::Placed(node) => {
                alive.insert(entry.vm, node);
            }
            Fate::Released(_) => {
                alive.remove(&entry.vm);
            }
            Fate::Refused(_) | Fate::Queued | Fate::GaveUp => {}
        }
    }
    alive
}
