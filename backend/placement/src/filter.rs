//! Why a node may not take a VM.

use crate::shape::static_refusal;
use model::grid::Grid;
use model::id::NodeId;
use model::units::Dimension;
use model::vm::VmSpec;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// One constraint, in the order in which nodes are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// The node takes no VMs now.
    NodeState,
    /// The VM type is not legal on this node model.
    Model,
    /// The image is of another instruction set.
    Arch,
    /// The hypervisor does not run this operating system.
    Guest,
    /// The hypervisor does not run guests this way.
    Virtualisation,
    /// The node's driver cannot do what the VM needs.
    Capability,
    /// A licence is missing.
    Licence,
    /// The site is not among those allowed.
    Site,
    /// The node does not play a role asked for.
    Role,
    /// A label is missing or differs.
    Label,
    /// The tenant is riskier than the node takes.
    Risk,
    /// No accelerator of a model asked for.
    AcceleratorModel,
    /// Members of a group would not be together.
    Affinity,
    /// Members of a group would not be apart.
    AntiAffinity,
    /// Too little free in a dimension.
    Free(Dimension),
    /// Enough accelerator in sum, but no device has the share, or too few are whole.
    AcceleratorDevice,
}

impl Filter {
    /// All filters in the order in which nodes are tested.
    pub const ALL: [Self; 21] = [
        Self::NodeState,
        Self::Model,
        Self::Arch,
        Self::Guest,
        Self::Virtualisation,
        Self::Capability,
        Self::Licence,
        Self::Site,
        Self::Role,
        Self::Label,
        Self::Risk,
        Self::AcceleratorModel,
        Self::Affinity,
        Self::AntiAffinity,
        Self::Free(Dimension::Cpu),
        Self::Free(Dimension::Mem),
        Self::Free(Dimension::Disk),
        Self::Free(Dimension::DiskIo),
        Self::Free(Dimension::Net),
        Self::Free(Dimension::Accel),
        Self::AcceleratorDevice,
    ];

    /// Its place in [`Self::ALL`].
    pub const fn order(self) -> usize {
        match self {
            Self::NodeState => 0,
            Self::Model => 1,
            Self::Arch => 2,
            Self::Guest => 3,
            Self::Virtualisation => 4,
            Self::Capability => 5,
            Self::Licence => 6,
            Self::Site => 7,
            Self::Role => 8,
            Self::Label => 9,
            Self::Risk => 10,
            Self::AcceleratorModel => 11,
            Self::Affinity => 12,
            Self::AntiAffinity => 13,
            Self::Free(dimension) => 14 + dimension as usize,
            Self::AcceleratorDevice => 20,
        }
    }

    /// The word for it in results and files, as `free-cpu`; never changes.
    pub const fn key(self) -> &'static str {
        match self {
            Self::NodeState => "node-state",
            Self::Model => "model",
            Self::Arch => "arch",
            Self::Guest => "guest",
            Self::Virtualisation => "virtualisation",
            Self::Capability => "capability",
            Self::Licence => "licence",
            Self::Site => "site",
            Self::Role => "role",
            Self::Label => "label",
            Self::Risk => "risk",
            Self::AcceleratorModel => "accelerator-model",
            Self::Affinity => "affinity",
            Self::AntiAffinity => "anti-affinity",
            Self::Free(Dimension::Cpu) => "free-cpu",
            Self::Free(Dimension::Mem) => "free-mem",
            Self::Free(Dimension::Disk) => "free-disk",
            Self::Free(Dimension::DiskIo) => "free-disk-io",
            Self::Free(Dimension::Net) => "free-net",
            Self::Free(Dimension::Accel) => "free-accel",
            Self::AcceleratorDevice => "accelerator-device",
        }
    }

    /// The filter of a key, as results name it.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.key() == key)
    }

    /// The first filter that keeps a VM off a node however empty it is; `None`: none does.
    pub fn keeping_off(spec: &VmSpec, grid: &Grid, node: NodeId) -> Option<Self> {
        static_refusal(spec, grid, grid.class_of(node), grid.site_of(node))
    }
}

impl fmt::Display for Filter {
    /// What was lacking, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NodeState => "node takes no VMs",
            Self::Model => "type not legal on the node model",
            Self::Arch => "other instruction set",
            Self::Guest => "guest not run by the hypervisor",
            Self::Virtualisation => "virtualisation not offered",
            Self::Capability => "driver lacks a capability",
            Self::Licence => "licence missing",
            Self::Site => "site not allowed",
            Self::Role => "role not played",
            Self::Label => "label missing or different",
            Self::Risk => "tenant too risky",
            Self::AcceleratorModel => "no such accelerator",
            Self::Affinity => "group would be split",
            Self::AntiAffinity => "group would not be apart",
            Self::Free(Dimension::Cpu) => "too little cpu free",
            Self::Free(Dimension::Mem) => "too little memory free",
            Self::Free(Dimension::Disk) => "too little disk free",
            Self::Free(Dimension::DiskIo) => "too little disk I/O free",
            Self::Free(Dimension::Net) => "too little network free",
            Self::Free(Dimension::Accel) => "too little accelerator free",
            Self::AcceleratorDevice => "no single accelerator with enough free",
        })
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        Self::from_key(&key).ok_or_else(|| D::Error::custom(format!("no filter is named {key:?}")))
    }
}
