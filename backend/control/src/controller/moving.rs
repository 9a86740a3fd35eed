//! VMs go to other nodes of their hypervisor.

use super::Controller;
use super::accept::{Accepted, asked_shutdown, illegal};
use super::deploy::unplaced;
use crate::backend::Refused;
use crate::journal::Change;
use crate::operation::TaskAct;
use crate::planted::{Bug, is_planted};
use crate::record::{VmRecord, Wish};
use model::assignment::{AssignedVm, Assignment};
use model::hypervisor::{Capability, HypervisorType};
use model::id::{ComponentId, KeyId, NodeId, OperationId, VmId};
use model::order::{Passage, Storage, Verb};
use model::report::VmState;
use placement::plan::{Reasoned, Within};
use placement::reason::Reason;
use std::sync::Arc;

/// How many VMs leave a node at once when it is emptied: one is sent while another is made ready.
const AT_ONCE: usize = 2;

/// Where a VM goes that is elsewhere now.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub node: NodeId,
    pub devices: Vec<(u8, u16)>,
    /// `None`: whoever asked named the node.
    pub why: Option<Arc<Reason>>,
}

impl Controller {
    pub(super) fn move_one(&self, vm: VmId, to: Option<NodeId>) -> Result<Accepted, Refused> {
        let record = self.ledger.vms.get(&vm).ok_or(Refused::UnknownVm { vm })?;
        self.check_movable(record)?;
        let grid = &self.view.grid;
        if let Some(node) = to {
            let Some(known) = grid.nodes.get(node.index()) else {
                return Err(Refused::UnknownNode { node });
            };
            if node == record.node {
                return Err(illegal(format!(
                    "{} is on node {}",
                    record.name, known.name
                )));
            }
        }
        let placements = self.elsewhere(&[record], record.node, to)?;
        let mut accepted = Accepted {
            what: format!("move {}", record.name),
            ..Accepted::default()
        };
        self.go(record, &placements[0], &mut accepted, &[]);
        Ok(accepted)
    }

    /// Sends all VMs of a node to others: the proof that all fit is that each has its place.
    pub(super) fn empty(&self, node: NodeId, accepted: &mut Accepted) -> Result<(), Refused> {
        let here = self.ledger.nodes[node.index()].vms.iter();
        let here: Vec<&VmRecord> = here.filter_map(|vm| self.ledger.vms.get(vm)).collect();
        for record in &here {
            self.check_movable(record)?;
        }
        let mut placements = Vec::new();
        let at_once = match is_planted(Bug::DrainInPairs) {
            true => AT_ONCE,
            false => here.len().max(1),
        };
        for together in here.chunks(at_once) {
            placements.extend(self.elsewhere(together, node, None)?);
        }
        let mut received = Vec::new();
        for (record, placement) in here.iter().zip(&placements) {
            let before: Vec<u32> = match received.len().checked_sub(AT_ONCE) {
                Some(place) => vec![received[place]],
                None => Vec::new(),
            };
            received.push(self.go(record, placement, accepted, &before));
        }
        Ok(())
    }

    fn check_movable(&self, record: &VmRecord) -> Result<(), Refused> {
        let busy = self.ledger.locks.contains_key(&record.id);
        if busy || record.wish == Wish::Gone || !record.is_made {
            return Err(illegal(format!(
                "{} is changed by another operation, which has to end first",
                record.name
            )));
        }
        if !record.lent.is_empty() {
            let why = format!(
                "{} has a disk of other nodes, and stays where it is",
                record.name
            );
            return Err(illegal(why));
        }
        Ok(())
    }

    /// Other nodes of the same hypervisor for VMs of one node, in their order.
    fn elsewhere(
        &self,
        records: &[&VmRecord],
        from: NodeId,
        to: Option<NodeId>,
    ) -> Result<Vec<Chosen>, Refused> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let grid = &self.view.grid;
        let within = Within {
            hypervisor: grid.class_of(from).hypervisor,
            except: vec![from],
            only: to,
        };
        let mut chosen = self.place_within(&assignment(records), &within)?;
        if to.is_some() {
            chosen.iter_mut().for_each(|chosen| chosen.why = None);
        }
        Ok(chosen)
    }

    fn place_within(
        &self,
        assignment: &Assignment,
        within: &Within,
    ) -> Result<Vec<Chosen>, Refused> {
        let mut planner = self.planner.borrow_mut();
        let planned = planner.plan_within(assignment, &self.view, within);
        let Reasoned { plan, reasons } = planned.map_err(unplaced)?;
        let chosen = plan.placements.into_iter().zip(reasons);
        let chosen = chosen.map(|(placement, why)| Chosen {
            node: placement.node,
            devices: placement.devices,
            why: Some(Arc::new(why)),
        });
        Ok(chosen.collect())
    }

    /// Adds the two orders of a move; returns the place of the one that receives.
    fn go(
        &self,
        record: &VmRecord,
        chosen: &Chosen,
        accepted: &mut Accepted,
        before: &[u32],
    ) -> u32 {
        let Chosen {
            node: to,
            devices,
            why,
        } = chosen.clone();
        let vm = record.id;
        accepted.changes.push(Change::Arriving {
            vm,
            to,
            devices,
            why,
        });
        let receive = accepted.task(vm, to, TaskAct::Receive, before);
        let send = TaskAct::Send { to: receive };
        accepted.task(vm, record.node, send, &[receive]);
        receive
    }

    /// A node on which a VM is made anew: any that suits it but the one that it was on.
    pub(super) fn refuge(&self, record: &VmRecord) -> Result<Chosen, Refused> {
        // To delete a VM on a node that lends to it would take back what is lent.
        let lenders = record.lent.iter().map(|lent| lent.node);
        let within = Within {
            hypervisor: self.view.grid.class_of(record.node).hypervisor,
            except: lenders.chain([record.node]).collect(),
            only: None,
        };
        let chosen = self.place_within(&assignment(&[record]), &within)?;
        Ok(chosen[0].clone())
    }

    /// The order to receive a VM, or to send it. `operation` is that of the order that receives, so
    /// that both have the same key.
    pub(super) fn receive_verb(&self, record: &VmRecord, order: OperationId) -> Verb {
        Verb::Receive {
            blueprint: Box::new((*record.blueprint).clone()),
            storage: Storage::Local,
            key: move_key(order),
            passage: self.passage(record),
        }
    }

    pub(super) fn send_verb(
        &self,
        receive: (&Verb, OperationId),
        to: NodeId,
        address: String,
    ) -> Verb {
        let (verb, order) = receive;
        let passage = match verb {
            Verb::Receive { passage, .. } => *passage,
            _ => Passage::default(),
        };
        Verb::Migrate {
            to,
            address,
            storage: Storage::Local,
            key: move_key(order),
            passage,
        }
    }

    /// Running where that can be, shut down otherwise.
    fn passage(&self, record: &VmRecord) -> Passage {
        let hypervisor = self.view.grid.hypervisor_of(record.node);
        let state = self.seen.get(&record.id).and_then(|seen| seen.state);
        let runs = matches!(state, Some(VmState::Running | VmState::Paused))
            || state.is_none() && record.wish == Wish::Running;
        let live = hypervisor.capabilities.contains(&Capability::LiveMigration)
            && hypervisor.hypervisor_type != HypervisorType::Container;
        match (runs, live) {
            (true, true) => Passage::Live,
            (true, false) => Passage::Cold {
                shutdown: Some(asked_shutdown(self.settings.shutdown_millis)),
            },
            (false, _) => Passage::Cold { shutdown: None },
        }
    }
}

/// The key of a move: its bytes are drawn by whoever sends the orders, once for both.
fn move_key(receive: OperationId) -> KeyId {
    KeyId(receive.0)
}

/// VMs that are there as an assignment, each by its own.
fn assignment(records: &[&VmRecord]) -> Assignment {
    let vms = records.iter().map(|record| AssignedVm {
        name: record.name.clone(),
        component: ComponentId(0),
        instance: 0,
        part: None,
        spec: (*record.spec).clone(),
        remote_disk_gib: 0,
        groups: Vec::new(),
    });
    Assignment {
        vms: vms.collect(),
        ..Assignment::default()
    }
}
