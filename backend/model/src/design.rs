//! What a customer draws: components, links, parameters; may be wrong.

use crate::hypervisor::{Arch, Guest, Virtualisation, Work, words};
use crate::vm::{Risk, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words! {
    /// What a component is.
    ComponentKind {
        /// Spreads requests over the components linked behind it.
        LoadBalancer,
        /// Answers HTTP.
        WebServer,
        /// Runs the customer's own program.
        ApplicationServer,
        /// Keeps structured data; its disk may be split over several nodes.
        Database,
        /// Keeps files or blocks; may be split over several nodes.
        Storage,
        /// Lets through what its rules say.
        Firewall,
        /// Joins components in one address range.
        Network,
    }
}

/// One component on the canvas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Unique name in the design; letters, digits, `-`.
    pub name: String,
    /// What it is.
    pub kind: ComponentKind,
    /// How many equal VMs.
    pub instances: u32,
    /// Of one instance.
    pub cpu_milli: u32,
    /// Of one instance.
    pub mem_mib: u32,
    /// Of one instance, over all its disks that lie on its own node.
    pub disk_gib: u32,
    /// Of one instance, a further disk, joined of volumes that other nodes of the site lend; 0: none.
    pub remote_disk_gib: u32,
    /// Of one instance.
    pub disk_iops: u32,
    /// Of one instance.
    pub net_mbps: u32,
    /// Thousandths of accelerators of one instance: under 1000 a share of one device, else whole devices.
    pub accel_milli: u32,
    /// Accelerator models any of which will do; empty: any.
    pub accel_models: Vec<String>,
    /// Name of the OS image; empty: [`crate::kind::DEFAULT_IMAGE`].
    pub image: String,
    /// Operating system of the image.
    pub guest: Guest,
    /// Instruction set of the image; `None`: any.
    pub arch: Option<Arch>,
    /// How it must be run; `None`: any way.
    pub virtualisation: Option<Virtualisation>,
    /// Applications to add to the image.
    pub add_applications: Vec<String>,
    /// Applications to remove from it.
    pub remove_applications: Vec<String>,
    /// Licences that its node must have.
    pub licences: Vec<String>,
    /// Sites on which it may run; empty: any.
    pub sites: Vec<String>,
    /// Keep instances on different nodes, racks or sites.
    pub spread: Option<Scope>,
    /// Run beside the named component's instances, within the scope.
    pub beside: Option<Beside>,
    /// What it mostly does; picks the hypervisor efficiency that counts.
    pub work: Work,
    /// Expected share of its vCPUs in use, in thousandths.
    pub expected_load_milli: u32,
    /// Restart elsewhere when its node dies.
    pub highly_available: bool,
    /// When to add and remove instances; `None`: never.
    pub thresholds: Option<Thresholds>,
    /// Settings of the application, passed on as they are.
    pub parameters: BTreeMap<String, String>,
    /// Place on the canvas, in points.
    pub position: [f32; 2],
}

/// Run near another component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The other component's name.
    pub component: String,
    /// How near.
    pub scope: Scope,
}

/// When a component gains and loses instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Add an instance above this share of vCPUs in use, in thousandths.
    pub up_cpu_milli: u32,
    /// Remove one below this share.
    pub down_cpu_milli: u32,
    /// Fewest instances.
    pub min_instances: u32,
    /// Most instances.
    pub max_instances: u32,
}

/// Traffic from one component to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Name of the component that opens connections.
    pub from: String,
    /// Name of the component that accepts them.
    pub to: String,
    /// Port that is opened; 0: the default of the accepting component's kind.
    pub port: u16,
}

/// A drawing, right or wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// What the customer calls it.
    pub name: String,
    /// Owner; empty: the grid's own.
    pub tenant: String,
    /// The tenant's risk class.
    pub risk: Option<Risk>,
    /// Components in the order of drawing.
    pub components: Vec<Component>,
    /// Links in the order of drawing.
    pub links: Vec<Link>,
}

/// What a fault of a design is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The design as a whole.
    Design,
    /// This one of [`Design::components`].
    Component(usize),
    /// This one of [`Design::links`].
    Link(usize),
}

impl Place {
    /// The place of a [`crate::fault::Fault::field`], as `component[2].cpu_cores`.
    pub fn of_field(field: &str) -> Self {
        let place = |rest: &str| rest.split_once(']')?.0.parse().ok();
        if let Some(place) = field.strip_prefix("component[").and_then(place) {
            Self::Component(place)
        } else if let Some(place) = field.strip_prefix("link[").and_then(place) {
            Self::Link(place)
        } else {
            Self::Design
        }
    }
}
