//! Random traces on random grids: what always holds, and every figure against a slow oracle.

use crate::fixture;
use crate::oracle::Slow;
use capacity::outcome::{Entry, Fate, Outcome, Summary};
use capacity::replay::Replay;
use capacity::run::{Options, Waiting, run};
use capacity::simulation::Simulation;
use capacity::trace::Trace;
use engine::watch::{Cancelled, Unwatched, Watch};
use model::grid::Grid;
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::Demand;
use placement::placer::Search;
use placement::policy::Policy;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A trace, its grid, and what becomes of VMs that find no node.
#[derive(Clone, Debug)]
pub struct Scene {
    pub trace: Trace,
    pub grid: Arc<Grid>,
    policy: Policy,
    waiting: Waiting,
}

impl Scene {
    fn run(&self, search: Search) -> Outcome {
        let watch = &Unwatched;
        run(
            &self.trace,
            &self.grid,
            &self.policy,
            &self.options(search),
            watch,
        )
        .expect("nobody cancels")
    }

    fn options(&self, search: Search) -> Options {
        Options {
            search,
            waiting: self.waiting,
            bins: 7,
            log: true,
            ..Options::default()
        }
    }
}

/// Small figures, so that instants, shapes and leftovers often coincide.
fn scenes() -> impl Strategy<Value = Scene> {
    let shape = (1u32..5, 0u32..5, 0u32..2).prop_map(|(c, m, d)| of(c, m, d));
    let group = (1u32..5, 1u32..9, 1u32..9, 0u32..3);
    let group = group.prop_map(|(count, c, m, d)| (count, of(c, m, d)));
    let vm = (
        -20i64..100,
        proptest::option::weighted(0.8, 0i64..60),
        any::<u32>(),
        0u8..3,
    );
    let patience = proptest::option::of(0i64..40).prop_map(|p| p.map(Span));
    let waiting = prop_oneof![
        Just(Waiting::Refuse),
        patience.prop_map(|patience| Waiting::Queue { patience }),
    ];
    let policy = prop_oneof![Just(Policy::FirstFit), Just(Policy::BestFit)];
    (
        vec(shape, 1..4),
        vec(group, 1..4),
        vec(vm, 0..80),
        60i64..130,
        waiting,
        policy,
    )
        .prop_map(|(shapes, groups, mut vms, end, waiting, policy)| {
            vms.sort_by_key(|vm| vm.0);
            let plain: Vec<_> = vms
                .iter()
                .map(|&(at, stay, shape, _)| (at, stay, shape % shapes.len() as u32))
                .collect();
            let mut trace = fixture::trace(&shapes, &plain, end);
            for (vm, drawn) in trace.vms.iter_mut().zip(&vms) {
                vm.priority = drawn.3;
            }
            Scene {
                trace,
                grid: fixture::grid(&groups),
                policy,
                waiting,
            }
        })
}

fn of(cores: u32, mib: u32, gib: u32) -> Resources {
    Resources::from_array([cores, mib, gib, 0, 0, 0])
}

proptest! {
    /// After every event the placer's books are what the VMs alive add up to, and no node has more
    /// than its capacity.
    #[test]
    fn no_node_is_over_capacity_at_any_event(scene in scenes()) {
        let options = scene.options(Search::Indexed);
        let mut run = Simulation::new(&scene.trace, &scene.grid, &scene.policy, &options);
        while run.step().is_some() {
            let mut used = vec![Resources::default(); scene.grid.nodes.len()];
            for vm in 0..scene.trace.vms.len() {
                if let Some(node) = run.node_of(vm as u32) {
                    let sum = used[node.index()].checked_add(demand(&scene.trace, vm));
                    used[node.index()] = sum.expect("small figures");
                }
            }
            for node in scene.grid.node_ids() {
                let left = scene.grid.class_of(node).capacity.checked_sub(used[node.index()]);
                prop_assert_eq!(left, Some(run.placer().free(node)), "{}", node);
            }
        }
    }

    /// Every VM arrives once and has one fate: placed once and released at most once, at its time; or
    /// refused; or still waiting. Whoever waits never waits beyond its patience.
    #[test]
    fn every_vm_has_one_fate(scene in scenes()) {
        let outcome = scene.run(Search::Indexed);
        let mut fates: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for entry in &outcome.log {
            fates.entry(entry.vm).or_default().push(*entry);
        }
        prop_assert_eq!(fates.len(), scene.trace.vms.len());
        prop_assert!(outcome.log.is_sorted_by_key(|entry| entry.at));
        let mut tally = Summary::default();
        for (vm, entries) in fates {
            let mut entries = entries.into_iter().peekable();
            let request = &scene.trace.vms[vm as usize];
            let came = request.arrival.max(Time(0));
            prop_assert_eq!(entries.peek().map(|e| e.at), Some(came));
            entries.next_if(|e| e.fate == Fate::Queued);
            match entries.next() {
                None => tally.waiting_at_end += 1,
                Some(Entry { at, fate: Fate::Placed(node), .. }) => {
                    tally.placed += 1;
                    let stay = request.duration.map(|stay| Span((stay.0 + request.arrival.0.min(0)).max(0)));
                    match entries.next() {
                        Some(left) => {
                            tally.released += 1;
                            prop_assert_eq!(left.fate, Fate::Released(node));
                            prop_assert_eq!(stay, Some(left.at - at));
                        }
                        None => prop_assert!(stay.is_none_or(|stay| at + stay > end_of(&scene.trace))),
                    }
                }
                Some(Entry { at, fate: Fate::GaveUp, .. }) => {
                    tally.rejected += 1;
                    let Waiting::Queue { patience: Some(patience) } = scene.waiting else {
                        return Err(TestCaseError::fail("gave up without need"));
                    };
                    prop_assert_eq!(at - came, patience);
                }
                Some(Entry { fate: Fate::Refused(_), .. }) => {
                    tally.rejected += 1;
                    prop_assert_eq!(scene.waiting, Waiting::Refuse);
                }
                Some(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
            prop_assert_eq!(entries.next(), None);
        }
        let summary = outcome.summary;
        prop_assert_eq!(summary.vms, scene.trace.vms.len() as u64);
        prop_assert_eq!(summary.vms, summary.placed + summary.rejected + summary.waiting_at_end);
        prop_assert_eq!(summary.events, summary.vms + summary.released);
        prop_assert_eq!(summary.rejections.values().sum::<u64>(), summary.rejected);
        prop_assert_eq!(
            (tally.placed, tally.rejected, tally.released, tally.waiting_at_end),
            (summary.placed, summary.rejected, summary.released, summary.waiting_at_end)
        );
    }

    /// The fast and the naive search leave the same outcome, to the last bit, and so does a second run.
    #[test]
    fn runs_agree(scene in scenes()) {
        let outcome = scene.run(Search::Indexed);
        prop_assert_eq!(&outcome, &scene.run(Search::Indexed));
        prop_assert_eq!(&outcome, &scene.run(Search::Naive));
    }

    /// Every average is what adding up the state of each millisecond gives, over all, over bins and by
    /// node.
    #[test]
    fn averages_are_the_sum_of_their_milliseconds(scene in scenes()) {
        let outcome = scene.run(Search::Indexed);
        let slow = Slow::new(&scene, &outcome);
        slow.check(&outcome)?;
    }

    /// A replay shows at each instant who is where, whether VMs waited or not.
    #[test]
    fn replays_show_who_is_where(scene in scenes()) {
        let outcome = scene.run(Search::Indexed);
        let slow = Slow::new(&scene, &outcome);
        let (trace, grid) = (Arc::new(scene.trace.clone()), Arc::clone(&scene.grid));
        let replay = Replay::new(trace, grid, Arc::new(outcome)).expect("the log was kept");
        for (millis, places) in slow.places.iter().enumerate() {
            let view = replay.view_at(Time(millis as i64));
            for (shown, vms) in view.nodes.iter().zip(places) {
                let mut vms = vms.clone();
                vms.sort_unstable();
                prop_assert!(shown.vms.iter().map(|vm| vm.id.0 as usize).eq(vms));
            }
        }
    }

    /// Little's law, exactly: VMs alive over time are the stays put end to end, and VMs waiting are the
    /// waits.
    #[test]
    fn littles_law_holds(scene in scenes()) {
        let outcome = scene.run(Search::Indexed);
        let end = end_of(&scene.trace);
        let (mut stays, mut waits) = (0, 0);
        for entry in &outcome.log {
            let rest = (end - entry.at).0;
            match entry.fate {
                Fate::Placed(_) => stays += rest,
                Fate::Released(_) => stays -= rest,
                Fate::Queued => waits += rest,
                Fate::GaveUp => waits -= rest,
                Fate::Refused(_) => {}
            }
        }
        let queued = outcome.log.iter().filter(|entry| entry.fate == Fate::Queued);
        let queued: BTreeMap<u32, Time> = queued.map(|entry| (entry.vm, entry.at)).collect();
        let mut waited = 0;
        for entry in &outcome.log {
            if let (Fate::Placed(_), Some(since)) = (entry.fate, queued.get(&entry.vm)) {
                waits -= (end - entry.at).0;
                waited += (entry.at - *since).0;
            }
        }
        let summary = outcome.summary;
        prop_assert_eq!(summary.alive, stays as f64 / end.0 as f64);
        prop_assert_eq!(summary.waiting, waits as f64 / end.0 as f64);
        let mean = waited as f64 / 1_000.0 / summary.placed.max(1) as f64;
        prop_assert_eq!(summary.wait_seconds[0], mean);
    }
}

/// A watcher hears of all VMs at the end, and one that cancels ends the run.
#[test]
fn runs_are_watched_and_can_be_cancelled() {
    struct Heard(AtomicU64, AtomicU64, u64);
    impl Watch for Heard {
        fn progress(&self, done: u64, total: u64) -> Result<(), Cancelled> {
            let words = self.0.fetch_add(1, Ordering::Relaxed);
            self.1.store(done, Ordering::Relaxed);
            assert_eq!(total, 20_000);
            if words < self.2 {
                Ok(())
            } else {
                Err(Cancelled)
            }
        }
    }
    let vms: Vec<_> = (0..20_000).map(|at| (at, Some(50), 0)).collect();
    let trace = fixture::trace(&[of(1, 1, 0)], &vms, 20_000);
    let grid = fixture::grid(&[(1, of(100, 100, 0))]);
    let run = |watch: &Heard| run(&trace, &grid, &Policy::FirstFit, &Options::default(), watch);
    let patient = Heard(AtomicU64::new(0), AtomicU64::new(0), u64::MAX);
    assert!(run(&patient).is_ok());
    assert_eq!(patient.1.into_inner(), 20_000);
    // 39,951 events, a word every 4,096, and one before the first and one after the last.
    assert_eq!(patient.0.into_inner(), 9 + 2);
    let hasty = Heard(AtomicU64::new(0), AtomicU64::new(0), 3);
    assert_eq!(run(&hasty), Err(Cancelled));
    assert!(hasty.1.into_inner() < 20_000);
}

pub fn demand(trace: &Trace, vm: usize) -> Resources {
    match trace.shapes[trace.vms[vm].shape as usize].demand {
        Demand::Fixed(resources) => resources,
        Demand::ShareOfModel(_) => unreachable!("these traces have fixed demands"),
    }
}

pub fn end_of(trace: &Trace) -> Time {
    let last = trace.vms.last().map_or(Time::ZERO, |vm| vm.arrival);
    trace.end.max(last)
}
