//! What rules a node: kind, guests, capabilities, and how much of the hardware reaches the guest.

use crate::hypervisor_file::read_profile;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

macro_rules! profile_files {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!($name, ".toml"),
            include_str!(concat!("../../../assets/hypervisors/", $name, ".toml")),
        )),*]
    };
}

/// Declares enums of plain words: each is written, read and listed under its name in kebab case.
#[macro_export]
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            strum::VariantArray, strum::IntoStaticStr, strum::EnumString, strum::Display,
        )]
        #[serde(rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
    )*};
}
pub use words;

words! {
    /// Where the hypervisor stands.
    HypervisorType {
        /// On the hardware itself.
        Type1,
        /// As a process of a host system.
        Type2,
        /// Shares the host's kernel.
        Container,
    }

    /// How a guest is run.
    Virtualisation {
        /// The guest does not know; its devices are emulated.
        Full,
        /// The guest's kernel knows and calls the hypervisor.
        Para,
        /// The guest shares the node's kernel.
        Container,
    }

    /// Instruction set of a node or an image.
    Arch {
        /// 64-bit x86.
        #[serde(rename = "x86_64")]
        #[strum(serialize = "x86_64")]
        X86_64,
        /// 64-bit Arm.
        Aarch64,
        /// 64-bit RISC-V.
        Riscv64,
    }

    /// Family of operating system inside a VM.
    Guest {
        /// Linux.
        Linux,
        /// Windows.
        Windows,
        /// A BSD.
        Bsd,
    }

    /// What a driver can do beyond the mandatory verbs.
    Capability {
        /// Freeze and go on.
        Pause,
        /// Keep an instant and go back to it.
        Snapshot,
        /// Move while running.
        LiveMigration,
        /// Go to another node while it stands still.
        ColdMigration,
        /// Change vCPUs while running.
        ScaleCpu,
        /// Change memory while running.
        ScaleMem,
        /// Change disks while running.
        ScaleDisk,
        /// Change network limits while running.
        ScaleNet,
        /// A console of the guest.
        Console,
        /// Make another VM of one.
        Copy,
        /// Save a VM as an image.
        SaveImage,
        /// Write files into a running guest and run commands there.
        Configure,
        /// Open a VM's disks by other keys from its next start on.
        RotateKey,
        /// Give a VM disks that lie on other nodes.
        RemoteDisks,
        /// Pass a whole accelerator, or a share of one, to the guest.
        Accelerator,
    }

    /// What a VM mostly does; picks the hypervisor's efficiency that counts for it.
    Work {
        /// Processor.
        Compute,
        /// Memory bandwidth and latency.
        Memory,
        /// Disk operations.
        Disk,
        /// Packets.
        Network,
    }
}

/// Share of native speed that reaches a guest, in thousandths, by kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Efficiency {
    /// Of processor speed.
    pub compute_milli: u32,
    /// Of memory speed.
    pub memory_milli: u32,
    /// Of disk operations a second.
    pub disk_milli: u32,
    /// Of network transactions a second.
    pub network_milli: u32,
}

impl Default for Efficiency {
    fn default() -> Self {
        Self {
            compute_milli: 1_000,
            memory_milli: 1_000,
            disk_milli: 1_000,
            network_milli: 1_000,
        }
    }
}

impl Efficiency {
    /// The thousandths that count for a kind of work.
    pub const fn milli_for(self, work: Work) -> u32 {
        match work {
            Work::Compute => self.compute_milli,
            Work::Memory => self.memory_milli,
            Work::Disk => self.disk_milli,
            Work::Network => self.network_milli,
        }
    }
}

/// A hypervisor profile, as a file of `assets/hypervisors/` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hypervisor {
    /// The word by which grids name it, as `qemu`.
    pub name: String,
    /// How people write it, as `QEMU/KVM`.
    pub title: String,
    /// Where it stands.
    pub hypervisor_type: HypervisorType,
    /// How it runs guests; a VM asks for one of these.
    pub virtualisation: Vec<Virtualisation>,
    /// Architectures of the nodes that it rules, and so of its guests; see [`Self::runs_arch`].
    pub archs: Vec<Arch>,
    /// Architectures that it emulates for guests, whatever the node's own is.
    #[serde(default)]
    pub emulated_archs: Vec<Arch>,
    /// Operating systems that it runs.
    pub guests: Vec<Guest>,
    /// What its driver can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// What reaches the guest.
    #[serde(default)]
    pub efficiency: Efficiency,
    /// Where the figures come from.
    #[serde(default)]
    pub source: String,
}

impl Hypervisor {
    /// Whether a guest of one architecture runs on a node of another: natively, or emulated.
    pub fn runs_arch(&self, node: Arch, guest: Arch) -> bool {
        node == guest && self.archs.contains(&node) || self.emulated_archs.contains(&guest)
    }

    /// The profile of this name among [`profiles`].
    pub fn known(name: &str) -> Option<&'static Self> {
        profiles().iter().find(|profile| profile.name == name)
    }
}

/// The profiles that Gridwright ships with, by name; a grid file may add to them and override them.
pub fn profiles() -> &'static [Hypervisor] {
    static PROFILES: LazyLock<Vec<Hypervisor>> = LazyLock::new(|| {
        let mut profiles: Vec<_> = PROFILE_FILES
            .iter()
            .map(|(file, text)| {
                read_profile(file, text).unwrap_or_else(|faults| {
                    panic!("the profiles built in are tested to be right: {faults}")
                })
            })
            .collect();
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        profiles
    });
    &PROFILES
}

/// Files of `assets/hypervisors/`, by name.
const PROFILE_FILES: &[(&str, &str)] = &profile_files![
    "bhyve",
    "esxi",
    "gvisor",
    "hyper-v",
    "incus",
    "lxc",
    "qemu",
    "qemu-tcg",
    "uml",
    "virtualbox",
    "xen",
];
