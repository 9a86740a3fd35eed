//! A machine as orders make it.

use agent::machine::{AttachedDisk, AttachedInterface, Boot, DiskFormat, Machine, Plug};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;

/// One that the driver takes.
pub fn machine(vm: VmId) -> Machine {
    Machine {
        vm,
        name: format!("guest-{}", vm.0),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Para,
        cpus: 1,
        max_cpus: 2,
        mem_mib: 96,
        max_mem_mib: 128,
        boot: Boot::Kernel {
            kernel: "/vms/kernel".into(),
            initrd: Some("/vms/initrd".into()),
            command_line: "console=hvc0 quiet".into(),
        },
        disks: vec![AttachedDisk {
            name: "root".into(),
            path: "/vms/root.raw".into(),
            format: DiskFormat::Raw,
            size_mib: 16,
            base: None,
            key: None,
            read_only: false,
            iops: None,
            mibps: None,
            extents: Vec::new(),
        }],
        interfaces: vec![AttachedInterface {
            name: "front".into(),
            mac: [0x52, 0x54, 0, 0, 0, 7],
            plug: Plug::Bridge {
                name: "gwb1".into(),
            },
            mbps: None,
        }],
    }
}
