//! The trait that every grid implements: submit a command, read a view, follow events.

use model::assignment::Assignment;
use model::event::Event;
use model::grid::NodeState;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::Verb;
use model::plan::Plan;
use model::view::View;
use std::sync::Arc;

/// What somebody asks of a grid. The controller alone makes orders of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Carry out a plan of an assignment.
    Deploy {
        /// The VMs.
        assignment: Assignment,
        /// Their nodes, and the generation of the grid they were chosen on.
        plan: Plan,
    },
    /// Do something to a VM, wherever it runs.
    Vm {
        /// Which.
        vm: VmId,
        /// What.
        verb: Verb,
    },
    /// Open, close or empty a node.
    Node {
        /// Which.
        node: NodeId,
        /// The state it is wished in.
        state: NodeState,
    },
}

/// Why a grid did not accept a command; nothing has happened then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The source shows what was; nothing can be changed.
    #[error("a recorded run takes no commands")]
    ReadOnly,
    /// The grid has moved on since the plan was made.
    #[error("the plan is of {found}, the grid is at {expected}")]
    Outdated {
        /// The plan's generation.
        found: Generation,
        /// The grid's.
        expected: Generation,
    },
    /// The plan does not name one node for each VM of the assignment.
    #[error("the plan places {found} VMs, the assignment has {expected}")]
    Unmatched {
        /// Placements in the plan.
        found: usize,
        /// VMs in the assignment.
        expected: usize,
    },
    /// No such VM.
    #[error("the grid has no {0}")]
    UnknownVm(VmId),
    /// No such node.
    #[error("the grid has no {0}")]
    UnknownNode(NodeId),
}

impl Refused {
    /// What the user can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::ReadOnly => "open the simulated or the live grid to change something",
            Self::Outdated { .. } => "make the plan anew from the grid as it is",
            Self::Unmatched { .. } => "make the plan from this very assignment",
            Self::UnknownVm(_) | Self::UnknownNode(_) => "look it up in the view of the grid",
        }
    }
}

/// A grid as the app sees it.
///
/// Promises, the same for every implementor:
/// 1. `submit` either accepts and then ends the operation exactly once, or refuses and changes nothing.
/// 2. The caller chooses the operation's id; a repeated id gives the first answer and does nothing more.
/// 3. A view is whole and consistent: `used` of each node is the sum of its VMs, and never more
///    than the node's capacity.
/// 4. `view` is cheap where nothing changed: it hands out the same `Arc` again.
/// 5. Events are numbered from 0 in the order in which they happened; a number once given never
///    changes its event.
pub trait Backend: Send {
    /// Asks for something under an id chosen by the caller.
    ///
    /// # Errors
    /// Where the grid does not accept it; nothing has happened then.
    fn submit(&mut self, operation: OperationId, command: Command) -> Result<(), Refused>;

    /// The grid now, or at the instant to which the source was moved.
    fn view(&mut self) -> Arc<View>;

    /// Events up to the view's instant, from number `from` on, at most `limit`, oldest first.
    fn events(&mut self, from: u64, limit: usize) -> Vec<Event>;
}
