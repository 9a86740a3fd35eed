//! From configuration to boot marker on every hypervisor: an agent is told of signed images and of
//! one VM, is killed while the VM runs, and in the end nothing of it is left.

mod node;
mod room;

use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Interface, Partition, PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{NetworkId, TenantId};
use node::{ADDRESS, Node, VM};
use std::path::Path;

/// A VM of this kind with one disk that begins as an image.
fn blueprint(virtualisation: Virtualisation, boot: BootLoader, disk: Disk) -> Blueprint {
    Blueprint {
        vm: VM,
        tenant: TenantId(1),
        name: "web-7".to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation,
        cpus: 1,
        max_cpus: 1,
        mem_mib: 128,
        max_mem_mib: 128,
        boot,
        kernel_arguments: String::new(),
        disks: vec![disk],
        interfaces: Vec::new(),
        customisation: Customisation::default(),
        highly_available: false,
    }
}

/// The root folder of a container.
fn folder(image: String) -> Disk {
    Disk {
        name: "root".to_owned(),
        size_mib: 96,
        image: Some(image),
        table: PartitionTable::None,
        partitions: Vec::new(),
        shared_base: false,
        encryption: None,
        iops: None,
        mibps: None,
        extents: Vec::new(),
    }
}

/// A disk with one ext4 file system.
fn disk(image: String, table: PartitionTable) -> Disk {
    Disk {
        table,
        partitions: vec![Partition {
            name: "root".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: true,
        }],
        ..folder(image)
    }
}

fn interface() -> Interface {
    Interface {
        name: "front".to_owned(),
        network: NetworkId(1),
        mac: [0x52, 0x54, 0, 0, 0, 7],
        addresses: vec![(ADDRESS.parse().expect("an address"), 24)],
        gateway: None,
        mbps: None,
        allowed: Vec::new(),
    }
}

/// QEMU, from the boot loader on its own disk, behind a tap.
#[test]
fn qemu_goes_all_the_way() {
    let mut node = Node::new("driver = \"qemu\"\nplugging = \"tap\"");
    let disk = disk(node.make("busybox"), PartitionTable::Gpt);
    let mut vm = blueprint(Virtualisation::Full, BootLoader::Extlinux, disk);
    vm.kernel_arguments = "console=ttyS0 quiet panic=-1".to_owned();
    vm.customisation.add = vec![node.make("linux")];
    vm.interfaces = vec![interface()];
    node.goes_all_the_way(vm);
}

/// User-mode Linux, its kernel out of an image, behind a tap.
#[test]
fn uml_goes_all_the_way() {
    let mut node = Node::new("driver = \"uml\"\nplugging = \"tap\"");
    let disk = disk(node.make("busybox"), PartitionTable::None);
    let mut vm = blueprint(Virtualisation::Para, BootLoader::Direct, disk);
    vm.kernel_arguments = "quiet panic=-1".to_owned();
    vm.customisation.add = vec![node.make("linux-uml")];
    vm.interfaces = vec![interface()];
    node.goes_all_the_way(vm);
}

/// Incus, in an unprivileged container, its end put into the bridge by Incus; what it sends keeps to
/// the limit that it has, until that is lifted.
#[test]
fn incus_goes_all_the_way() {
    let mut node = Node::new("driver = \"incus\"");
    node.serve_incus();
    let folder = folder(node.make("busybox"));
    let mut vm = blueprint(Virtualisation::Container, BootLoader::Direct, folder);
    vm.interfaces = vec![interface()];
    vm.interfaces[0].mbps = Some(1);
    node.goes_all_the_way(vm);
}

/// gVisor, by the driver program that ships as an example; it has no network.
#[test]
fn gvisor_goes_all_the_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("assets/drivers/gvisor.py").canonicalize();
    let program = program.expect("the program is there");
    let mut node = Node::new(&format!("driver = \"outside\"\nprogram = {program:?}"));
    let folder = folder(node.make("busybox"));
    let vm = blueprint(Virtualisation::Container, BootLoader::Direct, folder);
    node.goes_all_the_way(vm);
}
