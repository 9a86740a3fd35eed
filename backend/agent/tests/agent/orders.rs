//! Orders and blueprints that the tests share.

use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, EncryptedPart, Encryption, Extent, Format,
    Interface, Partition, PartitionTable,
};
use model::configuration::{Configuration, ConfiguredFile, Piece};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{Generation, KeyId, NetworkId, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Passage, Scale, Shutdown, Storage, Verb, Way};
use model::time::Time;

/// The VM that most tests are about.
pub const VM: VmId = VmId(7);

/// Another one, made of it.
pub const OTHER: VmId = VmId(8);

/// Where containers move to.
const CONTAINERS: &str = "192.0.2.3:4444";

/// When orders are given up, unless a test says otherwise.
pub const DEADLINE: Time = Time(500_000_000);

/// A VM with a disk that is built, one that is encrypted and empty, and an interface.
pub fn blueprint(vm: VmId) -> Blueprint {
    Blueprint {
        vm,
        tenant: TenantId(1),
        name: format!("web-{}", vm.0),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Full,
        cpus: 1,
        max_cpus: 4,
        mem_mib: 256,
        max_mem_mib: 1_024,
        boot: BootLoader::Direct,
        kernel_arguments: "quiet".to_owned(),
        disks: vec![system_disk(), data_disk()],
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            network: NetworkId(5),
            mac: [0x52, 0x54, 0, 0, 1, vm.0 as u8],
            addresses: Vec::new(),
            gateway: None,
            mbps: None,
            allowed: Vec::new(),
        }],
        customisation: Customisation::default(),
        highly_available: false,
    }
}

fn system_disk() -> Disk {
    Disk {
        name: "root".to_owned(),
        size_mib: 100,
        image: Some("ab".repeat(32)),
        table: PartitionTable::Gpt,
        partitions: vec![Partition {
            name: "system".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: true,
        }],
        shared_base: true,
        encryption: None,
        iops: None,
        mibps: None,
        extents: Vec::new(),
    }
}

fn data_disk() -> Disk {
    Disk {
        name: "data".to_owned(),
        size_mib: 50,
        image: None,
        table: PartitionTable::None,
        partitions: Vec::new(),
        shared_base: false,
        encryption: Some(Encryption {
            key: KeyId(1),
            part: EncryptedPart::Whole,
        }),
        ..system_disk()
    }
}

/// An order about [`VM`].
pub fn order(operation: u64, verb: Verb) -> Order {
    about(VM, operation, verb)
}

/// An order about any VM.
pub fn about(vm: VmId, operation: u64, verb: Verb) -> Order {
    Order {
        operation: OperationId(operation),
        generation: Generation(1),
        node: NodeId(1),
        vm,
        verb,
        deadline: DEADLINE,
    }
}

/// Makes a VM.
pub fn create(vm: VmId) -> Verb {
    let blueprint = Box::new(blueprint(vm));
    Verb::Create { blueprint }
}

/// Every verb about a VM, those with particulars more than once; `other` is the VM made by a copy.
pub fn verbs(vm: VmId, other: VmId) -> Vec<Verb> {
    let name = || "before".to_owned();
    let scales = [
        Scale::Cpu { cpus: 2 },
        Scale::Mem { mem_mib: 512 },
        Scale::Disk {
            disk: "root".to_owned(),
            size_mib: 150,
        },
        Scale::Disk {
            disk: "data".to_owned(),
            size_mib: 20,
        },
        Scale::DiskIo {
            disk: "root".to_owned(),
            iops: Some(100),
            mibps: None,
        },
        Scale::Net {
            interface: "eth0".to_owned(),
            mbps: Some(10),
        },
    ];
    let mut verbs = vec![create(vm), Verb::Delete];
    verbs.push(Verb::Copy {
        to: Box::new(blueprint(other)),
    });
    verbs.extend(scales.map(|scale| Verb::Scale { scale }));
    verbs.extend([
        Verb::Start,
        stop(),
        Verb::Pause,
        Verb::Resume,
        Verb::Reboot,
        Verb::Snapshot { name: name() },
        Verb::Restore { name: name() },
        Verb::DropSnapshot { name: name() },
        Verb::ReportStatistics,
        Verb::SaveImage {
            name: "golden".to_owned(),
            disks: Vec::new(),
        },
        Verb::SaveImage {
            name: "golden".to_owned(),
            disks: vec!["data".to_owned(), "root".to_owned()],
        },
        Verb::Configure {
            configuration: Box::new(configuration()),
        },
        Verb::RotateKey {
            from: KeyId(1),
            to: KeyId(2),
        },
    ]);
    verbs.push(lend());
    let shutdown = Shutdown::Forced;
    for way in [
        Way::InPlace,
        Way::Suspended { shutdown },
        Way::Duplicate { shutdown },
    ] {
        verbs.push(modify(vm, way));
    }
    let cold = |shutdown| Passage::Cold { shutdown };
    let passages = [Passage::Live, cold(None), cold(Some(Shutdown::Forced))];
    for (storage, passage) in [Storage::Local, Storage::Shared]
        .into_iter()
        .flat_map(|storage| passages.map(|passage| (storage, passage)))
    {
        verbs.push(Verb::Receive {
            blueprint: Box::new(blueprint(vm)),
            storage,
            key: KeyId(2),
            passage,
        });
        verbs.push(Verb::Migrate {
            to: NodeId(2),
            address: "192.0.2.2:4444".to_owned(),
            storage,
            key: KeyId(2),
            passage,
        });
    }
    for shutdown in [None, Some(Shutdown::Forced)] {
        let (storage, key, passage) = (Storage::Local, KeyId(2), cold(shutdown));
        let blueprint = Box::new(container(vm));
        verbs.push(Verb::Receive {
            blueprint,
            storage,
            key,
            passage,
        });
        verbs.push(Verb::Migrate {
            to: NodeId(2),
            address: CONTAINERS.to_owned(),
            storage,
            key,
            passage,
        });
    }
    verbs
}

/// Lends the VM a volume.
pub fn lend() -> Verb {
    Verb::Lend {
        volume: "part".to_owned(),
        size_mib: 40,
        key: KeyId(2),
    }
}

/// Another name and another address; a VM that is modified on a duplicate has a plain system disk.
fn modify(vm: VmId, way: Way) -> Verb {
    let mut blueprint = match way {
        Way::Duplicate { .. } => plain_blueprint(vm),
        Way::InPlace | Way::Suspended { .. } => blueprint(vm),
    };
    blueprint.name = "renamed".to_owned();
    blueprint.interfaces[0].addresses = vec![([192, 0, 2, 7].into(), 24)];
    Verb::Modify {
        blueprint: Box::new(blueprint),
        way,
    }
}

/// The VM with a system disk of its own.
pub fn plain_blueprint(vm: VmId) -> Blueprint {
    let mut blueprint = blueprint(vm);
    blueprint.disks[0].shared_base = false;
    blueprint
}

/// The VM with a disk of another node's volume on which a file system is made.
pub fn remote_blueprint(vm: VmId) -> Blueprint {
    let mut blueprint = plain_blueprint(vm);
    let extent = Extent {
        node: NodeId(2),
        address: ([192, 0, 2, 2], 4_000).into(),
        volume: "part".to_owned(),
        size_mib: 80,
        key: KeyId(2),
    };
    blueprint.disks[1] = Disk {
        name: "wide".to_owned(),
        size_mib: extent.size_mib,
        image: None,
        extents: vec![extent],
        ..blueprint.disks[0].clone()
    };
    blueprint.disks[1].partitions[0].mount = Some("/srv".to_owned());
    blueprint
}

/// The VM as a container.
fn container(vm: VmId) -> Blueprint {
    let mut blueprint = plain_blueprint(vm);
    blueprint.virtualisation = Virtualisation::Container;
    blueprint.disks.truncate(1);
    blueprint.disks[0].table = PartitionTable::None;
    blueprint.disks[0].partitions.clear();
    blueprint
}

/// The blueprint with which a VM begins that a verb is about.
pub fn beginning(vm: VmId, verb: &Verb) -> Blueprint {
    match verb {
        Verb::Modify {
            way: Way::Duplicate { .. },
            ..
        } => plain_blueprint(vm),
        Verb::SaveImage { disks, .. } if !disks.is_empty() => {
            let mut readable = plain_blueprint(vm);
            readable.disks[1].encryption = None;
            readable
        }
        Verb::Migrate { address, .. } if address == CONTAINERS => container(vm),
        _ => blueprint(vm),
    }
}

/// A file with a key in it, and a command.
fn configuration() -> Configuration {
    let file = ConfiguredFile {
        pieces: vec![Piece::Text("password=".to_owned()), Piece::Key(KeyId(2))],
        mode: 0o600,
        owner: "root".to_owned(),
        check: None,
    };
    Configuration {
        files: [("/etc/shop.conf".to_owned(), file)].into(),
        apply: vec!["systemctl reload shop".to_owned()],
    }
}

/// Stops a VM at once.
pub fn stop() -> Verb {
    Verb::Stop {
        shutdown: Shutdown::Forced,
    }
}
