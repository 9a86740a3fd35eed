//! What came of a step.

use model::id::VmId;
use model::report::VmState;
use model::sample::Sample;
use serde::{Deserialize, Serialize};

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gained {
    /// Of [`Step::Act`] and [`Step::Await`]: the states after it of all VMs that it touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<SeenState>,
    /// Of [`Act::Receive`], [`Step::Expect`] and [`Step::Lend`]: where the other node connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<String>,
    /// Of [`Step::Measure`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// Of [`Step::Store`]: the image's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Of [`Act::Send`]: how long no vCPU ran on either node, in milliseconds, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_millis: Option<u64>,
}

/// The state of a VM as something told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenState {
    /// Which VM.
    pub vm: VmId,
    /// Its state; `None`: it is gone.
    pub state: Option<VmState>,
}

/// Why a step did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}")]
pub struct Failure {
    /// Of which kind.
    pub kind: FailureKind,
    /// In words for a person.
    pub reason: String,
}

model::hypervisor::words! {
    /// What a failure means for those who would go on.
    FailureKind {
        /// It was not tried, as the VM's state or the hypervisor does not allow it: nothing changed.
        Refused,
        /// It was called off.
        CalledOff,
        /// It was tried and broke.
        Broken,
        /// It was tried, broke, and cannot be taken back: it is begun again until it succeeds.
        Unfinished,
    }
}
