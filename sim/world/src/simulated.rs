//! A world as a grid that is seen and told like any other.

use crate::world::World;
use control::backend::{Backend, Command, Refused, Standing};
use control::controller::Controller;
use control::shown::{EventShown, Names};
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
    standing: Standing,
    names: Names,
}

impl Simulated {
    /// A world as it is now.
    pub fn new(world: World) -> Self {
        let view = match world.controller() {
            Some(controller) => Arc::clone(controller.view()),
            None => Arc::new(View::empty(Arc::clone(world.grid()))),
        };
        let (standing, names) = (Standing::default(), Names::default());
        Self {
            world,
            view,
            standing,
            names,
        }
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

    fn call_off(&mut self, operation: OperationId) {
        let now = self.world.now();
        self.world.call_off(now, operation);
        self.world.run_until(now);
    }

    fn standing(&mut self) -> Standing {
        // As with the view.
        match self.world.controller() {
            Some(controller) => self.standing = controller.standing(),
            None => {
                let why = "no controller, nothing is decided until it is started again";
                self.standing.trouble = Some(why.to_owned());
            }
        }
        self.standing.clone()
    }

    fn events(&mut self, from: u64, limit: usize) -> Vec<EventShown> {
        if let Some(controller) = self.world.controller() {
            self.names.learn(controller.ledger());
        }
        let history = self.world.history();
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        let events = history.get(start..).unwrap_or_default().iter();
        let told = (from..).zip(events.take(limit).cloned());
        let grid = self.world.grid();
        told.map(|(number, event)| self.names.tell(number, event, grid))
            .collect()
    }
}
