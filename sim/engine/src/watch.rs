//! How long work tells its progress and learns that it is to stop.

/// The work was cancelled by whoever watched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl std::fmt::Display for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// Whoever watches long work.
pub trait Watch: Sync {
    /// Told now and then: `done` of `total` parts (0: unknown); bytes when reading, VMs when simulating.
    ///
    /// # Errors
    /// [`Cancelled`] where the work is to stop.
    fn progress(&self, done: u64, total: u64) -> Result<(), Cancelled>;
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&self, _done: u64, _total: u64) -> Result<(), Cancelled> {
        Ok(())
    }
}
