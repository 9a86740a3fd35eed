//! All that a node needs to know to make one VM: it leaves no choice to execution.

use crate::hypervisor::{Arch, Guest, Virtualisation, words};
use crate::id::{KeyId, NetworkId, NodeId, TenantId, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

words! {
    /// How a disk says where its partitions are.
    PartitionTable {
        /// One file system over the whole disk.
        None,
        /// GUID partition table.
        Gpt,
        /// Master boot record, at most four partitions.
        Mbr,
    }

    /// What lies in a partition.
    Format {
        /// ext4.
        Ext4,
        /// XFS.
        Xfs,
        /// Btrfs.
        Btrfs,
        /// FAT32.
        Fat32,
        /// NTFS.
        Ntfs,
        /// Swap space.
        Swap,
        /// A NoCloud seed: what cloud-init is told of the VM, for images that it runs in. It is the only
        /// partition of a disk that is not the first, and mounted by cloud-init alone. A published disk
        /// in which cloud-init runs is then left as it was published.
        Seed,
        /// Nothing: the guest formats it.
        Unformatted,
    }

    /// What starts the guest's kernel.
    BootLoader {
        /// The hypervisor loads kernel and initial RAM disk itself.
        Direct,
        /// extlinux, from a master boot record.
        Extlinux,
        /// GRUB.
        Grub,
    }

    /// Which part of a disk is unreadable without its key.
    EncryptedPart {
        /// All of it.
        Whole,
        /// The VM's configuration alone, on a disk of its own beside others in the clear. It is not the
        /// first, begins empty, and has one partition with a mount point. The customisation's files
        /// beneath that lie on it and nowhere else, as does what the guest writes there later, such as
        /// credentials that an order to configure it brings. The guest sees the disk plain and mounts it
        /// by `/etc/fstab`. The files' texts are part of the blueprint all the same, which a node
        /// keeps: what it must not know comes by key, in an order to configure.
        Configuration,
    }
}

/// One VM, down to its last partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// Which.
    pub vm: VmId,
    /// Whose.
    pub tenant: TenantId,
    /// Its host name: letters, digits, `-`, at most 63.
    pub name: String,
    /// Instruction set of the guest.
    pub arch: Arch,
    /// Operating system of the guest.
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
    /// What starts its kernel.
    pub boot: BootLoader,
    /// More words for the kernel's command line; empty: none.
    #[serde(default)]
    pub kernel_arguments: String,
    /// Its disks; it boots from the first.
    pub disks: Vec<Disk>,
    /// Its network interfaces.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// What is changed in the image.
    #[serde(default)]
    pub customisation: Customisation,
    /// Stopped by the node itself once its lease has lapsed.
    #[serde(default)]
    pub highly_available: bool,
}

impl Blueprint {
    /// Whether a disk of it tells cloud-init what it is.
    pub fn has_seed(&self) -> bool {
        let mut partitions = self.disks.iter().flat_map(|disk| &disk.partitions);
        partitions.any(|partition| partition.format == Format::Seed)
    }
}

/// One disk of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Unique in its VM; letters, digits, `-`.
    pub name: String,
    /// Size in MiB.
    pub size_mib: u64,
    /// SHA-256 of the manifest of the image it begins as, in hex; `None`: empty.
    #[serde(default)]
    pub image: Option<String>,
    /// Where its partitions are listed.
    pub table: PartitionTable,
    /// Its partitions in order; the image is unpacked into those with mount points.
    #[serde(default)]
    pub partitions: Vec<Partition>,
    /// Whether it stands on a read-only base shared with other VMs of the node.
    #[serde(default)]
    pub shared_base: bool,
    /// How it is encrypted; `None`: not.
    #[serde(default)]
    pub encryption: Option<Encryption>,
    /// Limit in operations a second; `None`: none.
    #[serde(default)]
    pub iops: Option<u32>,
    /// Limit in MiB a second; `None`: none.
    #[serde(default)]
    pub mibps: Option<u32>,
    /// The volumes of other nodes of which it consists, in order; empty: it lies on the VM's own node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extents: Vec<Extent>,
}

/// A volume of another node that is a part of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// The node that lends it.
    pub node: NodeId,
    /// Where it is served, as the report of its [`crate::order::Verb::Lend`] said.
    pub address: SocketAddr,
    /// Its name there.
    pub volume: String,
    /// Its size in MiB.
    pub size_mib: u64,
    /// The key by which it is read and written.
    pub key: KeyId,
}

impl Disk {
    /// Where the guest mounts it, if it holds the VM's encrypted configuration.
    pub fn configuration(&self) -> Option<&str> {
        let encryption = self.encryption?;
        let mount = self.partitions.first()?.mount.as_deref()?;
        (encryption.part == EncryptedPart::Configuration).then_some(mount.trim_end_matches('/'))
    }
}

/// One partition of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Unique in its disk; also the label of its file system.
    pub name: String,
    /// Size in MiB; `None`: what the others leave, for the last one only.
    #[serde(default)]
    pub size_mib: Option<u64>,
    /// What lies in it.
    pub format: Format,
    /// Size of its blocks in bytes; `None`: what the format takes by default.
    #[serde(default)]
    pub block_bytes: Option<u32>,
    /// Where the guest mounts it, as `/`; `None`: nowhere.
    #[serde(default)]
    pub mount: Option<String>,
    /// Whether the firmware starts from it.
    #[serde(default)]
    pub bootable: bool,
}

/// How a disk is encrypted; the key itself comes beside the order and is never written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// Which key opens it.
    pub key: KeyId,
    /// What it covers.
    pub part: EncryptedPart,
}

/// One network interface of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Unique in its VM; letters, digits, `-`.
    pub name: String,
    /// The tenant network that it is plugged into.
    pub network: NetworkId,
    /// Hardware address, six octets.
    pub mac: [u8; 6],
    /// Addresses with their prefix lengths; empty: by DHCP.
    #[serde(default)]
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where packets for elsewhere go; `None`: nowhere.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Limit in Mbit a second; `None`: none.
    #[serde(default)]
    pub mbps: Option<u32>,
    /// Ports that others may open, in order; all else is dropped. Empty: everything may.
    #[serde(default)]
    pub allowed: Vec<FirewallRule>,
}

/// Who may open what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallRule {
    /// Transport.
    pub protocol: Protocol,
    /// Destination port; 0: any.
    pub port: u16,
    /// Source address with its prefix length; `None`: anyone.
    #[serde(default)]
    pub from: Option<(IpAddr, u8)>,
}

words! {
    /// Transport of a firewall rule.
    Protocol {
        /// TCP.
        Tcp,
        /// UDP.
        Udp,
        /// ICMP and ICMPv6; the port is not looked at.
        Icmp,
    }
}

/// What is changed in an image before its first boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Customisation {
    /// Components to take out: package names, or absolute paths.
    pub remove: Vec<String>,
    /// Application images to put in, by the SHA-256 of their manifests in hex.
    pub add: Vec<String>,
    /// Users with their public SSH keys.
    pub users: Vec<User>,
    /// Files to write, by absolute path.
    pub files: BTreeMap<String, GuestFile>,
    /// Settings that the image's own templates take, by name.
    pub parameters: BTreeMap<String, String>,
    /// Scripts of the customer's, each run instead of or after a step of the build.
    pub scripts: Vec<Script>,
}

/// A user of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Public keys in OpenSSH's one-line form.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
}

/// A file written into the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFile {
    /// Its text.
    pub text: String,
    /// Its mode bits, as `0o644`.
    pub mode: u32,
}

/// A script of the customer's in the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The step after which it runs, as `unpack`.
    pub after: String,
    /// For people.
    pub name: String,
    /// Its text; the first line names its interpreter inside the guest.
    pub text: String,
}
