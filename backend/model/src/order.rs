//! One normalised message to a node, whatever hypervisor rules it.

use crate::hypervisor::words;
use crate::id::{Generation, NodeId, OperationId, VmId};
use crate::time::Time;
use crate::units::Resources;
use serde::{Deserialize, Serialize};

words! {
    /// Which of a VM's resources an order scales.
    ScaledResource {
        /// vCPUs.
        Cpu,
        /// Memory.
        Mem,
        /// Disks.
        Disk,
        /// Network limits.
        Net,
    }
}

/// What is to be done to a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Verb {
    /// Build its disks and define it.
    Create {
        /// Its size.
        resources: Resources,
        /// Digest or name of the image.
        image: String,
    },
    /// Wipe and forget it.
    Delete,
    /// Make another VM of it.
    Copy {
        /// The new VM.
        to: VmId,
    },
    /// Give it more or less.
    Scale {
        /// Of what.
        resource: ScaledResource,
        /// The new size.
        resources: Resources,
    },
    /// Boot it.
    Start,
    /// Shut it down.
    Stop,
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
    /// Measure it now.
    ReportStatistics,
    /// Save it as an image.
    SaveImage {
        /// The image's name.
        name: String,
    },
    /// Move it.
    Migrate {
        /// Where to.
        to: NodeId,
    },
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
