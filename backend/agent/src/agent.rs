//! The agent: told what happens, it answers with what is to be done, and nothing else.
//!
//! ```text
//!            Ordered            turn comes              last step ended
//!  (nothing) ───────▶ waiting ───────────▶ under way ─────────────────▶ done
//!                        │                     │ failed, late or called off,
//!                        │ late, called off    ▼ not bound
//!                        └───────────▶ ended ◀── turned back
//! ```
//! An operation is *bound* once a step without a way back was begun, or on the way back: then it
//! goes on, whoever calls it off, and repeats what breaks.

mod telling;
mod turn;

use crate::journal::Entry;
use crate::ledger::{Ledger, Run};
use crate::message::{Guard, Input, Output};
use crate::own;
use crate::planted::{Bug, is_planted};
use crate::refusal::Refusal;
use crate::retry::Retries;
use crate::secret::Keys;
use crate::settings::Settings;
use crate::step::{Planned, SeenState};
use crate::steps::{Circumstances, steps, vms_of};
use model::id::{OperationId, VmId};
use model::order::{Order, Verb};
use model::report::{Outcome, VmState};
use model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// How many operations may be open: a node has tens of VMs, and each has one order under way. More
/// than this waiting means that the controller should ask another node.
pub const MAX_OPEN: usize = 256;

/// After how many entries the journal is rewritten: at 200 bytes each it stays below 4 MiB, and the
/// rewriting, which takes milliseconds, comes once in some hundred orders.
const REWRITE_AFTER: usize = 20_000;

/// One node's agent.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    ledger: Ledger,
    /// States of VMs as last seen.
    seen: BTreeMap<VmId, VmState>,
    /// VMs that the driver has and that have not answered since the agent started.
    silent: BTreeSet<VmId>,
    /// When an act on a VM last ended.
    acted: BTreeMap<VmId, Time>,
    /// Keys of open operations.
    keys: BTreeMap<OperationId, Keys>,
    /// Operations whose step is under way, and whether it was called off.
    at_hand: BTreeMap<OperationId, bool>,
    /// Operations that were told to want keys.
    wanting: BTreeSet<OperationId>,
    retries: Retries,
    guard: Option<Guard>,
    counts: Counts,
    /// Entries since the journal was rewritten.
    written: usize,
}

/// What the agent counts of itself since it started.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: u64,
    failures: u64,
    retries: u64,
}

impl Agent {
    /// An agent that goes on where the journal's writer was killed: begun steps are begun again, or
    /// undone where the operation is over in the meantime. `seen`: the VMs that the driver found;
    /// `silent`: those of them that do not answer, whose orders wait until they do.
    pub fn recover(
        settings: Settings,
        entries: impl IntoIterator<Item = Entry>,
        seen: impl IntoIterator<Item = SeenState>,
        silent: impl IntoIterator<Item = VmId>,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut ledger = Ledger::default();
        let mut written = 0;
        for entry in entries {
            ledger.apply(&entry);
            written += 1;
        }
        let mut agent = Self {
            settings,
            ledger,
            seen: BTreeMap::new(),
            silent: silent.into_iter().collect(),
            acted: BTreeMap::new(),
            keys: BTreeMap::new(),
            at_hand: BTreeMap::new(),
            wanting: BTreeSet::new(),
            retries: Retries::default(),
            guard: None,
            counts: Counts::default(),
            written,
        };
        for state in seen {
            agent.see(now, state, None, out);
        }
        agent.advance(now, out);
        agent
    }

    /// Takes one message in and appends what is to be done, in order.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Ordered { order, keys } => self.take(now, *order, keys, out),
            Input::CalledOff { operation } => self.call_off(operation, out),
            Input::Renewed { span } => {
                let until = now + span;
                // A renewal that was overtaken by a later one shortens nothing.
                if self.leased_until().is_none_or(|held| held < until) {
                    let lease = self.settings.boot.lease(until);
                    self.write(Entry::Leased { lease }, out);
                }
            }
            Input::Progressed {
                operation,
                done_milli,
            } => self.tell_progress(now, operation, done_milli, None, out),
            Input::Called { operation, call } => {
                let entry = Entry::Called { operation, call };
                self.ledger.apply(&entry);
                self.written += 1;
                out.push(Output::Note(entry));
            }
            Input::Ended { operation, result } => self.end_step(now, operation, result, out),
            Input::Seen { asked, states } => {
                for state in states {
                    if !self.knows_better(asked, state.vm) {
                        self.see(now, state, None, out);
                    }
                }
            }
            Input::Sampled { mut samples } => {
                samples.extend(self.counted(now));
                self.report(now, None, None, Outcome::Sampled { samples }, out);
            }
            Input::Fingerprinted { fingerprint } => self.tell_fingerprint(now, fingerprint, out),
            Input::Ticked => self.stop_lapsed(now, out),
        }
        self.advance(now, out);
        if self.written > REWRITE_AFTER {
            let entries = self.ledger.entries();
            // What must be kept may itself be long: the next rewriting waits for as much again.
            self.written = 0;
            out.push(Output::Rewrite(entries));
        }
    }

    /// The steps that an order would take now.
    ///
    /// # Errors
    /// Where it could not begin.
    pub fn preview(&self, now: Time, order: &Order) -> Result<Vec<Planned>, Refusal> {
        steps(order, self.circumstances(now))
    }

    /// What the agent must not forget.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The states of VMs as last seen.
    pub fn seen(&self) -> &BTreeMap<VmId, VmState> {
        &self.seen
    }

    fn take(&mut self, now: Time, order: Order, keys: Keys, out: &mut Vec<Output>) {
        self.counts.messages += 1;
        let operation = order.operation;
        let vm = Some(order.vm);
        if self.ledger.past.contains_key(&operation) {
            self.counts.retries += 1;
            return self.tell_end(now, vm, operation, out);
        }
        if let Some(open) = self.ledger.open.get(&operation) {
            let listening = open.run.as_ref().and_then(Run::listens);
            self.counts.retries += 1;
            self.keys.entry(operation).or_default().extend(keys);
            self.wanting.remove(&operation);
            self.report(now, vm, Some(operation), Outcome::Accepted, out);
            // Whoever asks again may not have heard it.
            if let Some(address) = listening {
                let outcome = Outcome::Listening { address };
                self.report(now, vm, Some(operation), outcome, out);
            }
            return;
        }
        if let Err(refusal) = self.check(now, &order) {
            self.counts.failures += 1;
            let outcome = Outcome::Refused {
                reason: refusal.to_string(),
                newest: self.ledger.newest,
                is_for_now: matches!(refusal, Refusal::QueueFull(_)),
            };
            return self.report(now, vm, Some(operation), outcome, out);
        }
        let accepted = Entry::Accepted {
            order: Box::new(order),
            keys: keys.ids().collect(),
        };
        self.keys.insert(operation, keys);
        self.write(accepted, out);
        self.report(now, vm, Some(operation), Outcome::Accepted, out);
    }

    /// What can be said of an order before its turn.
    fn check(&self, now: Time, order: &Order) -> Result<(), Refusal> {
        if own::is_own(order.operation) {
            return Err(Refusal::ReservedId);
        }
        if order.node != self.settings.node {
            return Err(Refusal::WrongNode(order.node));
        }
        let is_welcome = match order.verb {
            Verb::Delete => is_planted(Bug::OldDeletes),
            Verb::Create { .. } => is_planted(Bug::OldCreates),
            _ => false,
        };
        if order.generation < self.ledger.newest && !is_welcome {
            return Err(Refusal::Outdated);
        }
        if order.deadline <= now {
            return Err(Refusal::Expired);
        }
        if self.ledger.open.len() >= MAX_OPEN {
            return Err(Refusal::QueueFull(MAX_OPEN));
        }
        Ok(())
    }

    fn call_off(&mut self, operation: OperationId, out: &mut Vec<Output>) {
        let open = self.ledger.open.get(&operation);
        let heeded = open.is_some_and(|open| {
            let bound = open.run.as_ref().is_some_and(|run| run.is_bound());
            !open.called_off && !bound
        });
        if heeded {
            self.write(Entry::CalledOff { operation }, out);
        }
    }

    /// Stops the highly available VMs that run without a lease.
    fn stop_lapsed(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.is_leased(now) {
            return;
        }
        let vms = self.ledger.vms.values().map(|record| &record.blueprint);
        let vms: Vec<VmId> = vms
            .filter(|blueprint| blueprint.highly_available)
            .map(|blueprint| blueprint.vm)
            .filter(|vm| {
                self.seen
                    .get(vm)
                    .is_some_and(|state| can_be_stopped(*state))
            })
            .collect();
        for vm in vms {
            let open = self.ledger.open.iter();
            let touching: Vec<OperationId> = open
                .filter(|(_, open)| vms_of(&open.order).contains(&vm))
                .filter(|(_, open)| open.run.is_some())
                .map(|(operation, _)| *operation)
                .collect();
            let mut open = self.ledger.open.iter();
            if open.any(|(operation, open)| own::is_own(*operation) && open.order.vm == vm) {
                continue;
            }
            for operation in touching {
                self.call_off(operation, out);
            }
            let order = Box::new(own::stop(&self.ledger, self.settings.node, vm));
            let keys = Vec::new();
            self.write(Entry::Accepted { order, keys }, out);
        }
    }

    /// When the lease lapses or has lapsed; `None`: there was none since the node's boot.
    pub fn leased_until(&self) -> Option<Time> {
        self.settings.boot.until(self.ledger.lease.as_ref()?)
    }

    fn is_leased(&self, now: Time) -> bool {
        self.leased_until().is_some_and(|until| now < until)
    }

    fn circumstances(&self, now: Time) -> Circumstances<'_> {
        Circumstances {
            naming: &self.settings.naming,
            host: self.settings.host.as_deref(),
            vms: &self.ledger.vms,
            lent: &self.ledger.lent,
            seen: &self.seen,
            silent: &self.silent,
            free_mib: self
                .settings
                .disk_mib
                .saturating_sub(self.ledger.promised_mib()),
            leased: self.is_leased(now),
        }
    }

    fn write(&mut self, entry: Entry, out: &mut Vec<Output>) {
        self.ledger.apply(&entry);
        self.written += 1;
        out.push(Output::Write(entry));
    }
}

/// Whether a VM in this state can be stopped. One that starts is about to run, one that stops is
/// about to have stopped, and one that moves here does not run yet.
fn can_be_stopped(state: VmState) -> bool {
    matches!(state, VmState::Running | VmState::Paused)
}
