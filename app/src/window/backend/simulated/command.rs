//! What a user can ask of the simulated grid's clock.

use super::clock::Speed;
use crate::window::command::Description;
use crate::window::kept::Page;
use egui::{Key, KeyboardShortcut, Modifiers};
use strum::VariantArray;

/// One thing to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockCommand {
    /// Let time stand, or pass.
    Pause,
    /// Let time pass until something happens.
    Step,
    /// Let time pass until all operations have ended.
    Skip,
    /// Let time pass as fast as this.
    Speed(Speed),
}

impl ClockCommand {
    /// All, in the order of menu and palette.
    pub fn all() -> impl Iterator<Item = Self> {
        let clock = [Self::Pause, Self::Step, Self::Skip];
        let speeds = Speed::VARIANTS.iter().copied().map(Self::Speed);
        clock.into_iter().chain(speeds)
    }

    /// What to show of it.
    pub fn describe(self) -> Description {
        let (text, tooltip, shortcut) = match self {
            Self::Pause => (
                "Pause or go on",
                "Let the time of the simulated grid stand, or pass",
                key(Key::Space),
            ),
            Self::Step => (
                "Step to next event",
                "Let time pass until something happens, then let it stand",
                key(Key::N),
            ),
            Self::Skip => (
                "Skip to end of operations",
                "Let time pass until every operation has ended, then let it stand",
                key(Key::E),
            ),
            Self::Speed(speed) => (speed_text(speed), "How fast virtual time passes", None),
        };
        Description {
            text,
            tooltip,
            shortcut,
            page: Some(Page::Grid),
        }
    }
}

const fn speed_text(speed: Speed) -> &'static str {
    match speed {
        Speed::One => "Simulate as real time goes",
        Speed::Ten => "Simulate 10 times as fast",
        Speed::Hundred => "Simulate 100 times as fast",
        Speed::Thousand => "Simulate 1,000 times as fast",
        Speed::Most => "Simulate as fast as it goes",
    }
}

const fn key(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}
