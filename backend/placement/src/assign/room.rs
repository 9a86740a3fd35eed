//! Which kinds of node a grid has, and whom they take when they are empty.

use crate::filter::Filter;
use crate::shape::static_refusal;
use model::grid::Grid;
use model::id::{NodeClassId, NodeId, RackId, SiteId};
use model::units::{DIMENSIONS, Resources};
use model::vm::{Scope, VmSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A grid as the assignment sees it.
pub(super) struct Room<'g> {
    grid: &'g Grid,
    kinds: &'g [Kind],
    largest: [u32; DIMENSIONS],
}

/// The kinds of node that a grid has, looked up once for many assignments.
#[derive(Clone, Debug)]
pub struct Kinds {
    kinds: Vec<Kind>,
    largest: [u32; DIMENSIONS],
}

/// Nodes of one class on one site.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    class: NodeClassId,
    site: SiteId,
    /// One of them, to name it in hints.
    first: NodeId,
    nodes: u32,
    racks: BTreeSet<RackId>,
}

impl Kinds {
    /// Those of a grid: every node is looked at.
    pub fn of(grid: &Grid) -> Self {
        let mut kinds = BTreeMap::new();
        for id in grid.node_ids() {
            let node = &grid.nodes[id.index()];
            let (class, site) = (node.class, grid.site_of(id));
            let kind = kinds.entry((class, site)).or_insert_with(|| Kind {
                class,
                site,
                first: id,
                nodes: 0,
                racks: BTreeSet::new(),
            });
            kind.nodes += 1;
            kind.racks.insert(node.rack);
        }
        let kinds: Vec<Kind> = kinds.into_values().collect();
        let mut largest = [0; DIMENSIONS];
        for kind in &kinds {
            let capacity = grid.classes[kind.class.index()].capacity.to_array();
            for (most, has) in largest.iter_mut().zip(capacity) {
                *most = has.max(*most);
            }
        }
        Self { kinds, largest }
    }
}

impl<'g> Room<'g> {
    pub(super) fn of(grid: &'g Grid, kinds: &'g Kinds) -> Self {
        let Kinds { kinds, largest } = kinds;
        Self {
            grid,
            kinds,
            largest: *largest,
        }
    }

    pub(super) fn grid(&self) -> &'g Grid {
        self.grid
    }

    pub(super) fn capacity(&self, kind: &Kind) -> Resources {
        self.grid.classes[kind.class.index()].capacity
    }

    pub(super) fn name(&self, kind: &Kind) -> &'g str {
        &self.grid.nodes[kind.first.index()].name
    }

    /// The kinds that no filter refuses for ever, whatever their size.
    pub(super) fn suited<'r>(&'r self, spec: &'r VmSpec) -> impl Iterator<Item = &'r Kind> {
        self.kinds
            .iter()
            .filter(|kind| self.refusal(spec, kind).is_none())
    }

    /// How many nodes each filter refuses first, in the order of filters.
    pub(super) fn refusals(&self, spec: &VmSpec) -> Vec<(Filter, u32)> {
        let mut refused = BTreeMap::new();
        for kind in self.kinds {
            if let Some(filter) = self.refusal(spec, kind) {
                *refused.entry(filter).or_insert(0) += kind.nodes;
            }
        }
        refused.into_iter().collect()
    }

    /// Whether an empty node could run all of these at once.
    pub(super) fn takes(&self, specs: &[&VmSpec], asked: Resources) -> bool {
        self.kinds.iter().any(|kind| {
            let fits = asked.first_shortage(self.capacity(kind)).is_none();
            fits && specs.iter().all(|spec| self.refusal(spec, kind).is_none())
        })
    }

    /// How many such VMs each site holds when it is empty.
    pub(super) fn slots_by_site(&self, spec: &VmSpec, asked: Resources) -> BTreeMap<SiteId, u64> {
        let mut slots = BTreeMap::new();
        for kind in self.suited(spec) {
            let capacity = self.capacity(kind).to_array().into_iter();
            let by_dimension = capacity.zip(asked.to_array());
            let on_node = by_dimension
                .filter_map(|(has, asks)| has.checked_div(asks))
                .min();
            *slots.entry(kind.site).or_insert(0) +=
                u64::from(on_node.unwrap_or(u32::MAX)) * u64::from(kind.nodes);
        }
        slots
    }

    /// How many nodes, racks or sites can take any of these when empty.
    pub(super) fn places(&self, vms: &[(&VmSpec, Resources)], scope: Scope) -> u32 {
        let takes = |kind: &&Kind| {
            vms.iter().any(|(spec, asked)| {
                self.refusal(spec, kind).is_none()
                    && asked.first_shortage(self.capacity(kind)).is_none()
            })
        };
        let kinds = self.kinds.iter().filter(takes);
        match scope {
            Scope::Node => kinds.map(|kind| kind.nodes).sum(),
            Scope::Rack => kinds.flat_map(|k| &k.racks).collect::<BTreeSet<_>>().len() as u32,
            Scope::Site => kinds.map(|k| k.site).collect::<BTreeSet<_>>().len() as u32,
        }
    }

    /// The greatest share of the grid's largest node that is asked in any dimension, in parts per
    /// million; what no node has counts as a whole one.
    pub(super) fn dominant_share_ppm(&self, asked: Resources) -> u64 {
        let shares = asked.to_array().into_iter().zip(self.largest);
        shares
            .map(|(asks, most)| match most {
                0 if asks == 0 => 0,
                0 => 1_000_000,
                most => u64::from(asks) * 1_000_000 / u64::from(most),
            })
            .max()
            .unwrap_or(0)
    }

    fn refusal(&self, spec: &VmSpec, kind: &Kind) -> Option<Filter> {
        let class = &self.grid.classes[kind.class.index()];
        static_refusal(spec, self.grid, class, kind.site)
    }
}
