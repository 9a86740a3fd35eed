//! Bugs that are planted on purpose, one at a time, to see that the simulated world finds them.
//!
//! Without the feature `planted`, which no program of ours has, [`is_planted`] is `false` for all of
//! them, and the compiler leaves nothing of them.

/// A bug of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "planted", derive(strum::VariantArray))]
pub enum Bug {
    /// A controller that begins takes no lease to have been given.
    LeasesForgotten,
    /// A lease has lapsed for the controller when it has for its node, whose clock and watchdog may be
    /// late.
    GraceForgotten,
    /// What is decided in one step does not see what was decided before it in that step.
    StaleBeside,
    /// A VM grows whatever its node has free.
    GrowthUnchecked,
    /// Of VMs that grow together, each is looked at as if it grew alone.
    GrowthOneByOne,
    /// A drain looks for places two VMs at a time, each pair as if it were alone.
    DrainInPairs,
    /// What could begin if its node were reached has no deadline.
    UnbegunWithoutDeadline,
    /// Who repeats what has failed has it done again.
    FailedTakenAgain,
    /// Who repeats what was called off has it done after all.
    CancelledTakenAgain,
    /// Who repeats what was not for now is looked at anew.
    IllegalTakenAgain,
    /// Instances that are added to a design begin at its first address again.
    AddressesTwice,
    /// What is lent to a VM is taken to go with it.
    LentGoesAlong,
    /// A VM that was made and could not be deleted in time is left where it is.
    GoneUnhealed,
    /// Nodes that cannot be reached are planned with.
    DeadNodesPlanned,
}

#[cfg(feature = "planted")]
mod here {
    use super::Bug;
    use std::cell::Cell;
    use strum::VariantArray;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = Cell::new(built_in());
    }

    /// The bug that is planted from the start: `GRIDWRIGHT_BUG` when this was built. So are the other
    /// tests run with it.
    fn built_in() -> Option<Bug> {
        let name = option_env!("GRIDWRIGHT_BUG")?;
        let mut all = Bug::VARIANTS.iter();
        all.find(|bug| format!("{bug:?}") == name).copied()
    }

    /// Plants a bug in all controllers that this thread steps from now on; `None`: none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub(crate) use here::is_planted;
#[cfg(feature = "planted")]
pub use here::plant;

#[cfg(not(feature = "planted"))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}
