//! What a component of each kind is before anyone changes it: one table for palette, files and checks.

use crate::design::{Component, ComponentKind};
use crate::hypervisor::{Guest, Work};
use std::collections::BTreeMap;

/// The image of a component that names none.
pub const DEFAULT_IMAGE: &str = "debian-13";

/// The defaults of a kind. Sizes are our choice of where to start, of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindDefaults {
    /// How people write the kind, as `Load balancer`.
    pub title: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// What new components of the kind are called, as `web`.
    pub short_name: &'static str,
    /// Whether it becomes VMs.
    pub form: KindForm,
    /// Place in the usual path of a request, from 0: links go from a lower tier to a higher one.
    pub tier: u8,
    /// Port that it accepts connections on; 0: none.
    pub port: u16,
    /// Processor.
    pub cpu_milli: u32,
    /// Memory.
    pub mem_mib: u32,
    /// Disk space.
    pub disk_gib: u32,
    /// Disk operations a second.
    pub disk_iops: u32,
    /// Bandwidth.
    pub net_mbps: u32,
    /// Applications that are added to the image.
    pub applications: &'static [&'static str],
    /// What it mostly does.
    pub work: Work,
    /// Expected share of its vCPUs in use, in thousandths.
    pub expected_load_milli: u32,
}

/// Whether components of a kind become VMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindForm {
    /// One VM an instance, or several where one is split.
    Vms,
    /// Nothing of its own: the nodes provide it.
    Wire,
}

impl ComponentKind {
    /// What a component of this kind is before anyone changes it.
    pub const fn defaults(self) -> KindDefaults {
        match self {
            Self::LoadBalancer => KindDefaults {
                title: "Load balancer",
                about: "Spreads requests over the components linked behind it",
                short_name: "balancer",
                form: KindForm::Vms,
                tier: 2,
                port: 443,
                cpu_milli: 2_000,
                mem_mib: 2_048,
                disk_gib: 10,
                disk_iops: 500,
                net_mbps: 2_000,
                applications: &["haproxy"],
                work: Work::Network,
                expected_load_milli: 300,
            },
            Self::WebServer => KindDefaults {
                title: "Web server",
                about: "Answers HTTP, and passes on what others must work out",
                short_name: "web",
                form: KindForm::Vms,
                tier: 3,
                port: 80,
                cpu_milli: 2_000,
                mem_mib: 4_096,
                disk_gib: 20,
                disk_iops: 1_000,
                net_mbps: 1_000,
                applications: &["nginx"],
                work: Work::Network,
                expected_load_milli: 400,
            },
            Self::ApplicationServer => KindDefaults {
                title: "Application server",
                about: "Runs the customer's own program",
                short_name: "app",
                form: KindForm::Vms,
                tier: 4,
                port: 8_080,
                cpu_milli: 4_000,
                mem_mib: 8_192,
                disk_gib: 40,
                disk_iops: 1_000,
                net_mbps: 1_000,
                applications: &[],
                work: Work::Compute,
                expected_load_milli: 500,
            },
            Self::Database => KindDefaults {
                title: "Database",
                about: "Keeps structured data; its disk may be split over several nodes",
                short_name: "db",
                form: KindForm::Vms,
                tier: 5,
                port: 5_432,
                cpu_milli: 4_000,
                mem_mib: 16_384,
                disk_gib: 200,
                disk_iops: 10_000,
                net_mbps: 1_000,
                applications: &["postgresql"],
                work: Work::Disk,
                expected_load_milli: 400,
            },
            Self::Storage => KindDefaults {
                title: "Storage",
                about: "Keeps files or blocks; may be split over several nodes",
                short_name: "storage",
                form: KindForm::Vms,
                tier: 6,
                port: 2_049,
                cpu_milli: 2_000,
                mem_mib: 8_192,
                disk_gib: 1_000,
                disk_iops: 5_000,
                net_mbps: 2_000,
                applications: &["nfs-kernel-server"],
                work: Work::Disk,
                expected_load_milli: 200,
            },
            Self::Firewall => KindDefaults {
                title: "Firewall",
                about: "Lets through what its rules say",
                short_name: "firewall",
                form: KindForm::Vms,
                tier: 1,
                port: 443,
                cpu_milli: 1_000,
                mem_mib: 1_024,
                disk_gib: 8,
                disk_iops: 200,
                net_mbps: 2_000,
                applications: &["nftables"],
                work: Work::Network,
                expected_load_milli: 300,
            },
            Self::Network => KindDefaults {
                title: "Network",
                about: "Joins components in one address range",
                short_name: "network",
                form: KindForm::Wire,
                tier: 0,
                port: 0,
                cpu_milli: 0,
                mem_mib: 0,
                disk_gib: 0,
                disk_iops: 0,
                net_mbps: 0,
                applications: &[],
                work: Work::Network,
                expected_load_milli: 0,
            },
        }
    }
}

impl Component {
    /// A component of a kind with all its defaults, at the canvas's origin.
    pub fn new(kind: ComponentKind, name: &str) -> Self {
        let defaults = kind.defaults();
        Self {
            name: name.into(),
            kind,
            instances: 1,
            cpu_milli: defaults.cpu_milli,
            mem_mib: defaults.mem_mib,
            disk_gib: defaults.disk_gib,
            remote_disk_gib: 0,
            disk_iops: defaults.disk_iops,
            net_mbps: defaults.net_mbps,
            accel_milli: 0,
            accel_models: Vec::new(),
            image: String::new(),
            guest: Guest::Linux,
            arch: None,
            virtualisation: None,
            add_applications: defaults
                .applications
                .iter()
                .map(|&a| a.to_owned())
                .collect(),
            remove_applications: Vec::new(),
            licences: Vec::new(),
            sites: Vec::new(),
            spread: None,
            beside: None,
            work: defaults.work,
            expected_load_milli: defaults.expected_load_milli,
            highly_available: false,
            thresholds: None,
            parameters: BTreeMap::new(),
            position: [0.0, 0.0],
        }
    }

    /// The image by name, whether the component names it or not.
    pub fn image_name(&self) -> &str {
        if self.image.is_empty() {
            DEFAULT_IMAGE
        } else {
            &self.image
        }
    }
}
