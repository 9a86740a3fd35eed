//! What stands behind a URI: the hypervisor's ways, as far as libvirt does not even them out.

use agent::machine::DiskFormat;
use model::hypervisor::Capability;

/// The hypervisor behind a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Door {
    /// `bhyve:///system`.
    Bhyve,
    /// `esx://host`.
    Esx,
    /// `hyperv://host`.
    HyperV,
    /// `qemu:///system`.
    Qemu,
    /// `test:///default`, which runs nothing and follows all calls.
    Test,
    /// `vbox:///session`.
    VirtualBox,
    /// `vz:///system`.
    Virtuozzo,
}

/// How a VM is stopped and started in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reboot {
    /// By one call that always comes true.
    Reset,
    /// Off and on again, for no such call is there.
    PowerCycle,
}

/// Where the disks of a machine hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bus {
    /// libvirt's word for it.
    pub name: &'static str,
    /// What the names of its disks begin with, as `vd` of `vda`.
    pub prefix: &'static str,
}

/// A hypervisor's ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// The scheme of its URIs.
    pub scheme: &'static str,
    /// The word by which profiles name it.
    pub name: &'static str,
    /// What was shown by the common suite beyond the mandatory part; nothing where nothing was tried.
    pub capabilities: &'static [Capability],
    /// The formats of our disks that it opens.
    pub formats: &'static [DiskFormat],
    /// Whether it loads a kernel by itself.
    pub loads_kernels: bool,
    /// How it reboots.
    pub reboot: Reboot,
    /// Where its disks hang.
    pub bus: Bus,
    /// libvirt's word for its network card; `None`: the hypervisor's own choice.
    pub card: Option<&'static str>,
    /// Whether it limits what flows through a disk or an interface.
    pub limits: bool,
    /// What else is to go with a domain (`virDomainUndefineFlagsValues`).
    pub undefine: u32,
    /// Whether a domain keeps the UUID that it is given.
    pub keeps_uuids: bool,
}

const VIRTIO: Bus = Bus {
    name: "virtio",
    prefix: "vd",
};
const SATA: Bus = Bus {
    name: "sata",
    prefix: "sd",
};
const SCSI: Bus = Bus {
    name: "scsi",
    prefix: "sd",
};

/// A hypervisor that nobody has tried with this driver: the mandatory part and no more.
const UNTRIED: Ways = Ways {
    scheme: "",
    name: "",
    capabilities: &[],
    formats: &[],
    loads_kernels: false,
    reboot: Reboot::PowerCycle,
    bus: SATA,
    card: None,
    limits: false,
    undefine: 0,
    keeps_uuids: true,
};

impl Door {
    /// The hypervisor behind a URI; `None`: none that this driver knows.
    pub fn of(uri: &str) -> Option<Self> {
        let scheme = uri.split_once("://")?.0;
        // As `qemu+ssh`: the transport to another machine's libvirt.
        let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme);
        let doors = <Self as strum::VariantArray>::VARIANTS;
        doors
            .iter()
            .copied()
            .find(|door| door.ways().scheme == scheme)
    }

    /// Its ways; of those that could not be tried here, by libvirt's documents of their drivers
    /// (libvirt.org/drivers.html and formatdomain.html).
    pub const fn ways(self) -> Ways {
        match self {
            Self::Bhyve => Ways {
                scheme: "bhyve",
                name: "bhyve",
                formats: &[DiskFormat::Raw],
                bus: VIRTIO,
                card: Some("virtio"),
                ..UNTRIED
            },
            Self::Esx => Ways {
                scheme: "esx",
                name: "esxi",
                bus: SCSI,
                card: Some("vmxnet3"),
                ..UNTRIED
            },
            Self::HyperV => Ways {
                scheme: "hyperv",
                name: "hyper-v",
                bus: SCSI,
                keeps_uuids: false,
                ..UNTRIED
            },
            Self::Qemu => Ways {
                scheme: "qemu",
                name: "qemu",
                capabilities: &[
                    Capability::Pause,
                    Capability::ScaleCpu,
                    Capability::ScaleMem,
                    Capability::Console,
                ],
                formats: &[DiskFormat::Raw, DiskFormat::Qcow2, DiskFormat::Luks],
                loads_kernels: true,
                reboot: Reboot::Reset,
                bus: VIRTIO,
                card: Some("virtio"),
                limits: true,
                undefine: virt_sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | virt_sys::VIR_DOMAIN_UNDEFINE_NVRAM
                    | virt_sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA,
                keeps_uuids: true,
            },
            Self::Test => Ways {
                scheme: "test",
                name: "test",
                capabilities: &[
                    Capability::Pause,
                    Capability::ScaleCpu,
                    Capability::ScaleMem,
                ],
                formats: &[DiskFormat::Raw, DiskFormat::Qcow2],
                loads_kernels: true,
                // It has a call for it; the way of the untried ones is tried by it.
                reboot: Reboot::PowerCycle,
                bus: VIRTIO,
                card: Some("virtio"),
                limits: true,
                undefine: 0,
                keeps_uuids: true,
            },
            Self::VirtualBox => Ways {
                scheme: "vbox",
                name: "virtualbox",
                ..UNTRIED
            },
            Self::Virtuozzo => Ways {
                scheme: "vz",
                name: "virtuozzo",
                formats: &[DiskFormat::Qcow2],
                ..UNTRIED
            },
        }
    }
}

/// Whether a URI leads to the machine that we run on: it names no host.
pub fn is_here(uri: &str) -> bool {
    uri.split_once("://")
        .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('/'))
}
