//! What must hold of a world at rest.

use crate::world::World;
use control::ledger::Ledger;
use control::record::Wish;
use model::id::{NetworkId, NodeId, VmId};
use model::report::VmState;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl World {
    /// Looks at a world in which nothing was asked and nothing befell for long: all is as wished, and
    /// nothing is left over.
    pub fn check_at_rest(&mut self) {
        self.check_nodes();
        let mut wrong = Vec::new();
        let Some(controller) = self.controller() else {
            return self.violated("there is no controller".to_owned());
        };
        let ledger = controller.ledger();
        for (operation, open) in &ledger.open {
            wrong.push(format!("{operation} is open: {open:?}"));
        }
        for (operation, (deadline, is_ended)) in &self.checks.operations {
            if !is_ended {
                wrong.push(format!("{operation} never ended, due {deadline}"));
            }
        }
        for (vm, operations) in &ledger.locks {
            wrong.push(format!("{vm} is locked by {operations:?}"));
        }
        wrong.extend(shared_addresses(ledger));
        for (node, record) in ledger.nodes.iter().enumerate() {
            for vm in record.remains.keys() {
                wrong.push(format!("node {node} still has remains of {vm}"));
            }
            let lent = self.lent_of(NodeId(node as u32));
            if !lent.iter().eq(record.lends.keys()) {
                wrong.push(format!(
                    "node {node} lends to {lent:?}, expected {:?}",
                    record.lends
                ));
            }
            let here: BTreeSet<VmId> = self.vms_of(NodeId(node as u32));
            if here != record.vms {
                wrong.push(format!(
                    "node {node} has {here:?}, expected {:?}",
                    record.vms
                ));
            }
        }
        for record in ledger.vms.values() {
            if !ledger.deployments.contains_key(&record.deployment) {
                wrong.push(format!("{} is of a design that was withdrawn", record.id));
            }
            let state = self.state_of(record.node, record.id);
            let is_right = match record.wish {
                Wish::Gone => false,
                Wish::Running => matches!(state, Some(VmState::Running | VmState::Paused)),
                Wish::Stopped => state == Some(VmState::Stopped),
            };
            if !is_right {
                let (vm, wish) = (record.id, record.wish);
                wrong.push(format!("{vm} is {state:?} and was to be {wish:?}"));
            }
        }
        wrong.into_iter().for_each(|wrong| self.violated(wrong));
    }
}

/// Addresses that two VMs of a network have.
fn shared_addresses(ledger: &Ledger) -> Vec<String> {
    let mut owners: BTreeMap<(NetworkId, IpAddr), VmId> = BTreeMap::new();
    let mut shared = Vec::new();
    for record in ledger.vms.values() {
        for interface in &record.blueprint.interfaces {
            for (address, _) in &interface.addresses {
                let owner = owners.insert((interface.network, *address), record.id);
                if let Some(owner) = owner {
                    let vm = record.id;
                    shared.push(format!("{vm} has the address {address} of {owner}"));
                }
            }
        }
    }
    shared
}
