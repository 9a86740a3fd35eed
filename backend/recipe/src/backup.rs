//! Which backups are due, and which have had their time.
//!
//! Every component may be backed up: `backup_every_hours` says how often, `backup_keep` how many of
//! the newest are kept, and `backup_keep_days` of how many days before the newest backup the last
//! one is kept beside them. The clock is the caller's.

use crate::parameter::{Parameter, ParameterKind};
use model::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// When a component's VMs are backed up, and how long their backups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From the beginning of one to that of the next.
    pub every: Span,
    /// How many of the newest are kept; at least one.
    pub keep: usize,
    /// How many days, the newest's own among them, keep their last one.
    pub keep_days: u64,
}

/// A day, in milliseconds.
const DAY_MILLIS: i64 = 24 * 3_600_000;

impl Schedule {
    /// The schedule of a component's settings; `None`: it is not backed up.
    pub fn of(settings: &BTreeMap<String, String>) -> Option<Self> {
        let parameters = parameters();
        let setting = |name: &str| -> u64 {
            let default = parameters.iter().find(|parameter| parameter.name == name);
            let set = settings
                .get(name)
                .or(default.map(|parameter| &parameter.default));
            set.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let hours = i64::try_from(setting(EVERY))
            .ok()
            .filter(|hours| *hours > 0)?;
        Some(Self {
            every: Span(hours * 3_600_000),
            keep: usize::try_from(setting(KEEP)).unwrap_or(usize::MAX),
            keep_days: setting(KEEP_DAYS),
        })
    }

    /// Whether a backup is due, given those that were begun before, in whatever order: at once where
    /// there is none, and after a pause of the controller's once, not as often as were missed. One
    /// whose clock is ahead of ours counts as begun now.
    pub fn due(&self, taken: &[Time], now: Time) -> bool {
        taken
            .iter()
            .max()
            .is_none_or(|last| now - *last >= self.every)
    }

    /// The backups that have had their time; the newest is never among them.
    pub fn expired(&self, taken: &[Time]) -> BTreeSet<Time> {
        let mut newest: Vec<Time> = taken.to_vec();
        newest.sort_unstable_by(|a, b| b.cmp(a));
        newest.dedup();
        let Some(last) = newest.first() else {
            return BTreeSet::new();
        };
        let today = last.0.div_euclid(DAY_MILLIS);
        let mut days = BTreeSet::new();
        let expired = newest.iter().enumerate().filter(|(place, taken)| {
            let day = taken.0.div_euclid(DAY_MILLIS);
            // The first one seen of a day is its last.
            let ends_day = days.insert(day) && today.abs_diff(day) < self.keep_days;
            *place >= self.keep.max(1) && !ends_day
        });
        expired.map(|(_, taken)| *taken).collect()
    }
}

const EVERY: &str = "backup_every_hours";
const KEEP: &str = "backup_keep";
const KEEP_DAYS: &str = "backup_keep_days";

/// The settings of backups, which every recipe takes.
pub fn parameters() -> Vec<Parameter> {
    let whole = |name: &str, about: &str, (least, most), default: &str| Parameter {
        name: name.to_owned(),
        about: about.to_owned(),
        kind: ParameterKind::Whole { least, most },
        default: default.to_owned(),
    };
    vec![
        // A year of hours.
        whole(
            EVERY,
            "hours from one backup to the next; 0: none is taken",
            (0, 8_784),
            "0",
        ),
        whole(
            KEEP,
            "how many of the newest backups are kept",
            (1, 1_000),
            "7",
        ),
        whole(
            KEEP_DAYS,
            "days of which the last backup is kept too",
            (0, 3_660),
            "0",
        ),
    ]
}
