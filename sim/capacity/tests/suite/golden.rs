//! A run small enough to be reckoned by hand, with every figure of its summary written down.

use crate::fixture;
use capacity::outcome::{Entry, Fate, Outcome};
use capacity::run::{Options, Waiting, run};
use capacity::trace::Trace;
use engine::watch::Unwatched;
use model::grid::Grid;
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::{DIMENSIONS, Dimension, Resources};
use placement::filter::Filter;
use placement::placer::Search;
use placement::policy::Policy;
use std::sync::Arc;

/// Two nodes, of 4 cores / 4 MiB and 8 cores / 8 MiB, for 100 ms; best fit.
///
/// | VM | asks  | came | stays | goes to                                                             |
/// |----|-------|------|-------|---------------------------------------------------------------------|
/// | 0  | 2c 2M | -10  | 30    | node 0 (less left over), at 0, to 20 as 10 of its 30 ms are past     |
/// | 1  | 4c 4M | 0    | –     | node 1 (node 0 has 2 cores), to the end                              |
/// | 2  | 2c 2M | 10   | 40    | node 0, which is full then, to 50                                    |
/// | 3  | 4c 4M | 20   | 30    | node 1 (node 0 has 2 cores: VM 0 left at 20, before this), to 50     |
/// | 4  | 4c 4M | 40   | 10    | nowhere: node 0 has 2 cores, node 1 none                             |
/// | 5  | 4c 4M | 60   | 100   | node 0 (nothing left over on either: the lower id), alive at the end |
pub fn scene() -> (Trace, Arc<Grid>) {
    let grid = fixture::grid(&[
        (1, Resources::cpu_mem(4_000, 4)),
        (1, Resources::cpu_mem(8_000, 8)),
    ]);
    let trace = fixture::trace(
        &[Resources::cpu_mem(2_000, 2), Resources::cpu_mem(4_000, 4)],
        &[
            (-10, Some(30), 0),
            (0, None, 1),
            (10, Some(40), 0),
            (20, Some(30), 1),
            (40, Some(10), 1),
            (60, Some(100), 1),
        ],
        100,
    );
    (trace, grid)
}

/// What comes of it, in two bins, with its log.
pub fn golden() -> Outcome {
    let (trace, grid) = scene();
    let options = Options {
        search: Search::Indexed,
        bins: 2,
        log: true,
        ..Options::default()
    };
    run(&trace, &grid, &Policy::BestFit, &options, &Unwatched).expect("nobody cancels")
}

/// Every decision of the golden run is the one reasoned out by hand.
#[test]
fn the_log_is_as_reasoned() {
    let entry = |at, vm, fate| Entry {
        at: Time(at),
        vm,
        fate,
    };
    let (small, large) = (NodeId(0), NodeId(1));
    let expected = vec![
        entry(0, 0, Fate::Placed(small)),
        entry(0, 1, Fate::Placed(large)),
        entry(10, 2, Fate::Placed(small)),
        entry(20, 0, Fate::Released(small)),
        entry(20, 3, Fate::Placed(large)),
        entry(40, 4, Fate::Refused(Filter::Free(Dimension::Cpu))),
        entry(50, 2, Fate::Released(small)),
        entry(50, 3, Fate::Released(large)),
        entry(60, 5, Fate::Placed(small)),
    ];
    assert_eq!(golden().log, expected);
}

/// Every figure of the summary, with the sum that gives it; cpu in cores, time in ms.
#[test]
fn the_summary_is_as_reasoned() {
    let summary = golden().summary;
    assert_eq!((summary.vms, summary.placed, summary.rejected), (6, 5, 1));
    assert_eq!((summary.released, summary.waiting_at_end), (3, 0));
    assert_eq!((summary.events, summary.peak_alive), (6 + 3, 3));
    assert_eq!(
        summary.rejections,
        [(Filter::Free(Dimension::Cpu), 1)].into()
    );
    // FNV-1a over (0,0) (1,1) (2,0) (3,1) (4,none) (5,0), reckoned by a program of its own.
    assert_eq!(summary.decision_hash, 0x3922_8518_caf9_c138);
    check(summary.acceptance, 5.0 / 6.0);
    // Asked: 2·20 + 4·100 + 2·40 + 4·30 + 4·10 + 4·100; VM 4 did not get its 4·10.
    check(summary.acceptance_core_hours, 1_040.0 / 1_080.0);
    // Node 0: 10·2 + 10·4 + 30·2 + 10·0 + 40·4 = 280; node 1: 20·4 + 30·8 + 50·4 = 520; of 12 · 100.
    // As every VM and node has a MiB a core, memory has the same shares.
    check_cpu_mem(summary.allocated, 800.0 / 1_200.0);
    // Node 0 is empty from 50 to 60: 90·4 + 100·8.
    check_cpu_mem(summary.density, 800.0 / 1_160.0);
    check(summary.empty_nodes, 10.0 / 200.0);
    // Only 2 cores of node 0 from 0 to 10 and from 20 to 50 are free and useless, to four VMs of six.
    check_cpu_mem(summary.stranded, 40.0 * 2.0 * 4.0 / 6.0 / 1_200.0);
    // 2 to 10, 3 to 50, 1 to 60, 2 to the end.
    check(summary.alive, (20.0 + 120.0 + 10.0 + 80.0) / 100.0);
    check(summary.waiting, 0.0);
    assert_eq!(
        summary.wait_seconds,
        [0.0, 0.0, f64::INFINITY, f64::INFINITY]
    );
}

/// The same sums, from 0 to 50 and from 50 to 100.
#[test]
fn the_series_is_as_reasoned() {
    let series = golden().series;
    assert_eq!(series.start, [Time(0), Time(50)]);
    assert_eq!((series.placed, series.rejected), (vec![4, 1], vec![1, 0]));
    check_cpu_mem(series.allocated[0], (120.0 + 320.0) / 600.0);
    check_cpu_mem(series.allocated[1], (160.0 + 200.0) / 600.0);
    check_cpu_mem(series.stranded[0], 40.0 * 2.0 * 4.0 / 6.0 / 600.0);
    check_cpu_mem(series.stranded[1], 0.0);
    check(series.empty_nodes[0], 0.0);
    check(series.empty_nodes[1], 10.0 / 100.0);
    check(series.alive[0], 140.0 / 50.0);
    check(series.alive[1], 90.0 / 50.0);
    assert_eq!(series.waiting, [0.0, 0.0]);
}

/// The same sums, by node.
#[test]
fn the_nodes_are_as_reasoned() {
    let nodes = golden().nodes;
    check_cpu_mem(nodes[0].allocated, 280.0 / 400.0);
    check_cpu_mem(nodes[1].allocated, 520.0 / 800.0);
    check_cpu_mem(nodes[0].peak, 1.0);
    check_cpu_mem(nodes[1].peak, 1.0);
    check(nodes[0].empty, 10.0 / 100.0);
    check(nodes[1].empty, 0.0);
    assert_eq!((nodes[0].placed, nodes[1].placed), (3, 2));
}

/// The only rounding is that of the last division.
fn check(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(error <= 1e-15, "found {found}, expected {expected}");
}

/// The expected share of cores and of memory, and nothing of what the nodes do not have.
fn check_cpu_mem(found: [f64; DIMENSIONS], expected: f64) {
    check(found[0], expected);
    check(found[1], expected);
    assert_eq!(found[2..], [0.0; DIMENSIONS - 2]);
}

/// A departure dated after the end of the trace is handled, and no figure over time counts it.
#[test]
fn late_departures_are_handled_unmeasured() {
    let vms = [(0, Some(50), 0), (10, Some(500), 0)];
    let grid = fixture::grid(&[(1, Resources::cpu_mem(4_000, 4))]);
    let until = |dated_until| {
        let trace = Trace {
            dated_until: Time(dated_until),
            ..fixture::trace(&[Resources::cpu_mem(1_000, 1)], &vms, 100)
        };
        let options = Options::default();
        run(&trace, &grid, &Policy::BestFit, &options, &Unwatched).expect("nobody cancels")
    };
    let (without, with) = (until(0), until(510));
    assert_eq!((without.summary.released, with.summary.released), (1, 2));
    assert_eq!((without.summary.events, with.summary.events), (3, 4));
    assert_eq!(without.series, with.series);
    assert_eq!(without.nodes, with.nodes);
    assert_eq!(without.summary.alive, with.summary.alive);
}

/// Who waits when the trace ends is waiting still, whatever departures the trace dates after that.
#[test]
fn nobody_gives_up_after_the_end() {
    let vms = [(0, Some(500), 0), (90, Some(10), 0)];
    let trace = Trace {
        dated_until: Time(500),
        ..fixture::trace(&[Resources::cpu_mem(1_000, 1)], &vms, 100)
    };
    let grid = fixture::grid(&[(1, Resources::cpu_mem(1_000, 1))]);
    let patience = Some(Span(50));
    let options = Options {
        waiting: Waiting::Queue { patience },
        ..Options::default()
    };
    let outcome = run(&trace, &grid, &Policy::BestFit, &options, &Unwatched);
    let summary = outcome.expect("nobody cancels").summary;
    let counts = (summary.placed, summary.rejected, summary.released);
    assert_eq!((counts, summary.waiting_at_end), ((1, 0, 1), 1));
}

/// A terabyte taken for a thousand years, as long as a trace may last, is more MiB times milliseconds
/// than 64 bits hold, and is counted all the same.
#[test]
fn a_terabyte_for_a_thousand_years() {
    const YEARS: i64 = 1_000 * 365 * 86_400_000;
    let whole = Resources::cpu_mem(1_000, 1 << 20);
    let grid = fixture::grid(&[(1, whole)]);
    let trace = fixture::trace(&[whole], &[(YEARS / 2, None, 0)], YEARS);
    let outcome = run(
        &trace,
        &grid,
        &Policy::BestFit,
        &Options::default(),
        &Unwatched,
    );
    let outcome = outcome.expect("nobody cancels");
    let mem = Dimension::Mem as usize;
    assert_eq!(outcome.nodes[0].allocated[mem], 0.5);
    assert_eq!(outcome.summary.allocated[mem], 0.5);
}
