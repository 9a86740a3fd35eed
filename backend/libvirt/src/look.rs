//! A VM as it is now.

use crate::connection::{found, said};
use crate::door::Ways;
use crate::identity::{domain_name, vm_of};
use agent::driver::{DriverError, Seen};
use model::id::VmId;
use model::report::VmState;
use std::thread;
use std::time::{Duration, Instant};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};

/// A domain that a killed agent began to start is between two states; this long it is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A VM as it is now.
#[derive(Debug)]
pub struct Look {
    /// Its domain.
    pub domain: Domain,
    /// Its state and size.
    pub seen: Seen,
    /// Whether the hypervisor holds anything of it, whatever its state.
    pub is_active: bool,
}

impl Look {
    /// Looks at a VM; `None`: there is none.
    ///
    /// # Errors
    /// Where libvirt does not answer, or somebody else's domain has the VM's name.
    pub fn at(line: &Connect, ways: &Ways, vm: VmId) -> Result<Option<Self>, DriverError> {
        let doing = format!("look at {vm}");
        let failed = said(&doing);
        let name = domain_name(vm);
        let domain = Domain::lookup_by_name(line, &name);
        let Some(domain) = found(domain, ErrorNumber::NoDomain).map_err(&failed)? else {
            return Ok(None);
        };
        let uuid = domain.get_uuid().map_err(&failed)?;
        if vm_of(ways, &name, uuid).is_none() {
            return Err(DriverError::Hypervisor {
                doing: doing.clone(),
                said: format!(
                    "the domain {name} is somebody else's, by its UUID {uuid}; rename or remove it"
                ),
            });
        }
        match found(Self::settled(domain, vm), ErrorNumber::NoDomain) {
            Ok(look) => Ok(look),
            Err(error) => Err(failed(error)),
        }
    }

    fn settled(domain: Domain, vm: VmId) -> Result<Self, Error> {
        let begun = Instant::now();
        loop {
            let (state, reason) = domain.get_state()?;
            let state = state_of(state, u32::try_from(reason).unwrap_or_default());
            if state == VmState::Starting && begun.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let info = domain.get_info()?;
            let mib = info.memory / 1_024;
            let seen = Seen {
                vm,
                state,
                cpus: Some(info.nr_virt_cpu),
                mem_mib: u32::try_from(mib).ok(),
            };
            let is_active = domain.is_active()?;
            return Ok(Self {
                domain,
                seen,
                is_active,
            });
        }
    }
}

/// libvirt's states (virDomainState and the reasons beside it) in ours.
fn state_of(state: u32, reason: u32) -> VmState {
    match (state, reason) {
        (virt_sys::VIR_DOMAIN_PAUSED, virt_sys::VIR_DOMAIN_PAUSED_STARTING_UP) => VmState::Starting,
        (virt_sys::VIR_DOMAIN_PAUSED, _) => VmState::Paused,
        (virt_sys::VIR_DOMAIN_SHUTOFF, virt_sys::VIR_DOMAIN_SHUTOFF_CRASHED)
        | (virt_sys::VIR_DOMAIN_CRASHED, _) => VmState::Failed,
        // For whatever reason: one that could not be started is as it was.
        (virt_sys::VIR_DOMAIN_SHUTOFF, _) => VmState::Stopped,
        // Asleep by its own wish or about to end, it has not ended yet.
        _ => VmState::Running,
    }
}
