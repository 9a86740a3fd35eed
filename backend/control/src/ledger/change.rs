//! What is recorded of the grid changes with an operation that begins.

use super::Ledger;
use crate::journal::Change;
use crate::record::Wish;
use model::id::{NodeId, VmId};
use model::time::Time;

impl Ledger {
    pub(super) fn change(&mut self, change: &Change, at: Time) {
        match change {
            Change::Vm { record } => {
                self.next_vm = self.next_vm.max(record.id.0 + 1);
                if let Some(deployment) = self.deployments.get_mut(&record.deployment) {
                    deployment.vms.insert(record.id);
                }
                for lent in &record.lent {
                    let lender = &mut self.nodes[lent.node.index()];
                    lender.lends.insert(record.id, lent.size_gib);
                    self.touched.insert(lent.node);
                }
                self.sit(record.node, record.id);
                self.vms.insert(record.id, (**record).clone());
                self.stir(record.id);
            }
            Change::Arriving {
                vm,
                to,
                devices,
                why,
            } => {
                if let Some(record) = self.vms.get_mut(vm) {
                    record.why_there.clone_from(why);
                    record.arriving = Some((*to, devices.clone()));
                    self.sit(*to, *vm);
                }
            }
            Change::Relocated {
                vm,
                to,
                devices,
                why,
            } => {
                self.relocate(*vm, *to, devices, at);
                if let Some(record) = self.vms.get_mut(vm) {
                    record.why.clone_from(why);
                }
            }
            Change::Promised { vm, resources } => self.resize(*vm, *resources),
            Change::Leaving { vm } => {
                if let Some(record) = self.vms.get_mut(vm) {
                    record.wish = Wish::Gone;
                }
                self.stir(*vm);
            }
            Change::Node { node, state } => {
                self.nodes[node.index()].state = *state;
                self.touched.insert(*node);
            }
            Change::Deployed { deployment, place } => {
                self.next_deployment = self.next_deployment.max(place + 1);
                let tenant = deployment.tenant.index();
                if tenant == self.tenants.len() {
                    let name = &deployment.design.tenant;
                    self.tenants.push(name.clone());
                    self.names.comes(name, deployment.tenant);
                }
                let deployment = (**deployment).clone();
                self.names.stands(*place, &deployment);
                if let Some(before) = self.deployments.insert(*place, deployment)
                    && let Some(now) = self.deployments.get(place)
                    && (&before.design.tenant, &before.design.name)
                        != (&now.design.tenant, &now.design.name)
                {
                    self.names.goes(*place, &before);
                }
                self.stirred.insert(*place);
            }
            Change::Withdrawn { deployment } => {
                if let Some(gone) = self.deployments.remove(deployment) {
                    self.names.goes(*deployment, &gone);
                }
            }
            Change::Generation { generation } => self.generation = *generation,
        }
    }

    /// Of a VM's deployment something changed.
    pub(super) fn stir(&mut self, vm: VmId) {
        self.stirred
            .extend(self.vms.get(&vm).map(|record| record.deployment));
    }

    /// Something of a VM is, or may be, on a node.
    pub(super) fn sit(&mut self, node: NodeId, vm: VmId) {
        self.nodes[node.index()].vms.insert(vm);
        self.touched.insert(node);
    }

    /// Nothing of a VM is on a node any more.
    pub(super) fn rise(&mut self, node: NodeId, vm: VmId) {
        self.nodes[node.index()].vms.remove(&vm);
        self.touched.insert(node);
    }

    pub(super) fn relocate(&mut self, vm: VmId, to: NodeId, devices: &[(u8, u16)], at: Time) {
        let Some(record) = self.vms.get_mut(&vm) else {
            return;
        };
        let (from, resources) = (record.node, record.resources);
        record.node = to;
        record.devices = devices.to_vec();
        record.is_made = false;
        record.configured.clear();
        record.since = at;
        self.rise(from, vm);
        self.sit(to, vm);
        // A node that has refused to make it has nothing of it.
        self.nodes[from.index()]
            .remains
            .entry(vm)
            .or_insert(resources);
    }
}
