//! How a long act is followed and called off.

use crate::driver::NativeCall;
use model::id::{Generation, OperationId};
use model::time::Time;

/// Why an act must end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalledOff {
    /// Somebody cancelled the operation.
    #[error("cancelled")]
    Cancelled,
    /// The order's deadline has passed.
    #[error("the deadline has passed")]
    Expired,
}

/// The order behind an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The operation it is part of.
    pub operation: OperationId,
    /// The grid's generation when it was made.
    pub generation: Generation,
    /// After this it is given up, by the node's clock.
    pub deadline: Time,
}

/// Whoever waits for an act. Acts call [`Watch::checkpoint`] at least every 100 ms while they wait.
pub trait Watch: Send + Sync {
    /// Tells that this share of the act is done, in thousandths.
    fn progressed(&self, done_milli: u16);

    /// Tells a call to the hypervisor that is about to be made, keys left out.
    fn calling(&self, call: &NativeCall);

    /// Whether to go on.
    ///
    /// # Errors
    /// Where the act must end early; it leaves the VM as it was, or as recovery can tell.
    fn checkpoint(&self) -> Result<(), CalledOff>;

    /// The order behind the act, for drivers that pass it on; `None`: there is none, as for a probe.
    fn cause(&self) -> Option<Cause> {
        None
    }
}

/// Follows nothing and never calls off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &NativeCall) {}

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}
