//! Bugs that are planted on purpose, one at a time, to see that the simulated world finds them.
//!
//! Without the feature `planted`, which no program of ours has, [`is_planted`] is `false` for all of
//! them, and the compiler leaves nothing of them.

/// A bug of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "planted", derive(strum::VariantArray))]
pub enum Bug {
    /// An order counts as taken for the age of others once it has ended.
    NewestAtEnd,
    /// An order to delete is never too old.
    OldDeletes,
    /// An order to create is never too old.
    OldCreates,
    /// Of ended orders the last two are known.
    EndsForgotten,
    /// What could not be wiped three times is taken to be wiped.
    WipeGivenUp,
    /// A highly available VM that has moved here is like any other.
    MovedIsPlain,
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

    /// Plants a bug in all agents that this thread steps from now on; `None`: none.
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
