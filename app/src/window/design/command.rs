//! What a user can ask of the Design page.

use crate::window::command::Description;
use crate::window::kept::Page;
use egui::{Key, KeyboardShortcut, Modifiers};

/// One thing to do to the design. Opening and saving under a new name are `Command::Ask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesignCommand {
    /// Start an empty design.
    New,
    /// Write the design to its file.
    Save,
    /// Take back the last step.
    Undo,
    /// Do it again.
    Redo,
    /// Copy what is selected and delete it.
    Cut,
    /// Copy what is selected, as TOML.
    Copy,
    /// Add what was copied.
    Paste,
    /// Add a copy of what is selected.
    Duplicate,
    /// Delete what is selected.
    Delete,
    /// Select all components and links.
    SelectAll,
    /// Put the cursor into the name of what is selected.
    Rename,
    /// Ask where the selected component is to be linked to.
    LinkTo,
    /// Put the components into columns along the links.
    Arrange,
    /// Show the whole design.
    Fit,
    /// Nearer.
    ZoomIn,
    /// Further away.
    ZoomOut,
    /// Assign the components to VMs and the VMs to nodes.
    Plan,
    /// Let the grid carry the plan out.
    Deploy,
    /// Take the design off the grid.
    Withdraw,
    /// List what is wrong.
    Problems,
}

impl DesignCommand {
    /// All, in the order of menu and palette.
    pub const ALL: [Self; 20] = [
        Self::New,
        Self::Save,
        Self::Undo,
        Self::Redo,
        Self::Cut,
        Self::Copy,
        Self::Paste,
        Self::Duplicate,
        Self::Delete,
        Self::SelectAll,
        Self::Rename,
        Self::LinkTo,
        Self::Arrange,
        Self::Fit,
        Self::ZoomIn,
        Self::ZoomOut,
        Self::Plan,
        Self::Deploy,
        Self::Withdraw,
        Self::Problems,
    ];

    /// What to show of it.
    pub fn describe(self) -> Description {
        let (text, tooltip, shortcut) = match self {
            Self::New => ("New design", "Start an empty design", ctrl(Key::N)),
            Self::Save => ("Save design", "Write the design to its file", ctrl(Key::S)),
            Self::Undo => ("Undo", "Take back the last step", ctrl(Key::Z)),
            Self::Redo => ("Redo", "Do again what was taken back", ctrl(Key::Y)),
            Self::Cut => (
                "Cut",
                "Copy the selected components and delete them",
                ctrl(Key::X),
            ),
            Self::Copy => ("Copy", "Copy the selected components as TOML", ctrl(Key::C)),
            Self::Paste => ("Paste", "Add the components that were copied", ctrl(Key::V)),
            Self::Duplicate => (
                "Duplicate",
                "Add a copy of the selected components",
                ctrl(Key::D),
            ),
            Self::Delete => (
                "Delete",
                "Delete the selected components and links",
                key(Key::Delete),
            ),
            Self::SelectAll => (
                "Select all",
                "Select all components and links",
                ctrl(Key::A),
            ),
            Self::Rename => (
                "Rename",
                "Put the cursor into the name of the selected component",
                key(Key::F2),
            ),
            Self::LinkTo => (
                "Link to…",
                "Link the selected component to another one",
                key(Key::L),
            ),
            Self::Arrange => (
                "Arrange",
                "Put the components into columns along the links",
                ctrl(Key::L),
            ),
            Self::Fit => ("Fit design", "Show the whole design", key(Key::Num0)),
            Self::ZoomIn => ("Zoom in", "Show the design larger", key(Key::Plus)),
            Self::ZoomOut => ("Zoom out", "Show the design smaller", key(Key::Minus)),
            Self::Plan => (
                "Plan on the open grid",
                "Assign the components to VMs and the VMs to nodes, and explain why",
                ctrl(Key::Enter),
            ),
            Self::Deploy => (
                "Deploy on the open grid",
                "Let the grid make the design's VMs as planned, or change those that it has",
                ctrl_shift(Key::Enter),
            ),
            Self::Withdraw => (
                "Withdraw from the open grid",
                "Delete all VMs that the grid has of the design",
                ctrl_shift(Key::Backspace),
            ),
            Self::Problems => (
                "Show problems",
                "List what is wrong with the design",
                ctrl(Key::M),
            ),
        };
        Description {
            text,
            tooltip,
            shortcut,
            page: Some(Page::Design),
        }
    }
}

const fn key(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}

const fn ctrl(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::COMMAND, key))
}

const fn ctrl_shift(key: Key) -> Option<KeyboardShortcut> {
    let modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
    Some(KeyboardShortcut::new(modifiers, key))
}
