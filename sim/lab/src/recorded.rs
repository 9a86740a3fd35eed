//! A past run as a grid: the third, read-only source of views.

use crate::run::RunResult;
use capacity::replay::{NoLog, Replay};
use control::backend::{Backend, Command, Refused, Standing};
use control::shown::{EventShown, Names};
use model::id::OperationId;
use model::time::Time;
use model::view::View;
use std::sync::Arc;

/// A run with its log, looked at from one instant at a time; at first from its start.
#[derive(Clone, Debug)]
pub struct Recorded {
    replay: Arc<Replay>,
    at: Time,
    /// The view of `at`, once somebody has asked for it.
    view: Option<Arc<View>>,
}

impl Recorded {
    /// Reads through the run's log once.
    ///
    /// # Errors
    /// [`NoLog`] where the run was made without one.
    pub fn new(result: &RunResult) -> Result<Self, NoLog> {
        let replay = Replay::new(
            Arc::clone(&result.trace),
            Arc::clone(&result.grid),
            Arc::clone(&result.outcome),
        )?;
        Ok(Self {
            at: replay.span().0,
            replay: Arc::new(replay),
            view: None,
        })
    }

    /// The first and the last instant of the run.
    pub fn span(&self) -> (Time, Time) {
        self.replay.span()
    }

    /// The instant looked at.
    pub fn at(&self) -> Time {
        self.at
    }

    /// Moves to an instant; one outside the run is moved to the nearest within.
    pub fn seek(&mut self, at: Time) {
        let (first, last) = self.span();
        let at = at.clamp(first, last);
        if at != self.at {
            self.at = at;
            self.view = None;
        }
    }
}

impl Backend for Recorded {
    fn submit(&mut self, _operation: OperationId, _command: Command) -> Result<(), Refused> {
        Err(Refused::ReadOnly)
    }

    fn call_off(&mut self, _operation: OperationId) {}

    fn view(&mut self) -> Arc<View> {
        let (replay, at) = (&self.replay, self.at);
        let view = self
            .view
            .get_or_insert_with(|| Arc::new(replay.view_at(at)));
        Arc::clone(view)
    }

    fn standing(&mut self) -> Standing {
        Standing::default()
    }

    fn events(&mut self, from: u64, limit: usize) -> Vec<EventShown> {
        let until = self.replay.entries_until(self.at) as u64;
        let limit = limit.min(until.saturating_sub(from) as usize);
        let events = self.replay.events(from, limit);
        // A trace names no VMs.
        let (names, grid) = (Names::default(), self.view().grid.clone());
        let told = (from..).zip(events);
        told.map(|(number, event)| names.tell(number, event, &grid))
            .collect()
    }
}
