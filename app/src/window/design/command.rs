//! What a user can ask of the Design page.

use crate::window::command::Description;
use crate::window::kept::Page;
use egui::{Key, KeyboardShortcut, Modifiers};

/// One thing to do to the design. Opening and saving under a new name are `Command::Ask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesignCommand {
    /// Take back the last step.
    Undo,
    /// Do it again.
    Redo,
    /// Write the design to its file.
    Save,
}

impl DesignCommand {
    /// All, in the order of menu and palette.
    pub const ALL: [Self; 3] = [Self::Undo, Self::Redo, Self::Save];

    /// What to show of it.
    pub fn describe(self) -> Description {
        let ctrl = |key| Some(KeyboardShortcut::new(Modifiers::COMMAND, key));
        let (text, tooltip, shortcut) = match self {
            Self::Undo => ("Undo", "Take back the last step", ctrl(Key::Z)),
            Self::Redo => ("Redo", "Do again what was taken back", ctrl(Key::Y)),
            Self::Save => ("Save design", "Write the design to its file", ctrl(Key::S)),
        };
        Description {
            text,
            tooltip,
            shortcut,
            page: Some(Page::Design),
        }
    }
}
