//! VMs are sent what their components' recipes say, whenever they do not have it: when they have come, when
//! others that they speak of have come or gone, and when they were made anew.

use super::Controller;
use super::accept::Accepted;
use crate::message::Output;
use crate::operation::TaskAct;
use crate::outfitting::{digests, lacking, of_deployment};
use crate::record::{VmRecord, Wish};
use model::hypervisor::Capability;
use model::id::VmId;
use model::report::VmState;
use model::time::{Span, Time};
use recipe::outfit::Outfit;

/// How long a deployment some of whose VMs cannot be sent anything just now is left alone.
const PAUSE: Span = Span(5_000);

impl Controller {
    /// Deployments of which something changed are to be looked at.
    pub(super) fn unsettle(&mut self, now: Time) {
        for place in std::mem::take(&mut self.ledger.stirred) {
            self.unsettled.insert(place, now);
        }
    }

    pub(super) fn outfit(&mut self, now: Time, out: &mut Vec<Output>) {
        let due = self.unsettled.iter().filter(|(_, at)| **at <= now);
        let due: Vec<u32> = due.map(|(place, _)| *place).collect();
        for place in due {
            match self.outfit_deployment(now, place, out) {
                true => self.unsettled.remove(&place),
                false => self.unsettled.insert(place, now + PAUSE),
            };
        }
    }

    /// Whether nothing is left to be sent until something changes.
    fn outfit_deployment(&mut self, now: Time, place: u32, out: &mut Vec<Output>) -> bool {
        let Some(deployment) = self.ledger.deployments.get(&place) else {
            return true;
        };
        let catalogue = &self.settings.catalogue;
        // What a recipe cannot fill was refused before anything was made.
        let Ok(outfits) = of_deployment(&self.ledger, place, deployment, catalogue) else {
            return true;
        };
        let mut is_settled = true;
        let mut begun: Vec<(VmId, Accepted)> = Vec::new();
        for (vm, outfit) in &outfits {
            let record = &self.ledger.vms[vm];
            if !self.is_to_have(record, outfit) {
                continue;
            }
            is_settled = false;
            if self.takes(record) && self.may_mend(now, *vm) {
                begun.push((*vm, equip(record, outfit)));
            }
        }
        for (vm, accepted) in begun {
            self.begin_own(now, vm, accepted, out);
        }
        is_settled
    }

    /// Whether a VM lacks something that it could be sent.
    fn is_to_have(&self, record: &VmRecord, outfit: &Outfit) -> bool {
        let hypervisor = self.view.grid.hypervisor_of(record.node);
        record.wish == Wish::Running
            && hypervisor.capabilities.contains(&Capability::Configure)
            && digests(outfit) != record.configured
    }

    /// Whether it can be sent something now.
    fn takes(&self, record: &VmRecord) -> bool {
        let seen = self.seen.get(&record.id);
        let here = seen.filter(|seen| seen.node == record.node);
        let runs = here.is_some_and(|seen| seen.state == Some(VmState::Running));
        runs && self.links[record.node.index()].is_reached
    }
}

/// The order that sends a VM what it lacks.
fn equip(record: &VmRecord, outfit: &Outfit) -> Accepted {
    let mut accepted = Accepted {
        what: format!("configure {}", record.name),
        ..Accepted::default()
    };
    let act = TaskAct::Configure {
        configuration: Box::new(lacking(outfit, &record.configured)),
        parts: digests(outfit),
    };
    accepted.task(record.id, record.node, act, &[]);
    accepted
}
