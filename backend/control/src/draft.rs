//! Blueprints of assigned VMs: what of a design a node needs to know.

use crate::settings::Catalogue;
use model::assignment::AssignedVm;
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Interface, Partition, PartitionTable,
};
use model::design::Component;
use model::grid::Grid;
use model::hypervisor::Capability::{ScaleCpu, ScaleDisk, ScaleMem, ScaleNet};
use model::hypervisor::{Arch, Virtualisation};
use model::id::{NetworkId, NodeId, TenantId, VmId};
use model::units::Resources;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Addresses that every network keeps for its own: the network itself, and the nodes' ends.
const KEPT_ADDRESSES: u32 = 10;

/// The disk of a system that has its data on another one, at most.
const SYSTEM_MIB: u64 = 4_096;

/// The length of the prefix of a tenant's network.
const PREFIX: u8 = 16;

/// A VM that is to be made, with where it goes.
pub struct Draft<'a> {
    /// Its id.
    pub vm: VmId,
    /// Whose.
    pub tenant: TenantId,
    /// The network of its design.
    pub network: NetworkId,
    /// Its address there.
    pub address: Ipv4Addr,
    /// As it is assigned.
    pub assigned: &'a AssignedVm,
    /// What it is an instance of.
    pub component: &'a Component,
    /// What it asks of its node.
    pub resources: Resources,
    /// Its node.
    pub node: NodeId,
}

impl Draft<'_> {
    /// All that its node needs to know.
    pub fn blueprint(&self, grid: &Grid, catalogue: &Catalogue) -> Blueprint {
        let class = grid.class_of(self.node);
        let hypervisor = grid.hypervisor_of(self.node);
        let virtualisation = self.component.virtualisation;
        let first = hypervisor.virtualisation.first().copied();
        let virtualisation = virtualisation.or(first).unwrap_or(Virtualisation::Full);
        let arch = self.assigned.spec.arch.unwrap_or(class.arch);
        let cpus = self.resources.cpu_milli.0.div_ceil(1_000).max(1);
        let mem_mib = self.resources.mem_mib.0.max(1);
        let mut images = catalogue.images_of(self.component).into_iter();
        let mut images = images
            .by_ref()
            .map(|name| catalogue.images.get(name).cloned());
        let system = images.next().flatten();
        let applications = images.flatten();
        let recipe = catalogue.recipe(self.component);
        let kernel = catalogue
            .kernel(&hypervisor.name, virtualisation, arch)
            .cloned();
        // A limit to which a hypervisor cannot hold its guests is not asked of it; placement counts it.
        let can = |capability| hypervisor.capabilities.contains(&capability);
        let vm = self.vm.0.to_be_bytes();
        Blueprint {
            vm: self.vm,
            tenant: self.tenant,
            name: self.assigned.name.clone(),
            arch,
            guest: self.component.guest,
            virtualisation,
            cpus,
            max_cpus: if can(ScaleCpu) {
                cpus.saturating_mul(2)
            } else {
                cpus
            },
            mem_mib,
            max_mem_mib: if can(ScaleMem) {
                mem_mib.saturating_mul(2)
            } else {
                mem_mib
            },
            boot: match virtualisation {
                Virtualisation::Full => BootLoader::Extlinux,
                Virtualisation::Para | Virtualisation::Container => BootLoader::Direct,
            },
            kernel_arguments: kernel_arguments(virtualisation, arch).to_owned(),
            disks: self.disks(
                self.disk(virtualisation, system),
                recipe.and_then(|recipe| recipe.data.as_deref()),
                Some(self.resources.disk_iops.0).filter(|iops| *iops > 0 && can(ScaleDisk)),
            ),
            interfaces: vec![Interface {
                name: "front".to_owned(),
                network: self.network,
                mac: [0x52, 0x54, vm[4], vm[5], vm[6], vm[7]],
                addresses: vec![(IpAddr::V4(self.address), PREFIX)],
                gateway: None,
                mbps: Some(self.resources.net_mbps.0).filter(|mbps| *mbps > 0 && can(ScaleNet)),
                allowed: Vec::new(),
            }],
            customisation: Customisation {
                add: kernel.into_iter().chain(applications).collect(),
                remove: self.component.remove_applications.clone(),
                // Those of a recipe are for what it sends the guest.
                parameters: match recipe {
                    Some(_) => BTreeMap::new(),
                    None => self.component.parameters.clone(),
                },
                ..Customisation::default()
            },
            highly_available: self.component.highly_available,
        }
    }

    /// The disk of the system, and one of the data where its recipe asks for that: together they are as
    /// large as the VM asks.
    fn disks(&self, mut system: Disk, data: Option<&str>, iops: Option<u32>) -> Vec<Disk> {
        let Some(mount) = data else {
            return vec![Disk { iops, ..system }];
        };
        let all_mib = system.size_mib;
        system.size_mib = SYSTEM_MIB.min(all_mib / 2);
        let data = Disk {
            name: "data".to_owned(),
            size_mib: all_mib - system.size_mib,
            image: None,
            table: PartitionTable::None,
            partitions: vec![Partition {
                name: "data".to_owned(),
                size_mib: None,
                format: Format::Ext4,
                block_bytes: None,
                mount: Some(mount.to_owned()),
                bootable: false,
            }],
            iops,
            ..system.clone()
        };
        vec![system, data]
    }

    fn disk(&self, virtualisation: Virtualisation, image: Option<String>) -> Disk {
        let root = Partition {
            name: "root".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: true,
        };
        let (table, partitions) = match virtualisation {
            Virtualisation::Full => (PartitionTable::Gpt, vec![root]),
            Virtualisation::Para => (PartitionTable::None, vec![root]),
            Virtualisation::Container => (PartitionTable::None, Vec::new()),
        };
        Disk {
            name: "root".to_owned(),
            size_mib: u64::from(self.resources.disk_gib.0.max(1)) * 1_024,
            image,
            table,
            partitions,
            shared_base: false,
            encryption: None,
            iops: None,
            mibps: None,
            extents: Vec::new(),
        }
    }
}

/// Guests tell on their console how they boot, and start again where their kernel gives up.
const fn kernel_arguments(virtualisation: Virtualisation, arch: Arch) -> &'static str {
    match (virtualisation, arch) {
        (Virtualisation::Full, Arch::Aarch64) => "console=ttyAMA0 quiet panic=-1",
        (Virtualisation::Full, _) => "console=ttyS0 quiet panic=-1",
        (Virtualisation::Para, _) => "quiet panic=-1",
        (Virtualisation::Container, _) => "",
    }
}

/// The lowest address of a design's network that none of these VMs has.
pub fn free_address(taken: &BTreeSet<Ipv4Addr>) -> Ipv4Addr {
    let network = u32::from(Ipv4Addr::new(10, 0, 0, 0));
    let addresses = (KEPT_ADDRESSES..1 << (32 - u32::from(PREFIX))).map(|host| network + host);
    let mut free = addresses.map(Ipv4Addr::from);
    free.find(|address| !taken.contains(address))
        .expect("a design has fewer VMs than its network addresses")
}

/// The addresses of a VM in its design's network.
pub fn addresses(blueprint: &Blueprint) -> impl Iterator<Item = Ipv4Addr> {
    let interfaces = blueprint.interfaces.iter();
    let addresses = interfaces.flat_map(|interface| &interface.addresses);
    addresses.filter_map(|(address, _)| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}
