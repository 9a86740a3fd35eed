//! Bugs that are planted in the controller and in the agents, one at a time: the days of the simulated
//! world find every one of them, each by what it breaks, and find nothing where none is planted.
//!
//! The bugs are in `control::planted` and `agent::planted`, behind the feature `planted`. No other test
//! finds them: with `GRIDWRIGHT_BUG` naming one when its crate is built, all tests of that crate pass, as
//! `make planted` shows.

#[path = "../soak/grid.rs"]
mod grid;
mod table;

use crate::grid::twenty;
use crate::table::{Bug, Invariant, TABLE, Weather};
use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use strum::VariantArray;
use world::workload::run;

/// How many days a bug may stay unfound: the rarest need an order that is overtaken, or a disk that
/// breaks three times, at the right moment.
const SEEDS: u64 = 20;

/// How much of a violation is shown: some are as long as a journal.
const TOLD: usize = 160;

thread_local! {
    /// Whether this thread lives days in which a panic is an answer.
    static IS_TRIED: Cell<bool> = const { Cell::new(false) };
}

/// What is broken in a day: what the world tells, or the assertion that ends it.
fn broken(bug: Option<Bug>, weather: Weather, seed: u64) -> Vec<String> {
    control::planted::plant(match bug {
        Some(Bug::Controller(bug)) => Some(bug),
        _ => None,
    });
    agent::planted::plant(match bug {
        Some(Bug::Agent(bug)) => Some(bug),
        _ => None,
    });
    IS_TRIED.set(true);
    let day = || run(&twenty(), weather.day(), seed).violations().to_vec();
    let violations = catch_unwind(AssertUnwindSafe(day));
    IS_TRIED.set(false);
    violations.unwrap_or_else(|panic| vec![words(&*panic)])
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.expect("panics are told in words")
}

/// Panics of days are read, not shown.
fn be_quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !IS_TRIED.get() {
            before(info);
        }
    }));
}

/// Does something for each of so many numbers, on all cores.
fn on_all_cores(count: usize, each: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    each(number);
                }
            });
        }
    });
}

/// Every bug is in the table once, every invariant is broken by one at least, and there are enough.
#[test]
fn the_table_is_whole() {
    let controller = control::planted::Bug::VARIANTS.iter();
    let agent = agent::planted::Bug::VARIANTS.iter();
    let all: BTreeSet<String> = controller
        .map(|bug| Bug::Controller(*bug))
        .chain(agent.map(|bug| Bug::Agent(*bug)))
        .map(|bug| format!("{bug:?}"))
        .collect();
    let told: Vec<String> = TABLE.iter().map(|row| format!("{:?}", row.bug)).collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!(told.len(), all.len(), "no bug is told twice");
    assert!(told.len() >= 20);
    for invariant in Invariant::VARIANTS {
        let mut rows = TABLE.iter();
        assert!(
            rows.any(|row| row.breaks == *invariant),
            "nothing breaks {invariant:?}"
        );
    }
}

/// How a bug was looked for.
struct Found {
    /// Its place in the table.
    place: usize,
    /// The day on which it was found; `None`: on none.
    seed: Option<u64>,
    /// What was told until then.
    told: Vec<String>,
}

/// Every bug is found within some days, by the invariant that it breaks; the same days without it are
/// as they should be.
#[test]
fn every_bug_is_found() {
    be_quiet();
    let found: Mutex<Vec<Found>> = Mutex::default();
    on_all_cores(TABLE.len(), |place| {
        let row = &TABLE[place];
        let mut told = Vec::new();
        let is_it = |violation: &String| violation.contains(row.told);
        let seed = (0..SEEDS).find(|seed| {
            let violations = broken(Some(row.bug), row.weather, *seed);
            let is_found = violations.iter().any(is_it);
            let short = |told: String| told.chars().take(TOLD).collect::<String>();
            let violations = violations.into_iter().map(short);
            told.extend(violations.map(|told| format!("seed {seed}, {told}")));
            is_found
        });
        let mut found = found.lock().expect("nobody has panicked");
        found.push(Found { place, seed, told });
    });
    let mut found = found.into_inner().expect("nobody has panicked");
    found.sort_by_key(|found| found.place);
    let mut unfound = Vec::new();
    for Found { place, seed, told } in &found {
        let row = &TABLE[*place];
        let last = told.last().map_or("nothing", String::as_str);
        println!("{:?}: {last}", row.bug);
        if seed.is_none() {
            unfound.push(format!("{:?} ({:?}): {told:?}", row.bug, row.breaks));
        }
    }
    assert_eq!(unfound, Vec::<String>::new());
    let mut days: Vec<(Weather, u64)> = Vec::new();
    for weather in Weather::VARIANTS {
        let rows = found.iter();
        let rows = rows.filter(|found| TABLE[found.place].weather == *weather);
        let last = rows.filter_map(|found| found.seed).max();
        days.extend((0..=last.unwrap_or(0)).map(|seed| (*weather, seed)));
    }
    on_all_cores(days.len(), |place| {
        let (weather, seed) = days[place];
        let violations = broken(None, weather, seed);
        assert_eq!(violations, Vec::<String>::new(), "{weather:?}, seed {seed}");
    });
}
