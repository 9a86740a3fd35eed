//! Days in the lives of modelled grids under the real controller and the real agents: 20 nodes of
//! three hypervisors, 200 VMs, 500 operations and 20 faults a day, from a seed each.
//!
//! `GRIDWRIGHT_SEEDS` is how many days (100), `GRIDWRIGHT_FIRST_SEED` the first of them (0).

mod grid;

use crate::grid::twenty;
use model::time::Span;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::workload::{Day, run};

/// Every this many days one is run twice.
const REPEATED: u64 = 10;

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect("a whole number"))
}

/// Without faults every VM is as wished in the evening, and what was asked was done or refused.
#[test]
fn a_day_without_faults_leaves_nothing() {
    let day = Day {
        faults: 0,
        ..Day::default()
    };
    let world = run(&twenty(), day, 1);
    assert_eq!(world.violations(), Vec::<String>::new());
    let controller = world.controller().expect("nobody killed it");
    assert!(controller.ledger().vms.len() > 100, "a grid of some size");
}

/// Whatever befalls, nothing that must hold is broken, and in the evening all is as wished; the same
/// seed is the same day to the last event.
#[test]
fn days_with_faults_break_nothing() {
    let (first, seeds) = (
        number("GRIDWRIGHT_FIRST_SEED", 0),
        number("GRIDWRIGHT_SEEDS", 100),
    );
    let grid = twenty();
    let next = AtomicU64::new(first);
    let begun = Instant::now();
    let one_after_the_other = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            let world = run(&grid, Day::default(), seed);
            assert_eq!(world.violations(), Vec::<String>::new(), "seed {seed}");
            if seed.is_multiple_of(REPEATED) {
                let again = run(&grid, Day::default(), seed);
                assert_eq!(again.digest(), world.digest(), "seed {seed}, again");
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(one_after_the_other);
        }
    });
    let repeated = seeds.div_ceil(REPEATED);
    let lived = Span((seeds + repeated) as i64 * Day::default().length.0).seconds();
    let times = lived / begun.elapsed().as_secs_f64();
    println!("{seeds} days on {threads} threads, {times:.0} times as fast as they last");
}
