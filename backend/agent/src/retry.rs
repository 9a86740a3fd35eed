//! When a step without a way back that broke is begun again.

use model::id::OperationId;
use model::time::{Span, Time};
use std::collections::BTreeMap;

/// The first wait: what breaks for a moment, as a busy file, is over by then.
const FIRST_MILLIS: i64 = 250;

/// The longest wait. Such a step is repeated without end, as giving up would leave something behind;
/// once a minute costs nothing, and an admin who has repaired the disk need not wait longer.
const LONGEST_MILLIS: i64 = 60_000;

/// Waits of operations, each twice as long as the one before it.
#[derive(Clone, Debug, Default)]
pub struct Retries(BTreeMap<OperationId, Wait>);

#[derive(Clone, Copy, Debug)]
struct Wait {
    until: Time,
    millis: i64,
}

impl Retries {
    /// Whether an operation has waited long enough.
    pub fn is_due(&self, operation: OperationId, now: Time) -> bool {
        self.0.get(&operation).is_none_or(|wait| wait.until <= now)
    }

    /// Whether the step under way of an operation broke twice.
    pub fn has_broken_twice(&self, operation: OperationId) -> bool {
        let wait = self.0.get(&operation);
        wait.is_some_and(|wait| wait.millis > FIRST_MILLIS)
    }

    /// Makes an operation wait, longer each time.
    pub fn postpone(&mut self, operation: OperationId, now: Time) {
        let before = self.0.get(&operation).map(|wait| wait.millis);
        let millis = before.map_or(FIRST_MILLIS, |millis| (millis * 2).min(LONGEST_MILLIS));
        let until = now + Span(millis);
        self.0.insert(operation, Wait { until, millis });
    }

    /// Something of it has succeeded.
    pub fn forget(&mut self, operation: OperationId) {
        self.0.remove(&operation);
    }
}
