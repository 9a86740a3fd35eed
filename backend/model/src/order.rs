//! One normalised message to a node, whatever hypervisor rules it.

use crate::blueprint::Blueprint;
use crate::configuration::Configuration;
use crate::hypervisor::Capability;
use crate::id::{Generation, KeyId, NodeId, OperationId, VmId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What is to be given to a VM, or taken from it: a new size, never a difference, so that a
/// repeated order changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "resource", rename_all = "kebab-case")]
pub enum Scale {
    /// vCPUs.
    Cpu {
        /// How many.
        cpus: u32,
    },
    /// Memory.
    Mem {
        /// How much.
        mem_mib: u32,
    },
    /// The size of a disk; data beyond a smaller end must have been moved before.
    Disk {
        /// The disk's name.
        disk: String,
        /// Its new size.
        size_mib: u64,
    },
    /// Limits of a disk.
    DiskIo {
        /// The disk's name.
        disk: String,
        /// Operations a second; `None`: no limit.
        iops: Option<u32>,
        /// Throughput in MiB a second; `None`: no limit.
        mibps: Option<u32>,
    },
    /// Limit of a network interface.
    Net {
        /// The interface's name.
        interface: String,
        /// Bandwidth in Mbit a second; `None`: no limit.
        mbps: Option<u32>,
    },
}

impl Scale {
    /// What a driver must be able to do for it while the VM runs.
    pub const fn needs(&self) -> Capability {
        match self {
            Self::Cpu { .. } => Capability::ScaleCpu,
            Self::Mem { .. } => Capability::ScaleMem,
            Self::Disk { .. } | Self::DiskIo { .. } => Capability::ScaleDisk,
            Self::Net { .. } => Capability::ScaleNet,
        }
    }
}

/// How long a guest may take over its own shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Shutdown {
    /// Asked; forced after this many milliseconds.
    Asked {
        /// The guest's time.
        patience_millis: u32,
    },
    /// At once, as by pulling the plug.
    Forced,
}

/// Where a VM's disks are while it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// Both nodes see the same disks.
    Shared,
    /// Each node has its own; the bytes are copied.
    Local,
}

/// How a VM that is deployed is modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Way {
    /// While it is off, and it stays off.
    InPlace,
    /// Running, it is shut down, modified, and started again; as it was, where that fails.
    Suspended {
        /// How it is shut down.
        shutdown: Shutdown,
    },
    /// While it runs on, a duplicate of its system disk is modified; then it is shut down and started
    /// from that. What it writes to its system disk after the duplicate was begun is lost with the old
    /// disk.
    Duplicate {
        /// How it is shut down.
        shutdown: Shutdown,
    },
}

/// How a VM moves to another node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "passage", rename_all = "kebab-case")]
pub enum Passage {
    /// It runs all the way.
    #[default]
    Live,
    /// It stands still, and what its disks hold is copied.
    Cold {
        /// How a running VM is shut down before; it is started where it arrives. `None`: it does not
        /// run before, nor then.
        shutdown: Option<Shutdown>,
    },
}

impl Passage {
    /// What both nodes' drivers must be able to do for it.
    pub const fn needs(self) -> Capability {
        match self {
            Self::Live => Capability::LiveMigration,
            Self::Cold { .. } => Capability::ColdMigration,
        }
    }
}

/// What is to be done to a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// Build its disks and define it.
    Create {
        /// All that there is to know of it.
        blueprint: Box<Blueprint>,
    },
    /// Wipe and forget it.
    Delete,
    /// Make another VM of it, on the same node.
    Copy {
        /// The new VM, with disks of the same names and sizes.
        to: Box<Blueprint>,
    },
    /// Give it more or less.
    Scale {
        /// Of what.
        scale: Scale,
    },
    /// Boot it.
    Start,
    /// Shut it down.
    Stop {
        /// How.
        shutdown: Shutdown,
    },
    /// Freeze it.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Stop and start.
    Reboot,
    /// Keep this instant.
    Snapshot {
        /// The snapshot's name.
        name: String,
    },
    /// Go back to an instant.
    Restore {
        /// The snapshot's name.
        name: String,
    },
    /// Drop an instant that was kept.
    DropSnapshot {
        /// The snapshot's name.
        name: String,
    },
    /// Measure it now.
    ReportStatistics,
    /// Save its disks as images, all as of one instant, one report each.
    SaveImage {
        /// The image's name; where disks are named, that and the disk's after a hyphen.
        name: String,
        /// Which disks, by their names, none of them encrypted; empty: the first.
        #[serde(default)]
        disks: Vec<String>,
    },
    /// Let its running services take a configuration.
    Configure {
        /// What.
        configuration: Box<Configuration>,
    },
    /// Let its encrypted disks that one key opens be opened by another one, and by that one no more.
    /// Both keys come beside the order.
    RotateKey {
        /// The key that opens them.
        from: KeyId,
        /// The key that is to, which no disk of the VM has yet.
        to: KeyId,
    },
    /// Change what is on its system disk: components, applications, name, addresses, users, keys,
    /// firewall rules, files and settings; all else of it stays as it is.
    Modify {
        /// The VM as it is to be.
        blueprint: Box<Blueprint>,
        /// How.
        way: Way,
    },
    /// Make room for a VM that moves here, and listen for it.
    Receive {
        /// All that there is to know of it.
        blueprint: Box<Blueprint>,
        /// Where its disks are.
        storage: Storage,
        /// The key that the two nodes have in common: 32 random bytes, new for each move, which come
        /// beside both orders.
        key: KeyId,
        /// How it moves.
        #[serde(default)]
        passage: Passage,
    },
    /// Move it to the node that listens; wipe it here once it is that node's.
    Migrate {
        /// Where to.
        to: NodeId,
        /// Where the other agent listens, as the report of its [`Verb::Receive`] said.
        address: String,
        /// Where its disks are.
        storage: Storage,
        /// As the order to receive it says.
        key: KeyId,
        /// As the order to receive it says.
        #[serde(default)]
        passage: Passage,
    },
    /// Lend a volume of this node's disk to the VM, which runs elsewhere: serve it to whoever has the
    /// key. Of a volume that is lent already, serve it again, by this key alone. The report of where
    /// tells the same address each time. The VM's [`Self::Delete`] on this node wipes it.
    Lend {
        /// Its name, which the VM's disk gives as [`crate::blueprint::Extent::volume`].
        volume: String,
        /// Its size in MiB.
        size_mib: u64,
        /// The key by which it is read and written: 32 random bytes, which come beside this order and
        /// beside every one that starts the VM.
        key: KeyId,
    },
}

impl Verb {
    /// The word for it, as in `stop web-0`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Delete => "delete",
            Self::Copy { .. } => "copy",
            Self::Scale { .. } => "scale",
            Self::Start => "start",
            Self::Stop { .. } => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reboot => "reboot",
            Self::Snapshot { .. } => "snapshot",
            Self::Restore { .. } => "restore",
            Self::DropSnapshot { .. } => "drop a snapshot of",
            Self::ReportStatistics => "measure",
            Self::SaveImage { .. } => "save",
            Self::Configure { .. } => "configure",
            Self::RotateKey { .. } => "rotate a key of",
            Self::Modify { .. } => "modify",
            Self::Receive { .. } => "receive",
            Self::Migrate { .. } => "migrate",
            Self::Lend { .. } => "lend to",
        }
    }

    /// What the node's driver must be able to do for it, beyond the mandatory part.
    pub const fn needs(&self) -> Option<Capability> {
        match self {
            Self::Create { .. }
            | Self::Delete
            | Self::Start
            | Self::Stop { .. }
            | Self::Reboot
            | Self::ReportStatistics
            | Self::Lend { .. }
            | Self::Modify {
                way: Way::InPlace | Way::Suspended { .. },
                ..
            } => None,
            Self::Copy { .. } => Some(Capability::Copy),
            Self::Scale { scale } => Some(scale.needs()),
            Self::Pause | Self::Resume => Some(Capability::Pause),
            Self::Snapshot { .. } | Self::Restore { .. } | Self::DropSnapshot { .. } => {
                Some(Capability::Snapshot)
            }
            Self::SaveImage { .. }
            | Self::Modify {
                way: Way::Duplicate { .. },
                ..
            } => Some(Capability::SaveImage),
            Self::Configure { .. } => Some(Capability::Configure),
            Self::RotateKey { .. } => Some(Capability::RotateKey),
            Self::Receive { passage, .. } | Self::Migrate { passage, .. } => Some(passage.needs()),
        }
    }
}

/// A verb with its addressee; a repeated operation gives the first result, an older generation is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The operation it is part of.
    pub operation: OperationId,
    /// The grid's generation when it was made.
    pub generation: Generation,
    /// The node that carries it out.
    pub node: NodeId,
    /// The VM it is about.
    pub vm: VmId,
    /// What to do.
    pub verb: Verb,
    /// After this the order is given up.
    pub deadline: Time,
}
