//! What came back of an order, or what a node noticed by itself.

use crate::hypervisor::words;
use crate::id::{NodeId, OperationId, VmId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

words! {
    /// What a node saw of a VM; what is wished is kept elsewhere.
    VmState {
        /// Disks exist, nothing runs.
        Stopped,
        /// On its way up.
        Starting,
        /// Running.
        Running,
        /// Frozen.
        Paused,
        /// On its way down.
        Stopping,
        /// Moving to another node.
        Migrating,
        /// Gave up by itself.
        Failed,
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Outcome {
    /// The order was carried out.
    Done,
    /// It failed and left nothing behind.
    Failed {
        /// In words for a person.
        reason: String,
    },
    /// A VM is now in this state.
    Seen {
        /// The state.
        state: VmState,
    },
}

/// One message from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// From where.
    pub node: NodeId,
    /// When, by the node's clock.
    pub at: Time,
    /// About which VM; `None`: the node itself.
    pub vm: Option<VmId>,
    /// In answer to which operation; `None`: noticed by itself.
    pub operation: Option<OperationId>,
    /// What happened.
    pub outcome: Outcome,
}
