//! One line of the grid's history.

use crate::id::{NodeId, OperationId, VmId};
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
