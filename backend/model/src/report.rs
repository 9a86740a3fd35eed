//! What came back of an order, or what a node noticed by itself.

use crate::fingerprint::Fingerprint;
use crate::hypervisor::words;
use crate::id::{Generation, KeyId, NodeId, OperationId, VmId};
use crate::sample::Sample;
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Outcome {
    /// The order is on the node's disk and will end.
    Accepted,
    /// The order was not taken; nothing has happened.
    Refused {
        /// In words for a person.
        reason: String,
        /// The newest generation that the node knows.
        newest: Generation,
        /// Whether the same order may be taken later; otherwise no copy of it ever is.
        #[serde(default)]
        is_for_now: bool,
    },
    /// A step of the order moved on.
    Progressed {
        /// The step in words, as `format root`.
        step: String,
        /// How much of the step is done, in thousandths.
        done_milli: u16,
    },
    /// The order cannot go on before these keys are sent again.
    KeysWanted {
        /// Which.
        keys: Vec<KeyId>,
    },
    /// The node is ready for a VM that moves here, or serves a volume that it lends.
    Listening {
        /// Where the other node connects to.
        address: String,
    },
    /// The VM runs on the node to which it moved; what it had here is wiped next.
    Moved {
        /// How long it stood still: no vCPU ran on either node, in milliseconds, at most.
        downtime_millis: u64,
    },
    /// A disk that was saved is an image now.
    Saved {
        /// The disk's name.
        disk: String,
        /// SHA-256 of its manifest, in hex.
        image: String,
    },
    /// The order was carried out.
    Done,
    /// It failed and left nothing behind.
    Failed {
        /// In words for a person.
        reason: String,
    },
    /// It was called off and left nothing behind.
    Cancelled,
    /// A VM is now in this state; `None`: it is gone.
    Seen {
        /// The state.
        state: Option<VmState>,
    },
    /// What the node is.
    Fingerprinted {
        /// All of it.
        fingerprint: Box<Fingerprint>,
    },
    /// What was measured.
    Sampled {
        /// One or more.
        samples: Vec<Sample>,
    },
}

/// One message from a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
