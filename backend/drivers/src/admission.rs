//! Refuses what the lifecycle or the declared capabilities forbid, before a hypervisor is asked.

use agent::driver::{Act, ActKind, Driver, DriverError, Seen};
use agent::lifecycle::{after, state_word};
use model::id::VmId;
use model::report::VmState;

/// Lets an act through to its driver, with the VM as it is now and the state that the act leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The VM now; `None`: there is none.
    pub now: Option<Seen>,
    /// Its state after the act; `None`: it will be gone.
    pub then: Option<VmState>,
}

impl Admitted {
    /// The VM's state now.
    pub fn state(&self) -> Option<VmState> {
        self.now.map(|seen| seen.state)
    }
}

/// What every driver's `perform` and `translate` begin with.
///
/// # Errors
/// [`DriverError::Unsupported`] where the capability is not declared, [`DriverError::Illegal`] where
/// the VM's state forbids the act, and whatever [`Driver::inspect`] or [`Driver::validate`] find.
pub fn admit(driver: &dyn Driver, vm: VmId, act: &Act) -> Result<Admitted, DriverError> {
    let kind = ActKind::from(act);
    if let Some(needed) = act.needs()
        && !driver.capabilities().contains(&needed)
    {
        return Err(DriverError::Unsupported {
            driver: driver.name().to_owned(),
            what: format!("{kind} a VM (it lacks {needed})"),
        });
    }
    if let Act::Define { machine } | Act::Receive { machine, .. } | Act::Copy { to: machine } = act
    {
        driver.validate(machine)?;
    }
    let now = driver.inspect(vm)?;
    let state = now.map(|seen| seen.state);
    let then = after(state, kind).map_err(|illegal| DriverError::Illegal {
        vm,
        act: kind.to_string(),
        state: state_word(illegal.state).to_owned(),
    })?;
    Ok(Admitted { now, then })
}
