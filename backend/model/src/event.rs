//! One line of the grid's history.

use crate::id::{NodeId, OperationId, VmId};
use crate::report::VmState;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;

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

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed { vm, node } => write!(f, "{vm} was placed on {node}"),
            Self::Refused { vm, reason } => write!(f, "{vm} was refused: {reason}"),
            Self::Queued { vm } => write!(f, "{vm} waits for a node"),
            Self::Released { vm, node } => write!(f, "{vm} left {node}"),
            Self::Accepted { asked } => write!(f, "accepted: {asked}"),
            Self::Ended {
                asked,
                failed: None,
            } => write!(f, "done: {asked}"),
            Self::Ended {
                asked,
                failed: Some(why),
            } => write!(f, "failed: {asked}: {why}"),
            Self::Seen {
                vm,
                node,
                state: Some(state),
            } => write!(f, "{vm} is {state} on {node}"),
            Self::Seen {
                vm,
                node,
                state: None,
            } => write!(f, "{vm} is not on {node}"),
            Self::Reached {
                node,
                is_reached: true,
            } => write!(f, "{node} is reached"),
            Self::Reached {
                node,
                is_reached: false,
            } => write!(f, "{node} is not reached any more"),
            Self::GivenUp { node } => {
                write!(f, "the lease of {node} has lapsed, and it was given up")
            }
            Self::Found { vm, node } => write!(f, "{node} has {vm}, which nobody here has made"),
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
