//! Events a second of whole runs, all figures kept, beside bookkeeping alone in the same run.
//!
//! `cargo bench -p capacity` prints a table, `cargo bench -p capacity -- 1100` the line of one grid.
//! A plain program rather than criterion's harness: a run takes seconds, and what is wanted is its
//! ratio to the bookkeeping measured beside it. On two cores shared with other work: 3.1, 2.3 and 1.7
//! million events a core-second on 1,100, 10,000 and 100,000 nodes, 0.47, 0.45 and 0.44 of
//! bookkeeping alone.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures wall clocks and reads its arguments"
)]

use capacity::run::Options;
use capacity::simulation::Simulation;
use capacity::trace::Trace;
use model::grid::Grid;
use placement::placer::Search;
use placement::policy::Policy;
use std::sync::Arc;
use std::time::Instant;

mod bookkeeping;
mod workload;

/// Each measurement is made so often, and the best one counts: others only had more of the machine
/// taken away from them.
const REPEATS: usize = 3;
/// Nodes that a run under the naive search may look at before it stops: some seconds of work.
const NAIVE_LOOKS: u64 = 200_000_000;

/// The share of bookkeeping's speed that a whole run keeps at the least.
const LEAST_SHARE: f64 = 0.1;

/// How many nodes and VMs; more VMs than are alive at once, so that placing and leaving are mixed.
const SIZES: [(u32, usize); 3] = [(1_100, 400_000), (10_000, 1_000_000), (100_000, 4_000_000)];

fn main() {
    println!(
        "best fit, 85 % of cores in use; million events a core-second, and the share of bookkeeping's"
    );
    println!("   nodes       vms    events  bookkeeping          indexed              naive");
    let asked: Vec<u32> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let sizes = SIZES
        .into_iter()
        .filter(|size| asked.is_empty() || asked.contains(&size.0));
    for (nodes, vms) in sizes {
        let grid = workload::grid(nodes);
        let trace = workload::trace(&grid, vms);
        let repeats = if vms > 1_000_000 { 1 } else { REPEATS };
        let books = best_of(repeats, || bookkeeping::replay(&trace, &grid));
        let indexed = best_of(repeats, || replay(&trace, &grid, Search::Indexed, u64::MAX));
        let naive = best_of(1, || {
            replay(&trace, &grid, Search::Naive, NAIVE_LOOKS / u64::from(nodes))
        });
        assert!(
            indexed.speed() >= LEAST_SHARE * books.speed(),
            "on {nodes} nodes a run has less than {LEAST_SHARE} of the speed of bookkeeping alone"
        );
        println!(
            "{nodes:>8}  {vms:>8}  {:>8}  {:>11.2}  {:>8.2} {:>5.3}x  {:>8.5} {:>7.5}x",
            indexed.events,
            books.speed(),
            indexed.speed(),
            indexed.speed() / books.speed(),
            naive.speed(),
            naive.speed() / books.speed(),
        );
    }
}

/// What was done, in how much time.
#[derive(Clone, Copy)]
struct Measured {
    events: u64,
    seconds: f64,
}

impl Measured {
    /// Million events a second.
    fn speed(self) -> f64 {
        self.events as f64 / self.seconds / 1e6
    }
}

fn best_of(repeats: usize, mut work: impl FnMut() -> u64) -> Measured {
    let measure = |_| {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let events = work();
        let wall = start.elapsed().as_secs_f64();
        let seconds = cpu.and_then(|before| Some(cpu_seconds()? - before));
        Measured {
            events,
            seconds: seconds.unwrap_or(wall),
        }
    };
    let all = (0..repeats.max(1)).map(measure);
    all.max_by(|a, b| a.speed().total_cmp(&b.speed()))
        .expect("there is one measurement at least")
}

/// Seconds of processor time of this thread, where the kernel tells, so that others on the machine
/// take less of the figures away.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// A run with all its figures, from setting up to the summary, or until so many events.
fn replay(trace: &Trace, grid: &Arc<Grid>, search: Search, most: u64) -> u64 {
    let options = Options {
        search,
        ..Options::default()
    };
    let mut run = Simulation::new(trace, grid, &Policy::BestFit, &options);
    while run.events() < most && run.step().is_some() {}
    let summary = run.finish().summary;
    assert_eq!(summary.rejected, 0, "the workload fits the grid");
    summary.events
}
