//! A grid that takes commands at an instant, and the place where its thread leaves the latest one.

use super::simulated::clock::ClockShown;
use control::shown::{DesignShown, EventShown, OperationShown, VmShown};
use model::id::{NodeId, VmId};
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
    /// The grid.
    pub view: Arc<View>,
    /// Open operations, the oldest first, then ended ones, the latest first.
    pub operations: Vec<OperationShown>,
    /// The latest lines of the history, the oldest first.
    pub events: Vec<EventShown>,
    /// Lines of the history in all.
    pub events_total: u64,
    /// VMs of the controller.
    pub vms: BTreeMap<VmId, VmShown>,
    /// Deployed designs.
    pub designs: Vec<DesignShown>,
    /// Why this may be out of date; `None`: it is not.
    pub trouble: Option<String>,
    /// Its clock, where that can be set; `None`: time passes by itself.
    pub clock: Option<ClockShown>,
    /// How many requests were carried out before this instant.
    pub handled: u64,
}

impl Snapshot {
    /// Whether something is going on that takes its time.
    pub fn is_busy(&self) -> bool {
        let befalls = |clock: &ClockShown| !clock.troubles.is_empty();
        self.clock.as_ref().is_some_and(befalls) || self.open_operations() > 0
    }

    /// How many operations have not ended.
    pub fn open_operations(&self) -> usize {
        let open = self
            .operations
            .iter()
            .filter(|shown| !shown.state.is_over());
        open.count()
    }

    /// A tenant's design, if it is deployed.
    pub fn design(&self, tenant: &str, name: &str) -> Option<&DesignShown> {
        let mut designs = self.designs.iter();
        designs.find(|design| design.tenant == tenant && design.name == name)
    }

    /// VMs of a tenant's design that are to stay.
    pub fn vms_of<'a>(
        &'a self,
        tenant: &'a str,
        design: &'a str,
    ) -> impl Iterator<Item = &'a VmShown> {
        let vms = self.vms.values();
        vms.filter(move |vm| {
            vm.tenant == tenant && vm.design.as_deref() == Some(design) && vm.is_to_stay()
        })
    }

    /// Where a VM is.
    pub fn node_of(&self, vm: &VmShown) -> Option<NodeId> {
        self.view.grid.node_named(&vm.node)
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
