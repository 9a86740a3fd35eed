//! The queue of VMs that found no node, reckoned by hand.

use crate::fixture;
use capacity::outcome::{Entry, Fate, Outcome};
use capacity::run::{Options, Waiting, run};
use engine::watch::Unwatched;
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::{Affinity, GroupRule, Scope};
use placement::policy::Policy;

const SLOT: Resources = Resources::cpu_mem(1, 1);
const NODE: NodeId = NodeId(0);

fn options(patience: Option<Span>) -> Options {
    Options {
        waiting: Waiting::Queue { patience },
        log: true,
        ..Options::default()
    }
}

fn log(outcome: &Outcome) -> Vec<(i64, u32, Fate)> {
    let line = |entry: &Entry| (entry.at.0, entry.vm, entry.fate);
    outcome.log.iter().map(line).collect()
}

/// One slot, patience of 60 ms: the VM of higher priority overtakes, one gives up just before its
/// turn, the last is served; waits, percentiles and the mean queue are as reckoned.
#[test]
fn priority_goes_first_and_patience_ends() {
    let vms = [
        (0, Some(50), 0),
        (10, Some(9), 0),
        (20, Some(30), 0),
        (30, Some(10), 0),
    ];
    let mut trace = fixture::trace(&[SLOT], &vms, 100);
    trace.vms[2].priority = 5;
    let grid = fixture::grid(&[(1, SLOT)]);
    let options = options(Some(Span(60)));
    let outcome =
        run(&trace, &grid, &Policy::FirstFit, &options, &Unwatched).expect("not cancelled");
    let expected = [
        (0, 0, Fate::Placed(NODE)),
        (10, 1, Fate::Queued),
        (20, 2, Fate::Queued),
        (30, 3, Fate::Queued),
        (50, 0, Fate::Released(NODE)),
        (50, 2, Fate::Placed(NODE)),
        (70, 1, Fate::GaveUp),
        (80, 2, Fate::Released(NODE)),
        (80, 3, Fate::Placed(NODE)),
        (90, 3, Fate::Released(NODE)),
    ];
    assert_eq!(log(&outcome), expected);
    let summary = outcome.summary;
    assert_eq!(
        (summary.placed, summary.rejected, summary.waiting_at_end),
        (3, 1, 0)
    );
    // 60 ms of VM 1, 30 of VM 2 and 50 of VM 3; of the four waits 0, 30, 50 and for ever.
    assert_eq!(summary.waiting, 140.0 / 100.0);
    assert_eq!(
        summary.wait_seconds,
        [0.08 / 3.0, 0.03, f64::INFINITY, f64::INFINITY]
    );
}

/// A departure lets a small VM overtake a large one that still has no room, and who waits at the end
/// is counted so.
#[test]
fn small_ones_overtake_what_does_not_fit() {
    let large = Resources::cpu_mem(3, 3);
    let vms = [
        (0, Some(40), 0),
        (0, None, 0),
        (0, None, 0),
        (10, Some(5), 1),
        (20, Some(5), 0),
    ];
    let trace = fixture::trace(&[SLOT, large], &vms, 100);
    let grid = fixture::grid(&[(1, large)]);
    let run = run(&trace, &grid, &Policy::FirstFit, &options(None), &Unwatched);
    let outcome = run.expect("not cancelled");
    let expected = [
        (40, 0, Fate::Released(NODE)),
        (40, 4, Fate::Placed(NODE)),
        (45, 4, Fate::Released(NODE)),
    ];
    assert_eq!(log(&outcome)[5..], expected);
    assert_eq!(outcome.summary.waiting_at_end, 1);
    assert_eq!(outcome.summary.rejected, 0);
}

/// The departure of a group's member opens another node than the one it left: two VMs that must be in
/// different racks, one rack of two nodes; the other node is taken as soon as the first VM leaves.
#[test]
fn a_member_leaving_opens_other_nodes_to_its_group() {
    let vms = [
        (0, Some(30), 0),
        (0, None, 1),
        (10, Some(5), 1),
        (20, Some(5), 0),
    ];
    let half = Resources::cpu_mem(2, 2);
    let mut trace = fixture::trace(&[half, SLOT], &vms, 100);
    trace.groups = vec![GroupRule {
        kind: Affinity::Apart,
        scope: Scope::Rack,
    }];
    trace.vms[0].group = Some(0);
    trace.vms[2].group = Some(0);
    let grid = fixture::grid(&[(2, half)]);
    let run = run(&trace, &grid, &Policy::FirstFit, &options(None), &Unwatched);
    let outcome = run.expect("not cancelled");
    let expected = [
        (0, 0, Fate::Placed(NodeId(0))),
        (0, 1, Fate::Placed(NodeId(1))),
        (10, 2, Fate::Queued),
        (20, 3, Fate::Queued),
        (30, 0, Fate::Released(NodeId(0))),
        (30, 2, Fate::Placed(NodeId(0))),
        (35, 2, Fate::Released(NodeId(0))),
        (35, 3, Fate::Placed(NodeId(0))),
        (40, 3, Fate::Released(NodeId(0))),
    ];
    assert_eq!(log(&outcome), expected);
    assert_eq!(outcome.log.last().map(|entry| entry.at), Some(Time(40)));
}
