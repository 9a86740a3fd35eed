//! How often a VM has stopped and was rebooted, since it came to its node.

use model::report::VmState;
use serde::{Deserialize, Serialize};

/// The counts of one VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Whether it ran when it was last heard of.
    pub runs: bool,
    /// Stops, asked for or not.
    pub stops: u64,
    /// Reboots by order; those that the guest makes by itself are not seen.
    pub reboots: u64,
}

impl Tally {
    /// Whether a state is news.
    pub fn differs(&self, state: VmState) -> bool {
        runs(state).is_some_and(|runs| runs != self.runs)
    }

    /// Counts what led to a state.
    pub fn note(&mut self, state: VmState) {
        if self.differs(state) {
            self.stops += u64::from(self.runs);
            self.runs = !self.runs;
        }
    }
}

/// Whether a VM runs in a state; `None`: it is on its way.
fn runs(state: VmState) -> Option<bool> {
    match state {
        VmState::Running | VmState::Paused => Some(true),
        VmState::Stopped | VmState::Failed => Some(false),
        VmState::Starting | VmState::Stopping | VmState::Migrating => None,
    }
}
