//! What an agent is told of its node before anything happens.

use crate::naming::Naming;
use model::fingerprint::{Fingerprint, Reserved};
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::{CpuMilli, DiskGib, MemMib, NetMbps, Resources};
use serde::{Deserialize, Serialize};

/// A boot of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// By what it is told from all others.
    pub id: String,
    /// When it was, by the agent's clock.
    pub at: Time,
}

/// A lease, by the clock of one boot, which goes on while the node sleeps and which nobody sets; after
/// another boot it has lapsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The boot's id.
    pub boot: String,
    /// How long after the boot it lapses.
    pub until: Span,
}

impl Boot {
    /// The lease that lapses at an instant of the agent's clock.
    pub fn lease(&self, until: Time) -> Lease {
        Lease {
            boot: self.id.clone(),
            until: until - self.at,
        }
    }

    /// When a lease lapses by the agent's clock; `None`: it has, with its boot.
    pub fn until(&self, lease: &Lease) -> Option<Time> {
        (lease.boot == self.id).then(|| self.at + lease.until)
    }
}

/// What does not change while an agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which node it is.
    pub node: NodeId,
    /// The boot in which the agent runs.
    pub boot: Boot,
    /// Where things are.
    pub naming: Naming,
    /// The address on which the node listens for VMs that move here; `None`: none may.
    pub host: Option<String>,
    /// Disk space for VMs in MiB, the reserved share taken off.
    pub disk_mib: u64,
    /// What the node keeps for itself.
    pub reserved: Reserved,
    /// The public key, in hex, by which it signs the images that it saves.
    pub signer: String,
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
