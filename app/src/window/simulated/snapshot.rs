//! A simulated grid at an instant, and the place where the thread leaves the latest one for the window.

use super::clock::{Going, Speed};
use super::shown::{DesignShown, EventShown, OperationShown, VmShown};
use super::trouble::TroubleShown;
use model::id::VmId;
use model::time::Time;
use model::view::View;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// All that the window shows of it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The instant.
    pub at: Time,
    /// Whether time passes.
    pub going: Going,
    /// How fast.
    pub speed: Speed,
    /// The grid.
    pub view: Arc<View>,
    /// Open operations, the oldest first, then ended ones, the latest first.
    pub operations: Vec<OperationShown>,
    /// The latest lines of the history, the oldest first.
    pub events: Vec<EventShown>,
    /// Lines of the history in all.
    pub events_total: usize,
    /// VMs of the controller.
    pub vms: BTreeMap<VmId, VmShown>,
    /// Deployed designs.
    pub designs: Vec<DesignShown>,
    /// What befalls it just now.
    pub troubles: Vec<TroubleShown>,
    /// Whether there is a controller.
    pub has_controller: bool,
    /// What should never have happened, in words.
    pub violations: Vec<String>,
    /// How many requests were carried out before this instant.
    pub handled: u64,
}

impl Snapshot {
    /// Whether something is going on that takes its time.
    pub fn is_busy(&self) -> bool {
        !self.troubles.is_empty() || self.operations.iter().any(OperationShown::is_open)
    }

    /// A tenant's design, if it is deployed.
    pub fn design(&self, tenant: &str, name: &str) -> Option<&DesignShown> {
        let mut designs = self.designs.iter();
        designs.find(|design| design.tenant == tenant && design.name == name)
    }
}

/// Holds the latest snapshot.
#[derive(Debug, Default)]
pub(super) struct Slot {
    latest: Mutex<Option<Arc<Snapshot>>>,
    came: Condvar,
}

impl Slot {
    pub fn put(&self, snapshot: Arc<Snapshot>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(snapshot);
        self.came.notify_all();
    }

    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.clone()
    }

    /// Waits for one that will do; whether it came.
    pub fn wait(&self, limit: Duration, will_do: impl Fn(&Snapshot) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if latest.as_deref().is_some_and(&will_do) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.came.wait_timeout(latest, left);
            latest = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
