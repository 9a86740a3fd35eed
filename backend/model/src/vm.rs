//! What one VM asks of a node.

use crate::hypervisor::{Arch, Capability, Guest, Virtualisation, Work, words};
use crate::units::Resources;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

words! {
    /// How much trouble a tenant's VM may bring; ordered.
    Risk {
        /// Known and trusted.
        Low,
        /// Unknown.
        Medium,
        /// Runs code of strangers, or is attacked often.
        High,
    }

    /// How far apart, or how close, the VMs of a group must be.
    Scope {
        /// One node.
        Node,
        /// One rack.
        Rack,
        /// One site.
        Site,
    }
}

/// Accelerators that a VM asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceleratorAsk {
    /// Models any of which will do; empty: any model.
    #[serde(default)]
    pub models: BTreeSet<String>,
    /// How much.
    pub amount: AcceleratorAmount,
}

/// Whole devices, or a share of a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceleratorAmount {
    /// Whole free devices.
    Devices(u32),
    /// Thousandths of one device, 1 to 999.
    ShareMilli(u32),
}

impl AcceleratorAmount {
    /// Thousandths of a device in all.
    pub const fn milli(self) -> u32 {
        match self {
            Self::Devices(count) => count.saturating_mul(1_000),
            Self::ShareMilli(milli) => milli,
        }
    }
}

/// How a VM's resources are given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// The same on every node.
    Fixed(Resources),
    /// Parts per million of a node's capacity, by the node class's model; only these models are legal.
    /// The Azure packing trace counts so.
    ShareOfModel(BTreeMap<String, [u32; crate::units::DIMENSIONS]>),
}

/// A VM's shape: all that filters and scores may read of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VmSpec {
    /// Resources.
    pub demand: Demand,
    /// Accelerators; their sum is in `demand` too.
    pub accelerators: Option<AcceleratorAsk>,
    /// Instruction set of the image; `None`: any.
    pub arch: Option<Arch>,
    /// Operating system.
    pub guest: Guest,
    /// How it must be run; `None`: any way.
    pub virtualisation: Option<Virtualisation>,
    /// Licences that the node must have.
    pub licences: BTreeSet<String>,
    /// Names of sites on which it may run; empty: any.
    pub sites: BTreeSet<String>,
    /// Roles that the node must play.
    pub roles: BTreeSet<String>,
    /// Labels that the node must carry.
    pub labels: BTreeMap<String, String>,
    /// What the node's driver must be able to do.
    pub capabilities: BTreeSet<Capability>,
    /// What it mostly does.
    pub work: Work,
    /// Its tenant's risk.
    pub risk: Risk,
    /// Expected share of its vCPUs in use, in thousandths.
    pub expected_load_milli: u32,
}

impl VmSpec {
    /// A plain Linux VM of this size that any node may run.
    pub fn plain(resources: Resources) -> Self {
        Self {
            demand: Demand::Fixed(resources),
            accelerators: None,
            arch: None,
            guest: Guest::Linux,
            virtualisation: None,
            licences: BTreeSet::new(),
            sites: BTreeSet::new(),
            roles: BTreeSet::new(),
            labels: BTreeMap::new(),
            capabilities: BTreeSet::new(),
            work: Work::Compute,
            risk: Risk::Low,
            expected_load_milli: 500,
        }
    }
}

/// VMs that must keep together or apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupRule {
    /// Together or apart.
    pub kind: Affinity,
    /// Within what.
    pub scope: Scope,
}

words! {
    /// Together or apart.
    Affinity {
        /// All members inside one scope.
        Together,
        /// No two members inside one scope.
        Apart,
    }
}
