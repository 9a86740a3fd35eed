//! What can be measured of a VM: what QEMU itself tells.

use super::look::Look;
use crate::folder::Folder;
use agent::driver::{DriverError, Reading};
use model::id::VmId;
use model::sample::{Metric, Source, Subject};

/// All of it; a VM that does not run has nothing to tell.
///
/// # Errors
/// Where QEMU does not answer.
pub(super) fn readings(folder: &Folder, vm: VmId) -> Result<Vec<Reading>, DriverError> {
    let Some(look) = Look::at(folder, vm)? else {
        return Ok(Vec::new());
    };
    if look.process.is_none() {
        return Ok(Vec::new());
    }
    let mut readings = Vec::new();
    if let Some(mem_mib) = look.seen.mem_mib {
        readings.push(Reading {
            subject: Subject::Whole,
            source: Source::Hypervisor,
            metric: Metric::MemTotalMib,
            value: f64::from(mem_mib),
        });
    }
    Ok(readings)
}
