//! One line of the grid's history.

use crate::id::{NodeId, OperationId, VmId};
use crate::report::VmState;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Happening {
    /// A VM was placed on a node.
    Placed {
        /// The VM.
        vm: VmId,
        /// Its node.
        node: NodeId,
    },
    /// No node took a VM.
    Refused {
        /// The VM.
        vm: VmId,
        /// The filter that refused the last nodes, in words.
        reason: String,
    },
    /// No node took a VM yet, and it waits for one.
    Queued {
        /// The VM.
        vm: VmId,
    },
    /// A VM left its node.
    Released {
        /// The VM.
        vm: VmId,
        /// The node it left.
        node: NodeId,
    },
    /// An operation was accepted.
    Accepted {
        /// What was asked, in words.
        asked: String,
    },
    /// An operation has ended.
    Ended {
        /// What was asked, in words.
        asked: String,
        /// Why it failed; `None`: it was done.
        failed: Option<String>,
    },
    /// A VM was seen in another state.
    Seen {
        /// The VM.
        vm: VmId,
        /// Its node.
        node: NodeId,
        /// The state; `None`: it is not there.
        state: Option<VmState>,
    },
    /// A node's agent can be reached, or cannot any more.
    Reached {
        /// The node.
        node: NodeId,
        /// Whether it can.
        is_reached: bool,
    },
    /// The lease of a node that cannot be reached has lapsed: its highly available VMs start elsewhere.
    GivenUp {
        /// The node.
        node: NodeId,
    },
    /// A node has a VM that nobody here has made.
    Found {
        /// The VM.
        vm: VmId,
        /// The node.
        node: NodeId,
    },
}

impl Happening {
    /// The node that it is about, if any.
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Placed { node, .. }
            | Self::Released { node, .. }
            | Self::Seen { node, .. }
            | Self::Reached { node, .. }
            | Self::GivenUp { node }
            | Self::Found { node, .. } => Some(*node),
            Self::Refused { .. }
            | Self::Queued { .. }
            | Self::Accepted { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Whether something went wrong.
    pub const fn is_bad(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Ended {
                failed: Some(_), ..
            }
            | Self::Seen {
                state: Some(VmState::Failed),
                ..
            }
            | Self::Reached {
                is_reached: false, ..
            }
            | Self::GivenUp { .. }
            | Self::Found { .. } => true,
            Self::Placed { .. }
            | Self::Queued { .. }
            | Self::Released { .. }
            | Self::Accepted { .. }
            | Self::Ended { failed: None, .. }
            | Self::Seen { .. }
            | Self::Reached {
                is_reached: true, ..
            } => false,
        }
    }
}

/// When, what, and by which operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Time,
    /// By which operation; `None`: by itself.
    pub operation: Option<OperationId>,
    /// What.
    pub happening: Happening,
}
