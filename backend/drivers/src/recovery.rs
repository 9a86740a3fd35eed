//! All VMs of a node, each looked at by itself: one that hangs holds up no other.

use crate::outside::Hasty;
use agent::driver::{DriverError, Seen};
use agent::watch::{Unwatched, Watch};
use model::id::VmId;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long one VM is waited for, in a look that is repeated.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at a time: a few that hang leave room for others.
const MOST_LOOKS: usize = 16;

/// Looks at these VMs and gives back, in their order, those that are there and answer in time.
pub(crate) fn all(
    vms: &[VmId],
    look: impl Fn(VmId, &dyn Watch) -> Result<Option<Seen>, DriverError> + Sync,
) -> Vec<Seen> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut found = Vec::new();
        while let Some(&vm) = vms.get(next.fetch_add(1, Ordering::Relaxed)) {
            let watch = Hasty {
                until: Instant::now() + PATIENCE,
                watch: &Unwatched,
            };
            found.extend(look(vm, &watch).ok().flatten());
        }
        found
    };
    let mut found: Vec<Seen> = thread::scope(|scope| {
        let helpers: Vec<_> = (1..MOST_LOOKS.min(vms.len()))
            .map(|_| scope.spawn(some))
            .collect();
        let mut found = some();
        for helper in helpers {
            found.extend(helper.join().unwrap_or_default());
        }
        found
    });
    found.sort_unstable_by_key(|seen| seen.vm);
    found
}
