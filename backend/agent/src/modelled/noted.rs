//! What a modelled driver does to its note of a machine.

use crate::machine::Machine;
use model::order::Scale;

/// Writes a new size into it.
pub fn resize(machine: &mut Machine, scale: &Scale) {
    match scale {
        Scale::Cpu { cpus } => machine.cpus = *cpus,
        Scale::Mem { mem_mib } => machine.mem_mib = *mem_mib,
        Scale::Disk { disk, size_mib } => {
            for found in machine.disks.iter_mut().filter(|d| d.name == *disk) {
                found.size_mib = *size_mib;
            }
        }
        Scale::DiskIo { disk, iops, mibps } => {
            for found in machine.disks.iter_mut().filter(|d| d.name == *disk) {
                (found.iops, found.mibps) = (*iops, *mibps);
            }
        }
        Scale::Net { interface, mbps } => {
            let all = machine.interfaces.iter_mut();
            for found in all.filter(|i| i.name == *interface) {
                found.mbps = *mbps;
            }
        }
    }
}
