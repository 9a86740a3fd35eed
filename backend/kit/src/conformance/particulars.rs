//! Acts with particulars, of which the suite has more than one.

use super::Subject;
use agent::driver::Act;
use agent::machine::{AttachedDisk, DiskFormat, Machine};
use model::blueprint::Extent;
use model::id::{KeyId, NodeId, VmId};
use model::order::Scale;

/// A machine with one more disk, which is a volume of another node.
pub(super) fn with_remote_disk(mut machine: Machine) -> Machine {
    let volume = Extent {
        node: NodeId(2),
        address: ([192, 0, 2, 2], 10_809).into(),
        volume: "part".to_owned(),
        size_mib: 16,
        key: KeyId(1),
    };
    machine.disks.push(AttachedDisk {
        name: "wide".to_owned(),
        path: "/nowhere/wide.raw".into(),
        format: DiskFormat::Raw,
        size_mib: volume.size_mib,
        base: None,
        key: None,
        read_only: false,
        iops: None,
        mibps: None,
        extents: vec![volume],
    });
    machine
}

/// One act for each resource that can be scaled.
pub(super) fn scales(subject: &dyn Subject, vm: VmId) -> Vec<Act> {
    let machine = subject.machine(vm);
    let mut scales = vec![
        Scale::Cpu {
            cpus: machine.max_cpus,
        },
        Scale::Mem {
            mem_mib: machine.max_mem_mib,
        },
    ];
    if let Some(disk) = machine.disks.first() {
        let size_mib = disk.size_mib + 16;
        scales.push(Scale::Disk {
            disk: disk.name.clone(),
            size_mib,
        });
        let iops = Some(500);
        scales.push(Scale::DiskIo {
            disk: disk.name.clone(),
            iops,
            mibps: Some(8),
        });
    }
    if let Some(interface) = machine.interfaces.first() {
        let interface = interface.name.clone();
        scales.push(Scale::Net {
            interface,
            mbps: Some(10),
        });
    }
    scales
        .into_iter()
        .map(|scale| Act::Scale { scale })
        .collect()
}
