//! What a node found out about itself: hardware, and the hypervisors that really work on it.

use crate::hypervisor::{Arch, Capability, Virtualisation};
use serde::{Deserialize, Serialize};

/// A node as its agent found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Instruction set.
    pub arch: Arch,
    /// Name and release of the node's kernel.
    pub kernel: String,
    /// The processor's name, as it gives it; empty: it gives none.
    pub processor: String,
    /// Cores that the system schedules on.
    pub cores: u32,
    /// Memory in MiB.
    pub mem_mib: u64,
    /// Disks.
    pub disks: Vec<FoundDisk>,
    /// Network interfaces, loopback left out.
    pub interfaces: Vec<FoundInterface>,
    /// Hypervisors, each tried by a probe.
    pub hypervisors: Vec<FoundHypervisor>,
    /// What the agent and its helpers keep for themselves; placement sees the rest.
    pub reserved: Reserved,
    /// The public key, in hex, by which the node signs the images that it saves: who is to take one
    /// must trust it.
    #[serde(default)]
    pub signer: String,
}

/// What a node does not lend to VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Memory in MiB.
    pub mem_mib: u32,
    /// Disk space in MiB.
    pub disk_mib: u64,
}

/// A disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundDisk {
    /// As the system calls it, `vda`.
    pub name: String,
    /// Size in MiB.
    pub size_mib: u64,
    /// Whether it turns; `None`: it does not tell.
    pub rotational: Option<bool>,
    /// Maker's name; `None`: it does not tell.
    pub model: Option<String>,
}

/// A network interface of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundInterface {
    /// As the system calls it.
    pub name: String,
    /// Hardware address, as `52:54:00:12:34:56`; `None`: it has none.
    pub mac: Option<String>,
    /// Speed in Mbit a second; `None`: it does not tell.
    pub mbps: Option<u32>,
}

/// A hypervisor that a driver found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundHypervisor {
    /// The driver's name, as `qemu`.
    pub driver: String,
    /// The hypervisor's own version.
    pub version: String,
    /// How it runs guests here.
    pub virtualisation: Vec<Virtualisation>,
    /// Instruction sets of guests that it runs natively.
    pub native: Vec<Arch>,
    /// Instruction sets of guests that it emulates.
    pub emulated: Vec<Arch>,
    /// What the driver can do here beyond the mandatory part.
    pub capabilities: Vec<Capability>,
    /// What the probe did and what came of it, for people.
    pub evidence: String,
}
