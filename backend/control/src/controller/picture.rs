//! The view, brought up to date where something changed.

use super::Controller;
use crate::record::VmRecord;
use model::grid::NodeState;
use model::id::{NodeId, TenantId};
use model::time::Time;
use model::units::{DiskGib, Resources};
use model::view::{NodeView, View, VmView};
use model::vm::VmSpec;
use std::sync::Arc;

impl Controller {
    /// Brings the view up to date; it stays the same where nothing changed.
    pub(super) fn refresh(&mut self, now: Time) {
        let touched = std::mem::take(&mut self.ledger.touched);
        let generation = self.ledger.generation;
        if touched.is_empty() && self.view.generation == generation {
            return;
        }
        let nodes: Vec<(NodeId, NodeView)> = touched
            .into_iter()
            .map(|node| (node, self.node_view(node)))
            .collect();
        let view = Arc::make_mut(&mut self.view);
        view.at = now;
        view.generation = generation;
        for (node, node_view) in nodes {
            view.nodes[node.index()] = node_view;
        }
    }

    /// The view that comes of all that is known, every node anew: the same as [`Self::view`] but for
    /// its instant. For tests.
    pub fn view_anew(&self) -> View {
        let grid = &self.view.grid;
        View {
            at: self.view.at,
            generation: self.ledger.generation,
            grid: Arc::clone(grid),
            nodes: grid.node_ids().map(|node| self.node_view(node)).collect(),
        }
    }

    fn node_view(&self, node: NodeId) -> NodeView {
        let record = &self.ledger.nodes[node.index()];
        let here = record.vms.iter().filter_map(|vm| self.ledger.vms.get(vm));
        let mut vms: Vec<VmView> = here.map(|vm| vm_view(vm, node)).collect();
        let remains = record.remains.iter();
        let remains = remains.filter(|(vm, _)| !record.vms.contains(vm));
        vms.extend(remains.map(|(&id, &resources)| {
            VmView {
                id,
                tenant: self
                    .ledger
                    .vms
                    .get(&id)
                    .map_or(TenantId::default(), |vm| vm.tenant),
                resources,
                spec: Arc::new(VmSpec::plain(resources)),
                since: Time::ZERO,
                devices: Vec::new(),
            }
        }));
        vms.sort_by_key(|vm| vm.id);
        let none = Resources::default();
        let used = vms
            .iter()
            .fold(none, |sum, vm| sum.checked_add(vm.resources).unwrap_or(sum));
        let lent_gib = record
            .lends
            .values()
            .fold(0, |sum: u32, gib| sum.saturating_add(*gib));
        let lent = Resources {
            disk_gib: DiskGib(lent_gib),
            ..none
        };
        let used = used.checked_add(lent).unwrap_or(used);
        let state = match record.state {
            NodeState::Up | NodeState::Cordoned if !self.links[node.index()].is_reached => {
                NodeState::Down
            }
            // What is left there is wiped before anything new comes.
            NodeState::Up if !record.remains.is_empty() => NodeState::Cordoned,
            state => state,
        };
        NodeView { state, used, vms }
    }
}

fn vm_view(vm: &VmRecord, node: NodeId) -> VmView {
    let arriving = vm.arriving.as_ref().filter(|(to, _)| *to == node);
    let devices = match arriving {
        Some((_, devices)) => devices,
        None => &vm.devices,
    };
    VmView {
        id: vm.id,
        tenant: vm.tenant,
        resources: vm.resources,
        spec: Arc::clone(&vm.spec),
        since: vm.since,
        devices: devices.clone(),
    }
}
