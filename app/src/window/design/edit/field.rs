//! The fields of a component, each with a value for it.

use model::design::{Beside, Component, ComponentKind, Thresholds};
use model::hypervisor::{Arch, Guest, Virtualisation, Work};
use model::vm::Scope;
use std::collections::BTreeMap;

/// A field of a component with a value for it; see [`Component`] for the units.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is the field of `Component` of the same name"
)]
pub enum Field {
    Name(String),
    Kind(ComponentKind),
    Instances(u32),
    CpuMilli(u32),
    MemMib(u32),
    DiskGib(u32),
    RemoteDiskGib(u32),
    DiskIops(u32),
    NetMbps(u32),
    AccelMilli(u32),
    AccelModels(Vec<String>),
    Image(String),
    Guest(Guest),
    Arch(Option<Arch>),
    Virtualisation(Option<Virtualisation>),
    AddApplications(Vec<String>),
    RemoveApplications(Vec<String>),
    Licences(Vec<String>),
    Sites(Vec<String>),
    Spread(Option<Scope>),
    Beside(Option<Beside>),
    Work(Work),
    ExpectedLoadMilli(u32),
    HighlyAvailable(bool),
    Thresholds(Option<Thresholds>),
    Parameters(BTreeMap<String, String>),
}

impl Field {
    /// How the inspector calls the field, in lower case.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Kind(_) => "kind",
            Self::Instances(_) => "instances",
            Self::CpuMilli(_) => "processor",
            Self::MemMib(_) => "memory",
            Self::DiskGib(_) => "disk",
            Self::RemoteDiskGib(_) => "remote disk",
            Self::DiskIops(_) => "disk operations",
            Self::NetMbps(_) => "network",
            Self::AccelMilli(_) => "accelerators",
            Self::AccelModels(_) => "accelerator models",
            Self::Image(_) => "image",
            Self::Guest(_) => "guest",
            Self::Arch(_) => "architecture",
            Self::Virtualisation(_) => "virtualisation",
            Self::AddApplications(_) => "applications to add",
            Self::RemoveApplications(_) => "applications to remove",
            Self::Licences(_) => "licences",
            Self::Sites(_) => "sites",
            Self::Spread(_) => "spread",
            Self::Beside(_) => "beside",
            Self::Work(_) => "work",
            Self::ExpectedLoadMilli(_) => "expected load",
            Self::HighlyAvailable(_) => "high availability",
            Self::Thresholds(_) => "thresholds",
            Self::Parameters(_) => "parameters",
        }
    }

    pub(super) fn set(self, component: &mut Component) {
        match self {
            Self::Name(name) => component.name = name,
            Self::Kind(kind) => component.kind = kind,
            Self::Instances(instances) => component.instances = instances,
            Self::CpuMilli(cpu_milli) => component.cpu_milli = cpu_milli,
            Self::MemMib(mem_mib) => component.mem_mib = mem_mib,
            Self::DiskGib(disk_gib) => component.disk_gib = disk_gib,
            Self::RemoteDiskGib(disk_gib) => component.remote_disk_gib = disk_gib,
            Self::DiskIops(disk_iops) => component.disk_iops = disk_iops,
            Self::NetMbps(net_mbps) => component.net_mbps = net_mbps,
            Self::AccelMilli(accel_milli) => component.accel_milli = accel_milli,
            Self::AccelModels(models) => component.accel_models = models,
            Self::Image(image) => component.image = image,
            Self::Guest(guest) => component.guest = guest,
            Self::Arch(arch) => component.arch = arch,
            Self::Virtualisation(how) => component.virtualisation = how,
            Self::AddApplications(applications) => component.add_applications = applications,
            Self::RemoveApplications(applications) => component.remove_applications = applications,
            Self::Licences(licences) => component.licences = licences,
            Self::Sites(sites) => component.sites = sites,
            Self::Spread(spread) => component.spread = spread,
            Self::Beside(beside) => component.beside = beside,
            Self::Work(work) => component.work = work,
            Self::ExpectedLoadMilli(load) => component.expected_load_milli = load,
            Self::HighlyAvailable(on) => component.highly_available = on,
            Self::Thresholds(thresholds) => component.thresholds = thresholds,
            Self::Parameters(parameters) => component.parameters = parameters,
        }
    }
}
