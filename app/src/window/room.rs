//! What a page may use of the window around it.

use crate::window::backend::snapshot::Snapshot;
use crate::window::command::Command;
use crate::window::jobs::Jobs;
use crate::window::kept::Kept;
use crate::window::notices::Notices;
use crate::window::player::Player;
use crate::window::theme::Palette;
use model::view::View;
use std::sync::Arc;

/// Lent to a page while it draws or carries out a command; holds nothing of its own.
pub struct Room<'a> {
    /// The open grid at the shown instant; `None` before the first is open.
    pub view: Option<&'a Arc<View>>,
    /// The grid that takes commands, where `view` is of it; `None`: `view` is of a replay, or nothing can be
    /// asked.
    pub live: Option<&'a Arc<Snapshot>>,
    /// Who rules it: `HOST:PORT`; `None`: it is simulated.
    pub ruled_at: Option<&'a str>,
    /// Whether `view` is of the replay although there is a grid that takes commands.
    pub shows_replay: bool,
    /// The replayed run, if any.
    pub player: &'a mut Player,
    /// Work in the background.
    pub jobs: &'a mut Jobs,
    /// What to tell the user.
    pub notices: &'a mut Notices,
    /// What is remembered until the next start.
    pub kept: &'a mut Kept,
    /// Colours of the theme in use.
    pub palette: &'static Palette,
    /// Commands for the shell or other pages, carried out after the page is drawn.
    pub asks: &'a mut Vec<Command>,
}

impl Room<'_> {
    /// Asks the shell for something, after this page is drawn.
    pub fn ask(&mut self, command: Command) {
        self.asks.push(command);
    }
}
