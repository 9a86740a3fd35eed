//! Builds a grid whose ids all stand for an entry, in the order in which its nodes come.

use crate::grid::{Grid, Node, NodeClass, NodeState, Rack, Site};
use crate::hypervisor::Hypervisor;
use crate::id::{HypervisorId, NodeClassId, NodeId, RackId, SiteId};
use std::collections::{BTreeMap, HashMap};

/// Nodes in a rack where nothing else is said: forty of one unit each fill a usual rack of 42.
pub const NODES_PER_RACK: u32 = 40;

/// How the nodes of a group are put into racks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RackRule {
    /// All into the rack of this name.
    Named(String),
    /// Evenly, in order, into this many new racks.
    Spread(u32),
    /// Into the site's last rack made by such a rule until it holds this many, then into new ones.
    Fill(u32),
}

/// A node of this name is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two nodes of one name: the earlier is {earlier}")]
pub struct SameName {
    /// The node that had the name first.
    pub earlier: NodeId,
}

/// A grid in the making.
#[derive(Clone, Debug, Default)]
pub struct GridBuilder {
    grid: Grid,
    names: BTreeMap<String, NodeId>,
    sites: BTreeMap<String, SiteId>,
    racks: BTreeMap<(SiteId, String), RackId>,
    /// By site: the number of its next automatic rack, and the one that is being filled.
    filling: BTreeMap<SiteId, Filling>,
    class_names: BTreeMap<String, NodeClassId>,
    /// By the class without its name; only looked up, never walked.
    classes: HashMap<NodeClass, NodeClassId>,
}

#[derive(Clone, Debug, Default)]
struct Filling {
    next_number: u32,
    current: Option<(String, u32)>,
}

impl GridBuilder {
    /// An empty grid.
    pub fn new(name: &str) -> Self {
        let mut builder = Self::default();
        builder.grid.name = name.into();
        builder
    }

    /// The grid, whole.
    pub fn finish(self) -> Grid {
        self.grid
    }

    /// The grid so far.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Sets how often the grid has changed.
    pub fn set_generation(&mut self, generation: crate::id::Generation) {
        self.grid.generation = generation;
    }

    /// Sets what a licence costs on one node, in thousandths of the currency an hour.
    pub fn set_licence_cost(&mut self, licence: String, cost_milli_per_hour: u32) {
        let costs = &mut self.grid.licence_cost_milli_per_hour;
        costs.insert(licence, cost_milli_per_hour);
    }

    /// The id of a hypervisor, entered where it is new.
    pub fn hypervisor(&mut self, hypervisor: &Hypervisor) -> HypervisorId {
        let known = self.grid.hypervisors.iter().position(|h| h == hypervisor);
        let place = known.unwrap_or_else(|| {
            self.grid.hypervisors.push(hypervisor.clone());
            self.grid.hypervisors.len() - 1
        });
        HypervisorId(place as u32)
    }

    /// The id of a site, entered where it is new.
    pub fn site(&mut self, name: &str) -> SiteId {
        if let Some(site) = self.sites.get(name) {
            return *site;
        }
        let site = SiteId(self.grid.sites.len() as u32);
        self.grid.sites.push(Site { name: name.into() });
        self.sites.insert(name.into(), site);
        site
    }

    /// The id of a rack on a site, entered where it is new.
    pub fn rack(&mut self, site: SiteId, name: &str) -> RackId {
        if let Some(rack) = self.racks.get(&(site, name.to_owned())) {
            return *rack;
        }
        let rack = RackId(self.grid.racks.len() as u32);
        self.grid.racks.push(Rack {
            name: name.into(),
            site,
        });
        self.racks.insert((site, name.into()), rack);
        rack
    }

    /// The class of this name, if there is one.
    pub fn class_named(&self, name: &str) -> Option<NodeClassId> {
        self.class_names.get(name).copied()
    }

    /// The class equal to this one but for its name, if there is one.
    pub fn class_like(&self, class: &NodeClass) -> Option<NodeClassId> {
        self.classes.get(&nameless(class)).copied()
    }

    /// Enters a class; where another one has its name already, the new one gets a number to it.
    pub fn new_class(&mut self, class: NodeClass) -> NodeClassId {
        let name = self.free_class_name(&class.name);
        let id = NodeClassId(self.grid.classes.len() as u32);
        self.class_names.insert(name.clone(), id);
        self.classes.entry(nameless(&class)).or_insert(id);
        self.grid.classes.push(NodeClass { name, ..class });
        id
    }

    /// The class equal to this one but for its name, entered where it is new.
    pub fn class(&mut self, class: NodeClass) -> NodeClassId {
        self.class_like(&class)
            .unwrap_or_else(|| self.new_class(class))
    }

    /// The racks that a rule gives to `count` nodes one after the other, by name; nothing is
    /// entered yet.
    pub fn rack_names(&self, site: SiteId, rule: &RackRule, count: u32) -> Vec<String> {
        let mut filling = self.filling.get(&site).cloned().unwrap_or_default();
        self.walk_racks(site, rule, count, &mut filling)
    }

    /// Enters the racks that a rule gives to `count` nodes, one for each.
    pub fn fill_racks(&mut self, site: SiteId, rule: &RackRule, count: u32) -> Vec<RackId> {
        let mut filling = self.filling.get(&site).cloned().unwrap_or_default();
        let names = self.walk_racks(site, rule, count, &mut filling);
        self.filling.insert(site, filling);
        let mut racks: Vec<RackId> = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let same_as_before = place > 0 && names[place - 1] == *name;
            let rack = if same_as_before {
                racks[place - 1]
            } else {
                self.rack(site, name)
            };
            racks.push(rack);
        }
        racks
    }

    /// Enters a node.
    ///
    /// # Errors
    /// Where another node has its name.
    pub fn node(
        &mut self,
        name: String,
        class: NodeClassId,
        rack: RackId,
        state: NodeState,
    ) -> Result<NodeId, SameName> {
        if let Some(earlier) = self.names.get(&name) {
            return Err(SameName { earlier: *earlier });
        }
        let id = NodeId(self.grid.nodes.len() as u32);
        self.names.insert(name.clone(), id);
        self.grid.nodes.push(Node {
            name,
            class,
            rack,
            state,
        });
        Ok(id)
    }

    fn walk_racks(
        &self,
        site: SiteId,
        rule: &RackRule,
        count: u32,
        filling: &mut Filling,
    ) -> Vec<String> {
        match rule {
            RackRule::Named(name) => vec![name.clone(); count as usize],
            RackRule::Spread(racks) => {
                let names: Vec<String> = (0..*racks)
                    .map(|_| self.next_rack_name(site, filling))
                    .collect();
                filling.current = None;
                let share = |i: u32| u64::from(i) * u64::from(*racks) / u64::from(count);
                (0..count)
                    .map(|i| names[share(i) as usize].clone())
                    .collect()
            }
            RackRule::Fill(per_rack) => (0..count)
                .map(|_| {
                    let (name, filled) = match filling.current.take() {
                        Some((name, filled)) if filled < *per_rack => (name, filled),
                        _ => (self.next_rack_name(site, filling), 0),
                    };
                    filling.current = Some((name.clone(), filled + 1));
                    name
                })
                .collect(),
        }
    }

    /// The first of `r0`, `r1`, … that no rack of the site has yet.
    fn next_rack_name(&self, site: SiteId, filling: &mut Filling) -> String {
        loop {
            let name = format!("r{}", filling.next_number);
            filling.next_number += 1;
            if !self.racks.contains_key(&(site, name.clone())) {
                return name;
            }
        }
    }

    fn free_class_name(&self, wished: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{wished}-{number}"));
        std::iter::once(wished.to_owned())
            .chain(numbered)
            .find(|name| !self.class_names.contains_key(name))
            .expect("there are more numbers than classes")
    }
}

fn nameless(class: &NodeClass) -> NodeClass {
    NodeClass {
        name: String::new(),
        ..class.clone()
    }
}
