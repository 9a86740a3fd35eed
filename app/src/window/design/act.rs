//! What the parts of the page tell it that the user did.

use super::command::DesignCommand;
use super::document::Gesture;
use super::edit::Edit;
use super::selection::{Item, Selection};
use std::path::PathBuf;

/// One thing that the user did.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// What was typed could not be taken over, for this reason.
    Refused(String),
    /// Selected something else.
    Select(Selection),
    /// Selected something and wants to see it in the middle.
    Reveal(Item),
    /// Changed the design.
    Edit(Edit),
    /// Changed the design in the middle of a gesture.
    EditWithin(Edit, Gesture),
    /// Ended the gesture.
    EndGesture,
    /// Asked for a command.
    Command(DesignCommand),
    /// Wants this design instead.
    Open(Source),
}

/// Where a design comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nowhere: an empty one.
    Empty,
    /// A sample, by its place among them.
    Sample(usize),
    /// A file.
    File(PathBuf),
}
