//! Names the files, taps and bridges of a VM on its node, and so turns a blueprint into a machine.
//!
//! ```text
//! ROOT/images/           the store of images
//! ROOT/bases/SHA.raw     read-only bases that VMs share, with notes of who does beside them
//! ROOT/vms/vm-7/         all that is VM 7's: DISK.raw, kernel, initrd, root/ of a container
//! ROOT/build/vm-7/       where its disks are built before they are replicated, and modified, and a
//!                        container's root on its way from one node to another
//! ROOT/lent/vm-7-NAME/   a volume that is lent to VM 7, which runs elsewhere
//! ROOT/saved/vm-7-NAME/  an image on its way into the store
//! ```

use crate::lending::Volume;
use crate::machine::{AttachedDisk, AttachedInterface, Boot, DiskFormat, Machine, Plug};
use crate::shared::base_name;
use crate::space::moving_root_mib;
use crate::step::KernelFiles;
use model::blueprint::{Blueprint, BootLoader, Disk, Interface, PartitionTable};
use model::hypervisor::{Virtualisation, words};
use model::id::{NetworkId, VmId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

words! {
    /// How the interfaces of a node's VMs reach the network.
    Plugging {
        /// A tap device for each, in the bridge of its network.
        Tap,
        /// The hypervisor puts an end of its own into the bridge of the network.
        Bridge,
        /// The hypervisor's own address translation; VMs do not see each other.
        User,
    }
}

words! {
    /// What becomes of a container's root folder once its VM is defined.
    Roots {
        /// The container runs in it.
        Kept,
        /// The hypervisor has its own copy.
        Copied,
    }
}

/// Where things are on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// The folder below which everything lies.
    pub root: PathBuf,
    /// How interfaces are plugged.
    pub plugging: Plugging,
    /// What becomes of root folders.
    pub roots: Roots,
    /// What the guest calls its first disk, as `/dev/vda`; the partition's number is appended for
    /// `root=` where the hypervisor itself loads the kernel.
    pub first_disk: String,
}

/// Where a VM's system disk is on its way to a modified one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modified {
    /// A copy of it, taken while the VM ran.
    pub copy: PathBuf,
    /// The modified one, until it takes its place.
    pub made: PathBuf,
    /// The old one, from then on.
    pub before: PathBuf,
}

impl Naming {
    /// The folder of all that is a VM's own.
    pub fn vm_folder(&self, vm: VmId) -> PathBuf {
        self.root.join(format!("vms/vm-{}", vm.0))
    }

    /// The folder in which its disks are built.
    pub fn build_folder(&self, vm: VmId) -> PathBuf {
        self.root.join(format!("build/vm-{}", vm.0))
    }

    /// Where a disk, or the root folder of a container, is built.
    pub fn built(&self, vm: VmId, disk: &str) -> PathBuf {
        self.build_folder(vm).join(disk)
    }

    /// Where its system disk is on its way to a modified one.
    pub fn modified(&self, vm: VmId) -> Modified {
        let folder = self.build_folder(vm);
        Modified {
            copy: folder.join("copy"),
            made: folder.join("made"),
            before: folder.join("before"),
        }
    }

    /// The root folder of a container.
    pub fn container_root(&self, vm: VmId) -> PathBuf {
        self.vm_folder(vm).join("root")
    }

    /// The tar stream of a container's root on its way from one node to another, which is copied as a disk
    /// is: zeros follow it.
    pub fn moving_root(&self, blueprint: &Blueprint) -> Option<AttachedDisk> {
        let container = blueprint.virtualisation == Virtualisation::Container;
        let root = blueprint.disks.first().filter(|_| container)?;
        Some(AttachedDisk {
            name: root.name.clone(),
            path: self.build_folder(blueprint.vm).join("root.tar"),
            format: DiskFormat::Raw,
            size_mib: moving_root_mib(blueprint),
            base: None,
            key: None,
            read_only: false,
            iops: None,
            mibps: None,
            extents: Vec::new(),
        })
    }

    /// The folder of an image on its way into the store.
    pub fn saved_folder(&self, vm: VmId, name: &str) -> PathBuf {
        self.root.join(format!("saved/vm-{}-{name}", vm.0))
    }

    /// Kernel and initial RAM disk of a VM whose hypervisor loads them itself.
    pub fn kernel(&self, vm: VmId) -> KernelFiles {
        let folder = self.vm_folder(vm);
        KernelFiles {
            kernel: folder.join("kernel"),
            initrd: folder.join("initrd"),
        }
    }

    /// The base on which a disk stands; `None`: on none.
    pub fn base(&self, blueprint: &Blueprint, disk: &Disk) -> Option<PathBuf> {
        let name = base_name(blueprint, disk)?;
        Some(self.root.join(format!("bases/{name}.raw")))
    }

    /// The driver's view of a blueprint.
    pub fn machine(&self, blueprint: &Blueprint) -> Machine {
        Machine {
            vm: blueprint.vm,
            name: blueprint.name.clone(),
            arch: blueprint.arch,
            guest: blueprint.guest,
            virtualisation: blueprint.virtualisation,
            cpus: blueprint.cpus,
            max_cpus: blueprint.max_cpus,
            mem_mib: blueprint.mem_mib,
            max_mem_mib: blueprint.max_mem_mib,
            boot: self.boot(blueprint),
            disks: self
                .disks_of(blueprint)
                .iter()
                .map(|disk| self.attached_disk(blueprint, disk))
                .collect(),
            interfaces: blueprint
                .interfaces
                .iter()
                .enumerate()
                .map(|(place, interface)| AttachedInterface {
                    name: interface.name.clone(),
                    mac: interface.mac,
                    plug: self.plug(blueprint.vm, place, interface),
                    mbps: interface.mbps,
                })
                .collect(),
        }
    }

    /// The disks that are files; a container's first is a folder.
    pub fn disks_of<'a>(&self, blueprint: &'a Blueprint) -> &'a [Disk] {
        match blueprint.virtualisation {
            Virtualisation::Container => blueprint.disks.get(1..).unwrap_or_default(),
            Virtualisation::Full | Virtualisation::Para => &blueprint.disks,
        }
    }

    /// A disk as it is attached.
    pub fn attached_disk(&self, blueprint: &Blueprint, disk: &Disk) -> AttachedDisk {
        let base = self.base(blueprint, disk);
        let (format, extension) = match (disk.encryption, &base) {
            (Some(_), _) => (DiskFormat::Luks, "luks"),
            (None, Some(_)) => (DiskFormat::Qcow2, "qcow2"),
            (None, None) => (DiskFormat::Raw, "raw"),
        };
        AttachedDisk {
            name: disk.name.clone(),
            path: self
                .vm_folder(blueprint.vm)
                .join(format!("{}.{extension}", disk.name)),
            format,
            size_mib: disk.size_mib,
            base,
            key: disk.encryption.map(|encryption| encryption.key),
            read_only: false,
            iops: disk.iops,
            mibps: disk.mibps,
            extents: disk.extents.clone(),
        }
    }

    /// The folder of a volume that is lent to a VM.
    pub fn lent_folder(&self, vm: VmId, volume: &str) -> PathBuf {
        self.root.join(format!("lent/vm-{}-{volume}", vm.0))
    }

    /// A volume that is lent to a VM, as the disk that it is here.
    pub fn lent(&self, vm: VmId, volume: &Volume) -> AttachedDisk {
        AttachedDisk {
            name: volume.name.clone(),
            path: self.lent_folder(vm, &volume.name).join("volume.raw"),
            format: DiskFormat::Raw,
            size_mib: volume.size_mib,
            base: None,
            key: None,
            read_only: false,
            iops: None,
            mibps: None,
            extents: Vec::new(),
        }
    }

    /// Where the other end of an interface is; `place`: which of its VM's it is, from 0.
    pub fn plug(&self, vm: VmId, place: usize, interface: &Interface) -> Plug {
        match self.plugging {
            Plugging::Tap => Plug::Tap {
                name: tap_name(vm, place),
            },
            Plugging::Bridge => Plug::Bridge {
                name: bridge_name(interface.network),
            },
            Plugging::User => Plug::User {
                forwards: Vec::new(),
            },
        }
    }

    fn boot(&self, blueprint: &Blueprint) -> Boot {
        if blueprint.virtualisation == Virtualisation::Container {
            return Boot::Folder {
                root: self.container_root(blueprint.vm),
            };
        }
        match blueprint.boot {
            BootLoader::Extlinux | BootLoader::Grub => Boot::Disk,
            BootLoader::Direct => {
                let files = self.kernel(blueprint.vm);
                Boot::Kernel {
                    kernel: files.kernel,
                    initrd: Some(files.initrd),
                    command_line: self.command_line(blueprint),
                }
            }
        }
    }

    /// Where the root file system is, and the words of the blueprint.
    fn command_line(&self, blueprint: &Blueprint) -> String {
        // A disk without a table is its one file system.
        let first = blueprint.disks.first();
        let parted = first.filter(|disk| disk.table != PartitionTable::None);
        let partitions = parted.map_or(&[][..], |disk| &disk.partitions);
        let root = partitions
            .iter()
            .position(|partition| partition.mount.as_deref() == Some("/"));
        let root = root.map_or(self.first_disk.clone(), |index| {
            format!("{}{}", self.first_disk, index + 1)
        });
        let mut line = format!("root={root} rw");
        if !blueprint.kernel_arguments.is_empty() {
            line.push(' ');
            line.push_str(&blueprint.kernel_arguments);
        }
        line
    }
}

/// Interfaces that a VM may have: one digit tells them apart in the names of their taps.
pub const MOST_INTERFACES: usize = DIGITS.len();

/// Digits of names; Linux tells capital letters from small ones.
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The tap of an interface, by its place below [`MOST_INTERFACES`]: the VM's id in as few
/// digits of base 62 as it takes, so that the longest has the fifteen bytes that Linux allows.
pub fn tap_name(vm: VmId, place: usize) -> String {
    let base = DIGITS.len() as u64;
    let mut number = vm.0;
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(number % base) as usize]));
        number /= base;
        if number == 0 {
            break;
        }
    }
    let id: String = digits.into_iter().rev().collect();
    format!("gw{id}-{}", char::from(DIGITS[place % DIGITS.len()]))
}

/// The interface whose tap is called so, by its VM and its place; `None`: it is no VM's tap.
pub fn tap_of(name: &str) -> Option<(VmId, usize)> {
    let base = DIGITS.len() as u64;
    let digit = |byte: u8| DIGITS.iter().position(|&digit| digit == byte);
    let (id, place) = name.strip_prefix("gw")?.split_once('-')?;
    let number = id.bytes().try_fold(0_u64, |number, byte| {
        number.checked_mul(base)?.checked_add(digit(byte)? as u64)
    })?;
    let place = digit(place.bytes().next()?)?;
    // One interface, one name: one with leading zeros is somebody else's.
    let vm = VmId(number);
    (tap_name(vm, place) == name).then_some((vm, place))
}

/// The bridge of a network.
pub fn bridge_name(network: NetworkId) -> String {
    format!("gwb{}", network.0)
}
