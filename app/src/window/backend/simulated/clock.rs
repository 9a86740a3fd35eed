//! How fast virtual time goes, and until when.

use super::trouble::TroubleShown;
use model::time::{Span, Time};
use std::time::{Duration, Instant};

/// Virtual time for real time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::VariantArray)]
pub enum Speed {
    /// As real time goes.
    #[default]
    One,
    /// Ten times as fast.
    Ten,
    /// A hundred times as fast.
    Hundred,
    /// A thousand times as fast.
    Thousand,
    /// As fast as it goes; once nothing is going on, time stands still until something is asked.
    Most,
}

impl Speed {
    /// How it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::One => "×1",
            Self::Ten => "×10",
            Self::Hundred => "×100",
            Self::Thousand => "×1,000",
            Self::Most => "As fast as it goes",
        }
    }

    /// How many times as fast as real time; `None`: as fast as it goes.
    pub const fn times(self) -> Option<u32> {
        match self {
            Self::One => Some(1),
            Self::Ten => Some(10),
            Self::Hundred => Some(100),
            Self::Thousand => Some(1_000),
            Self::Most => None,
        }
    }
}

/// Whether time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// It stands.
    Paused,
    /// It passes.
    On,
    /// It passes as fast as it goes until the next line of the history, then it stands.
    ToEvent,
    /// It passes as fast as it goes until no operation is open and every node has told what it has, then
    /// it stands.
    ToRest,
}

/// The clock of a simulated grid, and what befalls it, as they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockShown {
    /// Whether time passes.
    pub going: Going,
    /// How fast.
    pub speed: Speed,
    /// What befalls the grid just now.
    pub troubles: Vec<TroubleShown>,
    /// What should never have happened, in words.
    pub violations: Vec<String>,
}

/// Where virtual time should be by now.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    real: Instant,
    at: Time,
}

impl Pace {
    /// Time that passes from here.
    pub fn from(real: Instant, at: Time) -> Self {
        Self { real, at }
    }

    /// The instant that is due.
    pub fn due(&self, real: Instant, times: u32) -> Time {
        let gone: Duration = real.saturating_duration_since(self.real);
        let millis = gone.as_secs_f64() * 1_000.0 * f64::from(times);
        self.at + Span(millis as i64)
    }
}
