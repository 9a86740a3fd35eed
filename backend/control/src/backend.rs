//! The trait that every grid implements: submit a command, read a view, follow events.

use model::assignment::Assignment;
use model::event::Event;
use model::id::OperationId;
use model::order::Order;
use model::plan::Plan;
use model::view::View;
use std::sync::Arc;

/// What somebody asks of a grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Carry out a plan of an assignment.
    Deploy {
        /// The VMs.
        assignment: Assignment,
        /// Their nodes.
        plan: Plan,
    },
    /// Pass one order on to its node.
    Order(Order),
}

/// Why a grid did not accept a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The source shows what was; nothing can be changed.
    #[error("a recorded run takes no commands")]
    ReadOnly,
    /// The grid has moved on since the plan was made.
    #[error("the plan is of {found}, the grid is at {expected}")]
    Outdated {
        /// The plan's generation.
        found: model::id::Generation,
        /// The grid's.
        expected: model::id::Generation,
    },
}

/// A grid as the app sees it.
pub trait Backend {
    /// Asks for something; the answer names the operation to follow.
    ///
    /// # Errors
    /// Where the grid does not accept it; nothing has happened then.
    fn submit(&mut self, command: Command) -> Result<OperationId, Refused>;

    /// The grid now, or at the instant to which the source was moved.
    fn view(&mut self) -> Arc<View>;

    /// Events from the given place in the history on, at most `limit`, oldest first.
    fn events(&mut self, from: u64, limit: usize) -> Vec<Event>;
}
