//! Instants and spans in whole milliseconds, virtual or real alike.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

/// An instant: milliseconds since the start of the run (simulated) or the Unix epoch (live).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub i64);

/// A length of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Time {
    /// The instant at which a run starts.
    pub const ZERO: Self = Self(0);
    /// Later than every instant of a run.
    pub const NEVER: Self = Self(i64::MAX);

    /// Seconds since the origin.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// The nearest instant to a number of seconds.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1_000.0).round() as i64)
    }
}

impl Span {
    /// Seconds in this span.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// The nearest span to a number of seconds.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1_000.0).round() as i64)
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Span(self.0))
    }
}

impl fmt::Display for Span {
    /// Days, hours, minutes, seconds: `2d 03:15:07`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let seconds = self.0.unsigned_abs() / 1_000;
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        write!(
            f,
            "{sign}{days}d {:02}:{:02}:{:02}",
            rest / 3_600,
            rest % 3_600 / 60,
            rest % 60
        )
    }
}
