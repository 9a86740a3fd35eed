//! The VM that the tests move, on each hypervisor, and the images that it begins as.

use super::node::VM;
use ed25519_dalek::SigningKey;
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Interface, Partition, PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{NetworkId, TenantId};

/// The hypervisor of both nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Qemu,
    Uml,
    Incus,
}

impl Kind {
    pub fn driver(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Uml => "uml",
            Self::Incus => "incus",
        }
    }

    /// The recipes of its guests' system, and of their kernel where they have one of their own.
    pub fn recipes(self) -> &'static [&'static str] {
        match self {
            Self::Qemu => &["busybox", "linux"],
            Self::Uml => &["busybox", "linux-uml"],
            Self::Incus => &["busybox"],
        }
    }

    /// A VM of 256 MiB that boots from its own disk, or a container of that size.
    pub fn blueprint(self, images: &[String]) -> Box<Blueprint> {
        let root = Partition {
            name: "root".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: true,
        };
        let partitions = match self {
            Self::Qemu | Self::Uml => vec![root],
            Self::Incus => Vec::new(),
        };
        let (virtualisation, boot, table, console) = match self {
            Kind::Qemu => (
                Virtualisation::Full,
                BootLoader::Extlinux,
                PartitionTable::Gpt,
                "console=ttyS0 ",
            ),
            Kind::Uml => (
                Virtualisation::Para,
                BootLoader::Direct,
                PartitionTable::None,
                "",
            ),
            Kind::Incus => (
                Virtualisation::Container,
                BootLoader::Direct,
                PartitionTable::None,
                "",
            ),
        };
        Box::new(Blueprint {
            vm: VM,
            tenant: TenantId(1),
            name: "web-7".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 256,
            max_mem_mib: 256,
            boot,
            kernel_arguments: format!("{console}quiet panic=-1"),
            disks: vec![Disk {
                name: "root".to_owned(),
                size_mib: 96,
                image: images.first().cloned(),
                table,
                partitions,
                shared_base: false,
                encryption: None,
                iops: None,
                mibps: None,
                extents: Vec::new(),
            }],
            interfaces: vec![Interface {
                name: "front".to_owned(),
                network: NetworkId(1),
                mac: [0x52, 0x54, 0, 0, 0, 7],
                addresses: vec![([192, 0, 2, 7].into(), 24)],
                gateway: None,
                mbps: None,
                allowed: Vec::new(),
            }],
            customisation: Customisation {
                add: images[1..].to_vec(),
                ..Customisation::default()
            },
            highly_available: false,
        })
    }
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}
