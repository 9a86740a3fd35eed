//! The simulated grid in the shell: begun with the grid that is opened, and asked for what pages ask.

use crate::window::shell::Shell;
use crate::window::simulated::Simulation;
use crate::window::simulated::clock::Going;
use crate::window::simulated::command::LiveCommand;
use crate::window::simulated::simulation::MOST_NODES;
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
        self.simulation = None;
        if grid.nodes.len() > MOST_NODES {
            self.notices.info(format!(
                "{} is shown, not simulated: it has more than {MOST_NODES} nodes",
                grid.name
            ));
            return;
        }
        self.simulation = Some(Simulation::start(ctx, grid, designs));
    }

    /// Takes what has come of grid and replay, and shows the one that is to be shown.
    pub(super) fn tick_live(&mut self) {
        if let Some(simulation) = &mut self.simulation {
            simulation.tick(&mut self.notices);
        }
        // A replay that is gone cannot be shown, and without a simulated grid it is all there is.
        self.shows_replay &= self.player.is_loaded() && self.simulation.is_some();
        let live = self.simulation.as_ref();
        let view = match live.filter(|_| !self.shows_replay) {
            Some(live) => live.latest().map(|latest| &latest.view),
            None => self.player.view(),
        };
        if let Some(view) = view.cloned() {
            self.show_view(view);
        }
    }

    pub(super) fn live_command(&mut self, command: LiveCommand) {
        if command == LiveCommand::Show {
            self.shows_replay = false;
            return;
        }
        let Some(simulation) = &mut self.simulation else {
            return;
        };
        match command {
            LiveCommand::Show => {}
            LiveCommand::Pause => {
                let is_paused = simulation
                    .latest()
                    .is_some_and(|latest| latest.going == Going::Paused);
                simulation.go(if is_paused { Going::On } else { Going::Paused });
            }
            LiveCommand::Step => simulation.go(Going::ToEvent),
            LiveCommand::Skip => simulation.go(Going::ToRest),
            LiveCommand::Speed(speed) => simulation.set_speed(speed),
        }
    }

    pub(super) fn submit(&mut self, command: Command) {
        match &mut self.simulation {
            Some(simulation) if !self.shows_replay => simulation.submit(command),
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
        if let Some(simulation) = &mut self.simulation {
            simulation.call_off(operation);
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        if let Some(simulation) = &mut self.simulation {
            simulation.strike(fault);
        }
    }
}
