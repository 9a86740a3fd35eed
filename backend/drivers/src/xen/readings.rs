//! What can be measured of a domain: by Xen itself, and by the node's ends of its devices. What is
//! not told is absent.

use super::config::name;
use super::look::Look;
use super::told;
use super::xl::Xl;
use crate::measure::{self, of};
use agent::driver::{DriverError, Reading};
use agent::machine::Machine;
use agent::naming::tap_name;
use model::report::VmState;
use model::sample::{Metric, Source, Subject};
use std::fs;
use std::path::Path;

/// Where Linux tells of the devices that it lends to domains.
const BACKENDS: &str = "/sys/bus/xen-backend/devices";

/// Bytes of a sector, whatever the disk's own are; see `sysfs-driver-xen-blkback` of Linux.
const SECTOR: f64 = 512.0;

/// All that can be told now.
pub fn readings(xl: &Xl, look: &Look) -> Result<Vec<Reading>, DriverError> {
    let machine = look.machine()?;
    let mut readings = measure::space(machine);
    let runs = matches!(look.state(), Some(VmState::Running | VmState::Paused));
    let Some(domain) = look.domain.as_ref().filter(|_| runs) else {
        return Ok(readings);
    };
    let whole = |metric, value| of(Subject::Whole, Source::Hypervisor, metric, value);
    readings.extend([
        // The running total of thousandths of a core is milliseconds of processor time.
        whole(Metric::CpuMilli, domain.cpu_seconds * 1000.0),
        whole(Metric::MemUsedMib, domain.mem_mib.into()),
    ]);
    let name = name(look.vm);
    let vcpus = told::vcpus(&xl.ask(&["vcpu-list", &name])?, &name);
    readings.extend(vcpus.into_iter().map(|(vcpu, seconds)| {
        let subject = Subject::Core(vcpu);
        of(
            subject,
            Source::Hypervisor,
            Metric::CpuMilli,
            seconds * 1000.0,
        )
    }));
    readings.extend(of_disks(Path::new(BACKENDS), machine, domain.id));
    for (place, interface) in machine.interfaces.iter().enumerate() {
        readings.extend(measure::tap(&interface.name, &tap_name(look.vm, place)));
    }
    Ok(readings)
}

/// Running totals of each disk, by the node's end of it.
pub fn of_disks(backends: &Path, machine: &Machine, domain: u32) -> Vec<Reading> {
    let figures = [
        (Metric::ReadIops, "rd_req", 1.0),
        (Metric::WriteIops, "wr_req", 1.0),
        (Metric::ReadKibps, "rd_sect", SECTOR / 1024.0),
        (Metric::WriteKibps, "wr_sect", SECTOR / 1024.0),
    ];
    let mut readings = Vec::new();
    for (place, disk) in machine.disks.iter().enumerate() {
        // The number of an `xvd` disk: major 202, sixteen minors each; see xen-vbd-interface(7).
        let number = (202 << 8) | (place << 4);
        let counters = backends.join(format!("vbd-{domain}-{number}/statistics"));
        for (metric, file, unit) in figures {
            let text = fs::read_to_string(counters.join(file)).unwrap_or_default();
            let value = text.trim().parse::<u64>().ok();
            readings.extend(value.map(|value| {
                let subject = Subject::Disk(disk.name.clone());
                of(subject, Source::Node, metric, value as f64 * unit)
            }));
        }
    }
    readings
}
