//! The trait that every grid implements: submit a command, read what stands, follow events.

use crate::shown::{DesignShown, EventShown, OperationShown, VmShown};
use model::design::Design;
use model::grid::NodeState;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::Verb;
use model::plan::Plan;
use model::view::View;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody asks of a grid. The controller alone makes orders of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Let a design stand as it is drawn: deployed anew, or changed where its tenant has one of this
    /// name.
    Deploy {
        /// The design.
        design: Box<Design>,
        /// The nodes of those VMs that it does not have yet; `None`: the controller chooses.
        plan: Option<Plan>,
    },
    /// Delete all VMs of a design.
    Withdraw {
        /// Its tenant.
        tenant: String,
        /// Its name.
        design: String,
    },
    /// Do something to a VM, wherever it runs.
    Vm {
        /// Which.
        vm: VmId,
        /// What; orders of which a controller makes several, as to receive a VM, are not for it.
        verb: Verb,
    },
    /// Move a VM to another node of its hypervisor.
    Move {
        /// Which.
        vm: VmId,
        /// Where to; `None`: the controller chooses.
        to: Option<NodeId>,
    },
    /// Open, close or empty a node. One that is to be empty sends its VMs away first, all or none.
    Node {
        /// Which.
        node: NodeId,
        /// The state it is wished in.
        state: NodeState,
    },
}

/// Why a grid did not accept a command; nothing has happened then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refused", rename_all = "kebab-case")]
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
    /// The plan does not name one node for each VM that is to be made.
    #[error("the plan places {found} VMs, {expected} are to be made")]
    Unmatched {
        /// Placements in the plan.
        found: usize,
        /// VMs that are to be made.
        expected: usize,
    },
    /// No such VM.
    #[error("the grid has no {vm}")]
    UnknownVm {
        /// Which was asked for.
        vm: VmId,
    },
    /// No such node.
    #[error("the grid has no {node}")]
    UnknownNode {
        /// Which was asked for.
        node: NodeId,
    },
    /// No such design.
    #[error("{tenant} has no design {design:?} deployed")]
    UnknownDesign {
        /// Whose.
        tenant: String,
        /// Its name.
        design: String,
    },
    /// The design is wrong, or cannot become VMs of this grid.
    #[error("{why}")]
    Faulty {
        /// All faults, a line each.
        why: String,
    },
    /// There is no room.
    #[error("{why}")]
    Unplaced {
        /// Which VM found no node, and why.
        why: String,
    },
    /// It is not for this VM, or not now.
    #[error("{why}")]
    Illegal {
        /// Why.
        why: String,
    },
}

impl Refused {
    /// What the user can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::ReadOnly => "open the simulated or the live grid to change something",
            Self::Outdated { .. } => "make the plan anew from the grid as it is",
            Self::Unmatched { .. } => "make the plan from this very design",
            Self::UnknownVm { .. } | Self::UnknownNode { .. } => {
                "look it up in the view of the grid"
            }
            Self::UnknownDesign { .. } => "look up its name and tenant among the deployed ones",
            Self::Faulty { .. } => "mend the design",
            Self::Unplaced { .. } => "ask for less, or add nodes",
            Self::Illegal { .. } => "look at the state of the VM and of its node",
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

    /// Asks that an operation end early; one that is over, or not known, stays as it is.
    fn call_off(&mut self, operation: OperationId);

    /// The grid now, or at the instant to which the source was moved.
    fn view(&mut self) -> Arc<View>;

    /// What stands on it and is going on there; nothing of what only was.
    fn standing(&mut self) -> Standing;

    /// Events up to the view's instant, from number `from` on, at most `limit`, oldest first.
    fn events(&mut self, from: u64, limit: usize) -> Vec<EventShown>;
}

/// Ended operations that somebody who looks on is told of, at most.
pub const ENDED_TOLD: usize = 200;

/// What stands on a grid and is going on there, for somebody who looks on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Open operations, the oldest first, then the last [`ENDED_TOLD`] that have ended, the latest first.
    pub operations: Vec<OperationShown>,
    /// All VMs.
    pub vms: Vec<VmShown>,
    /// All deployed designs.
    pub designs: Vec<DesignShown>,
    /// Why this, the view and the events may be out of date; `None`: they are not.
    pub trouble: Option<String>,
}
