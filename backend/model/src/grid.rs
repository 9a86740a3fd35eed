//! All nodes as one resource: nodes by class, in racks, on sites.

use crate::hypervisor::{Arch, Hypervisor};
use crate::id::{Generation, HypervisorId, NodeClassId, NodeId, RackId, SiteId};
use crate::units::Resources;
use crate::vm::Risk;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most devices that one node may carry; larger machines are not sold.
pub const MAX_ACCELERATORS: usize = 16;

/// Accelerators of one node class: equal devices, shared in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerators {
    /// Model name, as `V100M16`.
    pub model: String,
    /// Devices in a node, at most [`MAX_ACCELERATORS`].
    pub count: u32,
}

/// Whether a node takes new VMs.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NodeState {
    /// Takes VMs.
    #[default]
    Up,
    /// Runs what it has and takes nothing new.
    Cordoned,
    /// Is being emptied.
    Draining,
    /// Runs nothing.
    Down,
}

/// What equal nodes share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeClass {
    /// Unique name in the grid: that of the first group of such nodes in the grid's file, as `small`.
    pub name: String,
    /// Hardware model or generation; traces name the models on which a VM type is legal.
    pub model: String,
    /// Instruction set.
    pub arch: Arch,
    /// The hypervisor that rules the nodes.
    pub hypervisor: HypervisorId,
    /// What VMs may use, after the node's own reserve is taken off.
    pub capacity: Resources,
    /// Devices, if any; `capacity.accel_milli` is 1000 times their count.
    pub accelerators: Option<Accelerators>,
    /// Licences present on the nodes, as `windows-datacenter`.
    pub licences: BTreeSet<String>,
    /// Roles the nodes play, as `storage`.
    pub roles: BTreeSet<String>,
    /// Free words about the nodes.
    pub labels: BTreeMap<String, String>,
    /// Most risky tenant that these nodes take.
    pub risk: Risk,
    /// Cost of a running node, without its licences, in thousandths of the currency an hour.
    pub cost_milli_per_hour: u32,
}

/// One physical machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name in the grid.
    pub name: String,
    /// What it shares with its equals.
    pub class: NodeClassId,
    /// Where it stands.
    pub rack: RackId,
    /// Whether it takes VMs.
    pub state: NodeState,
}

/// A rack on a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rack {
    /// Unique on its site.
    pub name: String,
    /// The site it stands on.
    pub site: SiteId,
}

/// A place of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Unique name in the grid.
    pub name: String,
}

/// All nodes, checked: every id stands for an entry of its table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// What people call the grid.
    pub name: String,
    /// How often it has changed.
    pub generation: Generation,
    /// By [`SiteId`].
    pub sites: Vec<Site>,
    /// By [`RackId`].
    pub racks: Vec<Rack>,
    /// By [`HypervisorId`].
    pub hypervisors: Vec<Hypervisor>,
    /// By [`NodeClassId`].
    pub classes: Vec<NodeClass>,
    /// By [`NodeId`].
    pub nodes: Vec<Node>,
    /// What a licence costs on one node, by its name, in thousandths of the currency an hour; one
    /// that is not here costs nothing.
    #[serde(default)]
    pub licence_cost_milli_per_hour: BTreeMap<String, u32>,
}

/// A table of a grid names what is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grid's {what} {place} has {found}, expected {expected}")]
pub struct BrokenGrid {
    /// `node`, `rack` or `class`.
    pub what: &'static str,
    /// Its place among its like, from 0.
    pub place: usize,
    /// What it has, as `class 7`.
    pub found: String,
    /// What would do.
    pub expected: String,
}

impl Grid {
    /// Checks that every id stands for an entry of its table, and that accelerators and capacity
    /// agree; for grids that come from elsewhere than a grid file, whose reader sees to it.
    ///
    /// # Errors
    /// The first entry of which that is not so.
    pub fn check(&self) -> Result<(), BrokenGrid> {
        let one_of = |what, place, names: &str, id: u32, of: usize| match (id as usize) < of {
            true => Ok(()),
            false => Err(BrokenGrid {
                what,
                place,
                found: format!("{names} {id}"),
                expected: format!("one of {of}, counted from 0"),
            }),
        };
        for (place, rack) in self.racks.iter().enumerate() {
            one_of("rack", place, "site", rack.site.0, self.sites.len())?;
        }
        for (place, class) in self.classes.iter().enumerate() {
            let hypervisor = class.hypervisor.0;
            one_of(
                "class",
                place,
                "hypervisor",
                hypervisor,
                self.hypervisors.len(),
            )?;
            let count = class
                .accelerators
                .as_ref()
                .map_or(0, |devices| devices.count);
            let milli = class.capacity.accel_milli.0;
            if count as usize > MAX_ACCELERATORS || milli != count * 1_000 {
                return Err(BrokenGrid {
                    what: "class",
                    place,
                    found: format!("{milli} accel_milli on {count} accelerators"),
                    expected: format!("1000 on each, and at most {MAX_ACCELERATORS}"),
                });
            }
        }
        for (place, node) in self.nodes.iter().enumerate() {
            one_of("node", place, "class", node.class.0, self.classes.len())?;
            one_of("node", place, "rack", node.rack.0, self.racks.len())?;
        }
        Ok(())
    }

    /// What some licences cost together on one node, in thousandths of the currency an hour.
    pub fn cost_of_licences<'l>(&self, licences: impl Iterator<Item = &'l String>) -> u32 {
        let costs = licences.filter_map(|licence| self.licence_cost_milli_per_hour.get(licence));
        costs.fold(0, |sum, cost| sum.saturating_add(*cost))
    }

    /// Licences that some node carries, by name.
    pub fn licences(&self) -> BTreeSet<&str> {
        let classes: BTreeSet<NodeClassId> = self.nodes.iter().map(|node| node.class).collect();
        let licences = classes
            .iter()
            .flat_map(|class| &self.classes[class.index()].licences);
        licences.map(String::as_str).collect()
    }

    /// The class of a node.
    pub fn class_of(&self, node: NodeId) -> &NodeClass {
        &self.classes[self.nodes[node.index()].class.index()]
    }

    /// The site of a node.
    pub fn site_of(&self, node: NodeId) -> SiteId {
        self.racks[self.nodes[node.index()].rack.index()].site
    }

    /// The hypervisor that rules a node.
    pub fn hypervisor_of(&self, node: NodeId) -> &Hypervisor {
        &self.hypervisors[self.class_of(node).hypervisor.index()]
    }

    /// Ids of all nodes in order.
    pub fn node_ids(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Option<NodeId> {
        let place = self.nodes.iter().position(|node| node.name == name)?;
        Some(NodeId(place as u32))
    }
}
