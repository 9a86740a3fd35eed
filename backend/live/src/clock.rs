//! The node's clock: the wall's time at the start, and from there on steps that nobody sets back.

use model::time::Time;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time; clones tell the same.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall_millis: i64,
}

impl Clock {
    /// A clock set by the wall's.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = wall.map_or(0, |since| since.as_millis());
        Self {
            started: Instant::now(),
            wall_millis: i64::try_from(millis).unwrap_or(i64::MAX),
        }
    }

    /// Milliseconds since the Unix epoch; never less than before.
    pub fn now(&self) -> Time {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Time(self.wall_millis.saturating_add(passed))
    }
}
