//! A VM as its node holds it: a blueprint with every path and name on the node decided.

use model::blueprint::Extent;
use model::hypervisor::{Arch, Guest, Virtualisation, words};
use model::id::{KeyId, VmId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a driver is told of a VM, and all that it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Which.
    pub vm: VmId,
    /// Host name, as the blueprint has it.
    pub name: String,
    /// Instruction set.
    pub arch: Arch,
    /// Operating system.
    pub guest: Guest,
    /// How it is run.
    pub virtualisation: Virtualisation,
    /// vCPUs at the start.
    pub cpus: u32,
    /// vCPUs to which it may be scaled while it runs.
    pub max_cpus: u32,
    /// Memory at the start, in MiB.
    pub mem_mib: u32,
    /// Memory to which it may be scaled while it runs, in MiB.
    pub max_mem_mib: u32,
    /// What it starts from.
    pub boot: Boot,
    /// Its disks in order; the first is the one it boots from, where it boots from one.
    pub disks: Vec<AttachedDisk>,
    /// Its interfaces in order.
    pub interfaces: Vec<AttachedInterface>,
}

impl Machine {
    /// Whether a disk of it lies on other nodes.
    pub fn has_remote_disks(&self) -> bool {
        self.disks.iter().any(|disk| !disk.extents.is_empty())
    }

    /// Has another key open the disks that one opens.
    pub fn rekey(&mut self, old: KeyId, new: KeyId) {
        let keys = self.disks.iter_mut().filter_map(|disk| disk.key.as_mut());
        keys.filter(|key| **key == old).for_each(|key| *key = new);
    }
}

/// What a VM starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Boot {
    /// The boot loader on its first disk.
    Disk,
    /// A kernel that the hypervisor loads.
    Kernel {
        /// The kernel's file on the node; for a kernel that is itself a program, that program.
        kernel: PathBuf,
        /// The initial RAM disk; `None`: none.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        command_line: String,
    },
    /// A folder that is the container's root file system; a container has no other disk to boot.
    Folder {
        /// The folder on the node, which the VM then owns.
        root: PathBuf,
    },
}

words! {
    /// How the bytes of a disk lie in its file.
    DiskFormat {
        /// As they are.
        Raw,
        /// QEMU's copy-on-write format.
        Qcow2,
        /// Encrypted by LUKS over raw bytes.
        Luks,
    }
}

/// A disk of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedDisk {
    /// Unique in its VM.
    pub name: String,
    /// Its file on the node.
    pub path: PathBuf,
    /// How its bytes lie there.
    pub format: DiskFormat,
    /// Size that the guest sees, in MiB.
    pub size_mib: u64,
    /// The read-only base under a [`DiskFormat::Qcow2`] overlay, raw; `None`: none.
    pub base: Option<PathBuf>,
    /// The key that opens it; `None`: it is open.
    pub key: Option<KeyId>,
    /// Whether the guest may not write to it.
    pub read_only: bool,
    /// Limit in operations a second; `None`: none.
    pub iops: Option<u32>,
    /// Limit in MiB a second; `None`: none.
    pub mibps: Option<u32>,
    /// The volumes of other nodes of which it consists, in order; there is no file then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extents: Vec<Extent>,
}

/// A network interface of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedInterface {
    /// Unique in its VM.
    pub name: String,
    /// Hardware address, six octets.
    pub mac: [u8; 6],
    /// Where its other end is.
    pub plug: Plug,
    /// Limit in Mbit a second; `None`: none.
    pub mbps: Option<u32>,
}

/// Where the other end of an interface is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "plug", rename_all = "kebab-case")]
pub enum Plug {
    /// A tap device of the node, already there and in its bridge.
    Tap {
        /// Its name.
        name: String,
    },
    /// A bridge of the node, into which the hypervisor itself puts an end.
    Bridge {
        /// Its name.
        name: String,
    },
    /// The hypervisor's own address translation: the guest reaches out, and these ports of the node
    /// lead in.
    User {
        /// Pairs of a port of the node's loopback and a TCP port of the guest.
        forwards: Vec<(u16, u16)>,
    },
}
