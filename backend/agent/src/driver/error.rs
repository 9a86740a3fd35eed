//! What drivers answer where they do not do what they are asked.

use crate::watch::CalledOff;
use model::id::{KeyId, VmId};
use serde::{Deserialize, Serialize};

/// Why a driver did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "kebab-case")]
pub enum DriverError {
    /// This driver never can.
    #[error("{driver} cannot {what}")]
    Unsupported {
        /// The driver.
        driver: String,
        /// What was asked, as `pause a VM`.
        what: String,
    },
    /// Not in this state.
    #[error("{vm} cannot {act} while it is {state}")]
    Illegal {
        /// The VM.
        vm: VmId,
        /// What was asked.
        act: String,
        /// The state in words; `absent` where there is no such VM.
        state: String,
    },
    /// The machine cannot be run here.
    #[error("{field} is {found}, expected {expected}")]
    Invalid {
        /// The field of the machine, as `disks[0].format`.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// A key was not sent.
    #[error("{key} was not sent; send the order again with it")]
    KeyMissing {
        /// Which.
        key: KeyId,
    },
    /// A program or device of the node is missing.
    #[error("{what} is missing; {hint}")]
    Missing {
        /// What.
        what: String,
        /// What the admin can do, as `install qemu-system-x86`.
        hint: String,
    },
    /// The hypervisor refused or broke.
    #[error("{doing}: {said}")]
    Hypervisor {
        /// What was being done.
        doing: String,
        /// What the hypervisor said.
        said: String,
    },
    /// The act came too far for a way back and is not at its end: it must be asked for again, until
    /// it is.
    #[error("{doing}: {said}; there is no way back")]
    Unfinished {
        /// What was being done.
        doing: String,
        /// What stood in the way.
        said: String,
    },
    /// The act was called off.
    #[error("{doing}: {why}")]
    CalledOff {
        /// What was being done.
        doing: String,
        /// Why, in words.
        why: String,
    },
}

impl DriverError {
    /// For `map_err` where a [`Watch`](crate::watch::Watch) says stop.
    pub fn called_off(doing: &str, why: CalledOff) -> Self {
        Self::CalledOff {
            doing: doing.to_owned(),
            why: why.to_string(),
        }
    }
}
