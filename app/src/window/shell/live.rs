//! The grid that takes commands in the shell: simulated where a grid is opened, or a live one that is
//! reached; and asked for what pages ask.

use crate::window::backend::attached::MOST_NODES;
use crate::window::backend::joining::Joining;
use crate::window::backend::simulated::clock::Going;
use crate::window::backend::simulated::command::ClockCommand;
use crate::window::backend::{Attached, live};
use crate::window::jobs::Poll;
use crate::window::kept::Page;
use crate::window::overlays::Overlay;
use crate::window::shell::Shell;
use client::call::CallError;
use control::backend::{Command, Refused};
use egui::Context;
use model::design::Design;
use model::grid::Grid;
use model::id::OperationId;
use std::sync::Arc;
use world::fault::Fault;

impl Shell {
    /// Begins to simulate a grid, with these designs on it, in place of the one before.
    pub(super) fn simulate(&mut self, ctx: &Context, grid: Arc<Grid>, designs: Vec<Design>) {
        self.shows_replay = false;
        self.attached = None;
        if grid.nodes.len() > MOST_NODES {
            self.notices.info(format!(
                "{} is shown, not simulated: it has more than {MOST_NODES} nodes",
                grid.name
            ));
            return;
        }
        self.attached = Some(Attached::simulated(ctx, grid, designs));
    }

    /// Reaches the live grid that was joined, in the background.
    pub(super) fn open_live(&mut self, ctx: &Context) {
        let folder = self.folder.clone();
        let name = "Reaching the controller of the live grid".to_owned();
        let job = self.jobs.start(ctx, name, move |_| live::reach(folder));
        self.reaching = Some(job);
    }

    /// Joins a live grid, and reaches it.
    pub(super) fn join(&mut self, ctx: &Context, joining: Joining) {
        let folder = self.folder.clone();
        let name = format!("Joining the grid of {}", joining.address());
        let job = self.jobs.start(ctx, name, move |_| {
            joining.join(folder.clone())?;
            live::reach(folder)
        });
        self.reaching = Some(job);
    }

    /// Shows the live grid once it is reached, in place of the one before.
    pub(super) fn take_live(&mut self, ctx: &Context) {
        let Some(job) = &self.reaching else {
            return;
        };
        match job.poll() {
            // Its thread waits on for an answer, for nobody.
            _ if job.progress().is_cancelled() => {
                self.notices.info("Reaching the live grid was cancelled");
            }
            Poll::Working => return,
            Poll::Done(Ok(grid)) => {
                self.notices
                    .info(format!("Reached the live grid of {}", grid.address()));
                self.player.unload();
                self.shows_replay = false;
                self.attached = Some(Attached::live(ctx, grid));
                self.grid.chosen = None;
                self.kept.page = Page::Grid;
            }
            Poll::Done(Err(error)) => {
                if matches!(error, CallError::NotJoined(_)) {
                    self.overlay = Overlay::Joining(Joining::default());
                }
                let mut lines = vec![error.to_string()];
                lines.extend(error.hint().map(|hint| format!("hint: {hint}")));
                self.notices.error("The live grid is not reached", lines);
            }
            Poll::Lost => self
                .notices
                .error("The live grid is not reached", Vec::new()),
        }
        self.reaching = None;
    }

    /// Takes what has come of grid and replay, and shows the one that is to be shown.
    pub(super) fn tick_live(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.tick(&mut self.notices);
        }
        // A replay that is gone cannot be shown, and without a grid that takes commands it is all there is.
        self.shows_replay &= self.player.is_loaded() && self.attached.is_some();
        let live = self.attached.as_ref();
        let view = match live.filter(|_| !self.shows_replay) {
            Some(live) => live.latest().map(|latest| &latest.view),
            None => self.player.view(),
        };
        if let Some(view) = view.cloned() {
            self.show_view(view);
        }
    }

    pub(super) fn clock_command(&mut self, command: ClockCommand) {
        let Some(attached) = &mut self.attached else {
            return;
        };
        match command {
            ClockCommand::Pause => {
                let clock = attached.latest().and_then(|latest| latest.clock.as_ref());
                let is_paused = clock.is_some_and(|clock| clock.going == Going::Paused);
                attached.go(if is_paused { Going::On } else { Going::Paused });
            }
            ClockCommand::Step => attached.go(Going::ToEvent),
            ClockCommand::Skip => attached.go(Going::ToRest),
            ClockCommand::Speed(speed) => attached.set_speed(speed),
        }
    }

    pub(super) fn submit(&mut self, command: Command) {
        match &mut self.attached {
            Some(attached) if !self.shows_replay => attached.submit(command, &mut self.notices),
            None if !self.player.is_loaded() => {
                let hint = format!("hint: grids of up to {MOST_NODES} nodes are");
                self.notices.error("No grid is simulated", vec![hint]);
            }
            _ => {
                let refused = Refused::ReadOnly;
                let hint = format!("hint: {}", refused.hint());
                self.notices.error(refused.to_string(), vec![hint]);
            }
        }
    }

    pub(super) fn call_off(&mut self, operation: OperationId) {
        if let Some(attached) = &mut self.attached {
            attached.call_off(operation);
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        if let Some(attached) = &mut self.attached {
            attached.strike(fault);
        }
    }
}
