//! What an agent sees of its VMs and tells of them, of its node and of itself.

use super::Agent;
use crate::journal::Entry;
use crate::message::{Guard, Output};
use crate::own;
use crate::step::SeenState;
use crate::steps::vms_of;
use model::fingerprint::Fingerprint;
use model::id::{OperationId, VmId};
use model::order::Verb;
use model::report::{Outcome, Report};
use model::sample::{Metric, Sample, Source, Subject};
use model::time::Time;
use std::collections::BTreeSet;

impl Agent {
    /// Whether an act has told more of a VM than somebody who asked at this time.
    pub(super) fn knows_better(&self, asked: Time, vm: VmId) -> bool {
        let open = self
            .at_hand
            .keys()
            .filter_map(|id| self.ledger.open.get(id));
        let mut busy = open.flat_map(|open| vms_of(&open.order));
        busy.any(|other| other == vm) || self.acted.get(&vm).is_some_and(|acted| asked <= *acted)
    }

    pub(super) fn see(
        &mut self,
        now: Time,
        seen: SeenState,
        operation: Option<OperationId>,
        out: &mut Vec<Output>,
    ) {
        self.silent.remove(&seen.vm);
        let before = match seen.state {
            Some(state) => self.seen.insert(seen.vm, state),
            None => self.seen.remove(&seen.vm),
        };
        let record = self.ledger.vms.get(&seen.vm);
        if let Some((record, state)) = record.zip(seen.state)
            && record.tally.differs(state)
        {
            let vm = seen.vm;
            self.write(Entry::Saw { vm, state }, out);
        }
        if before != seen.state {
            let outcome = Outcome::Seen { state: seen.state };
            self.report(now, Some(seen.vm), operation, outcome, out);
        }
    }

    pub(super) fn tell_progress(
        &self,
        now: Time,
        operation: OperationId,
        done_milli: u16,
        trouble: Option<&str>,
        out: &mut Vec<Output>,
    ) {
        let Some(open) = self.ledger.open.get(&operation) else {
            return;
        };
        let Some(next) = open.run.as_ref().and_then(|run| run.step()) else {
            return;
        };
        let step = match trouble {
            Some(trouble) => format!("{} again, as it broke: {trouble}", next.step),
            None => next.step.to_string(),
        };
        let outcome = Outcome::Progressed { step, done_milli };
        self.report(now, Some(open.order.vm), Some(operation), outcome, out);
    }

    pub(super) fn tell_fingerprint(
        &self,
        now: Time,
        mut fingerprint: Box<Fingerprint>,
        out: &mut Vec<Output>,
    ) {
        fingerprint.reserved = self.settings.reserved;
        fingerprint.signer = self.settings.signer.clone();
        let outcome = Outcome::Fingerprinted { fingerprint };
        self.report(now, None, None, outcome, out);
    }

    /// Tells the watchdog where something changed.
    pub(super) fn tell_guard(&mut self, now: Time, out: &mut Vec<Output>) {
        let vms = self.ledger.vms.values().map(|record| &record.blueprint);
        let mut vms: BTreeSet<VmId> = vms
            .filter(|blueprint| blueprint.highly_available)
            .map(|blueprint| blueprint.vm)
            .collect();
        // A VM that moves here may run before its order has ended.
        vms.extend(self.ledger.open.values().filter_map(|open| {
            let arrives = matches!(&open.order.verb, Verb::Receive { blueprint, .. } if blueprint.highly_available);
            arrives.then_some(open.order.vm)
        }));
        let guard = Guard {
            until: self.leased_until().filter(|until| now < *until),
            vms: vms.into_iter().collect(),
        };
        if self.guard.as_ref() != Some(&guard) {
            self.guard = Some(guard.clone());
            out.push(Output::Guard(guard));
        }
    }

    pub(super) fn counted(&self, now: Time) -> Vec<Sample> {
        let own = [
            (None, Metric::Messages, self.counts.messages),
            (None, Metric::MessageFailures, self.counts.failures),
            (None, Metric::MessageRetries, self.counts.retries),
        ];
        let vms = self.ledger.vms.iter().flat_map(|(&vm, record)| {
            [
                (Some(vm), Metric::Stops, record.tally.stops),
                (Some(vm), Metric::Reboots, record.tally.reboots),
            ]
        });
        let samples = own
            .into_iter()
            .chain(vms)
            .map(|(vm, metric, count)| Sample {
                at: now,
                node: self.settings.node,
                vm,
                subject: Subject::Whole,
                source: Source::Agent,
                metric,
                value: count as f64,
            });
        samples.collect()
    }

    pub(super) fn report(
        &self,
        at: Time,
        vm: Option<VmId>,
        operation: Option<OperationId>,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        // Of its own operations nobody has heard: what they do to a VM is noticed by itself.
        let own = operation.is_some_and(own::is_own) && !matches!(outcome, Outcome::Refused { .. });
        if own && !matches!(outcome, Outcome::Seen { .. }) {
            return;
        }
        out.push(Output::Report(Report {
            node: self.settings.node,
            at,
            vm,
            operation: operation.filter(|_| !own),
            outcome,
        }));
    }
}
