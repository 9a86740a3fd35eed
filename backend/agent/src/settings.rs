//! What an agent is told of its node before anything happens.

use crate::naming::Naming;
use model::fingerprint::{Fingerprint, Reserved};
use model::id::NodeId;
use model::units::{CpuMilli, DiskGib, MemMib, NetMbps, Resources};

/// What does not change while an agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which node it is.
    pub node: NodeId,
    /// Where things are.
    pub naming: Naming,
    /// The address on which the node listens for VMs that move here; `None`: none may.
    pub host: Option<String>,
    /// Disk space for VMs in MiB, the reserved share taken off.
    pub disk_mib: u64,
    /// What the node keeps for itself.
    pub reserved: Reserved,
}

/// What placement may lend of a node: what was found, less what is reserved. Operations on disks
/// and accelerators no fingerprint tells; they stay zero.
pub fn lendable(found: &Fingerprint) -> Resources {
    let reserved = found.reserved;
    let cpu_milli = found.cores.saturating_mul(1_000);
    let mem_mib = clamp(found.mem_mib);
    let disk_mib: u64 = found.disks.iter().map(|disk| disk.size_mib).sum();
    let speeds = found.interfaces.iter().filter_map(|i| i.mbps);
    Resources {
        cpu_milli: CpuMilli(cpu_milli.saturating_sub(reserved.cpu_milli)),
        mem_mib: MemMib(mem_mib.saturating_sub(reserved.mem_mib)),
        disk_gib: DiskGib(clamp(disk_mib.saturating_sub(reserved.disk_mib) / 1_024)),
        net_mbps: NetMbps(speeds.fold(0, u32::saturating_add)),
        ..Resources::default()
    }
}

fn clamp(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
