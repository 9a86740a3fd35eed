//! Backups that are due, and those that have had their time.

use model::time::{Span, Time};
use proptest::prelude::*;
use recipe::backup::Schedule;
use std::collections::{BTreeMap, BTreeSet};

const HOUR: i64 = 3_600_000;

fn schedule(keep: usize, keep_days: u64) -> Schedule {
    Schedule {
        every: Span(6 * HOUR),
        keep,
        keep_days,
    }
}

/// Settings become a schedule, and without hours none.
#[test]
fn settings_become_a_schedule() {
    let settings = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    };
    assert_eq!(Schedule::of(&settings(&[])), None);
    assert_eq!(Schedule::of(&settings(&[("backup_keep", "3")])), None);
    let set = settings(&[("backup_every_hours", "6"), ("backup_keep_days", "2")]);
    assert_eq!(Schedule::of(&set), Some(schedule(7, 2)));
}

/// One is due where there is none, and once its time is over; what was missed is made up for once.
#[test]
fn one_is_due_when_its_time_is_over() {
    let schedule = schedule(3, 0);
    let hours = |hours: i64| Time(hours * HOUR);
    assert!(schedule.due(&[], hours(0)));
    assert!(!schedule.due(&[hours(0), hours(6)], hours(11)));
    assert!(schedule.due(&[hours(6), hours(0)], hours(12)));
    assert!(schedule.due(&[hours(0)], hours(100)));
    assert!(!schedule.due(&[hours(100)], hours(100)));
    assert!(
        !schedule.due(&[hours(200)], hours(100)),
        "a clock was ahead"
    );
}

/// The newest stay, and the last of each of the days.
#[test]
fn the_newest_and_the_days_stay() {
    let taken: Vec<Time> = (0..12).map(|n| Time(n * 6 * HOUR)).collect();
    let kept = |keep, days| -> Vec<i64> {
        let expired = schedule(keep, days).expired(&taken);
        let kept = taken.iter().filter(|time| !expired.contains(time));
        kept.map(|time| time.0 / HOUR).collect()
    };
    assert_eq!(kept(2, 0), [60, 66]);
    assert_eq!(kept(2, 2), [42, 60, 66]);
    assert_eq!(kept(1, 3), [18, 42, 66]);
    assert_eq!(kept(99, 0).len(), 12);
}

proptest! {
    /// Nothing that was not taken expires, the newest never does, at least so many stay, and what
    /// has stayed once stays where nothing new is taken.
    #[test]
    fn expiry_is_careful(
        taken in prop::collection::vec(-10_i64..2_000, 0..60),
        keep in 0_usize..9,
        days in 0_u64..9,
    ) {
        let taken: Vec<Time> = taken.into_iter().map(|hour| Time(hour * HOUR)).collect();
        let schedule = schedule(keep, days);
        let expired = schedule.expired(&taken);
        let all: BTreeSet<Time> = taken.iter().copied().collect();
        prop_assert!(expired.is_subset(&all));
        prop_assert!(taken.iter().max().is_none_or(|newest| !expired.contains(newest)));
        let left: Vec<Time> = all.difference(&expired).copied().collect();
        prop_assert!(left.len() >= keep.max(1).min(all.len()));
        prop_assert_eq!(schedule.expired(&left), BTreeSet::new());
    }
}
