//! The node's clock: the wall's time at the start, and from there on steps that nobody sets back and
//! that go on while the node sleeps.

use agent::settings::Boot;
use drivers::process;
use model::time::{Span, Time};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time; clones tell the same.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    booted: Time,
}

impl Clock {
    /// A clock set by the wall's.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = wall.map_or(0, |since| since.as_millis());
        let wall_millis = i64::try_from(millis).unwrap_or(i64::MAX);
        Self {
            booted: Time(wall_millis - since_boot().0),
        }
    }

    /// Milliseconds since the Unix epoch; never less than before.
    pub fn now(&self) -> Time {
        self.booted + since_boot()
    }

    /// The boot in which it runs.
    ///
    /// # Errors
    /// Where the kernel does not tell which.
    pub fn boot(&self) -> io::Result<Boot> {
        Ok(Boot {
            id: process::boot()?,
            at: self.booted,
        })
    }
}

/// The time since the boot, sleep included.
pub fn since_boot() -> Span {
    let time = clock_gettime(ClockId::Boottime);
    Span(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000)
}
