//! A world as a grid that is seen and told like any other.

use crate::world::World;
use control::backend::{Backend, Command, Refused};
use control::controller::Controller;
use model::event::Event;
use model::id::OperationId;
use model::time::Span;
use model::view::View;
use std::sync::Arc;

/// How long, in virtual time, an answer may take: longer than a dead controller is away.
const PATIENCE: Span = Span(600_000);

/// A world behind the app's one door.
pub struct Simulated {
    world: World,
    view: Arc<View>,
}

impl Simulated {
    /// A world as it is now.
    pub fn new(world: World) -> Self {
        let view = match world.controller() {
            Some(controller) => Arc::clone(controller.view()),
            None => Arc::new(View::empty(Arc::clone(world.grid()))),
        };
        Self { world, view }
    }

    /// The world.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Backend for Simulated {
    fn submit(&mut self, operation: OperationId, command: Command) -> Result<(), Refused> {
        let now = self.world.now();
        self.world.ask(now, operation, command);
        let until = now + PATIENCE;
        while self.world.answer(operation).is_none() && self.world.now() < until {
            self.world.step();
        }
        let why = "the controller does not answer".to_owned();
        let silent = || Err(Refused::Illegal { why });
        self.world.answer(operation).cloned().unwrap_or_else(silent)
    }

    fn view(&mut self) -> Arc<View> {
        // While the controller is dead, what it showed last stands.
        if let Some(view) = self.world.controller().map(Controller::view) {
            self.view = Arc::clone(view);
        }
        Arc::clone(&self.view)
    }

    fn events(&mut self, from: u64, limit: usize) -> Vec<Event> {
        let history = self.world.history();
        let from = usize::try_from(from)
            .unwrap_or(usize::MAX)
            .min(history.len());
        history[from..].iter().take(limit).cloned().collect()
    }
}
