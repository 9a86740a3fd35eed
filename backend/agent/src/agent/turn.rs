//! How an open operation goes on: the one place that decides what it does next.

use super::Agent;
use crate::driver::Act;
use crate::journal::Entry;
use crate::ledger::Open;
use crate::message::{Output, Task};
use crate::planted::{Bug, is_planted};
use crate::refusal::Refusal;
use crate::step::{Failure, FailureKind, Gained, Planned, Step, Undo};
use crate::steps::{steps, vms_of};
use crate::watch::CalledOff;
use model::id::{KeyId, OperationId, VmId};
use model::order::{Order, Shutdown, Verb};
use model::report::Outcome;
use model::time::Time;

/// What an open operation does next.
enum Move {
    /// Find its steps.
    Plan,
    /// Begin its next step.
    Begin,
    /// Ask for keys.
    Want(Vec<KeyId>),
    /// Undo what was begun.
    TurnBack(Outcome),
    /// End.
    Finish(Outcome),
    /// Leave its next step out: it must not be done any more.
    Skip,
    /// Nothing for now.
    Wait,
}

impl Agent {
    /// Every operation whose turn it is goes as far as it can.
    pub(super) fn advance(&mut self, now: Time, out: &mut Vec<Output>) {
        // One that ends may give another its turn; each round ends at least one operation.
        loop {
            let open = self.ledger.open.len();
            for operation in self.ledger.turns() {
                self.go_on(now, operation, out);
            }
            if self.ledger.open.len() == open {
                break;
            }
        }
        self.tell_guard(now, out);
    }

    fn go_on(&mut self, now: Time, operation: OperationId, out: &mut Vec<Output>) {
        // A few turns at most: plan, turn back, leave steps out, and begin or finish.
        loop {
            if self.at_hand.contains_key(&operation) {
                return self.call_off_late(now, operation, out);
            }
            let Some(open) = self.ledger.open.get(&operation) else {
                return;
            };
            match self.next_move(now, operation, open) {
                Move::Plan => match steps(&open.order, self.circumstances(now)) {
                    Ok(steps) => self.write(Entry::Planned { operation, steps }, out),
                    Err(refusal) => {
                        let reason = refusal.to_string();
                        return self.finish(now, operation, Outcome::Failed { reason }, out);
                    }
                },
                Move::TurnBack(outcome) => self.turn_back(operation, outcome, out),
                Move::Finish(outcome) => return self.finish(now, operation, outcome, out),
                Move::Begin => return self.begin(now, operation, out),
                Move::Want(keys) => {
                    if self.wanting.insert(operation) {
                        let vm = Some(open.order.vm);
                        let outcome = Outcome::KeysWanted { keys };
                        self.report(now, vm, Some(operation), outcome, out);
                    }
                    return;
                }
                Move::Skip => {
                    let step = open.run.as_ref().map_or(0, |run| run.next as u32);
                    let gained = Gained::default();
                    let entry = Entry::Ended {
                        operation,
                        step,
                        gained,
                    };
                    self.write(entry, out);
                }
                Move::Wait => return,
            }
        }
    }

    fn next_move(&self, now: Time, operation: OperationId, open: &Open) -> Move {
        let early = early_end(now, open);
        let Some(run) = &open.run else {
            return match early {
                Some(outcome) => Move::Finish(outcome),
                None if self.waits_for_answer(&open.order) => Move::Wait,
                None => Move::Plan,
            };
        };
        let Some(next) = run.step() else {
            return Move::Finish(run.back.clone().unwrap_or(Outcome::Done));
        };
        let asked_again = run.begun && next.undo == Undo::AskAgain;
        if !run.is_bound()
            && !asked_again
            && let Some(outcome) = early
        {
            return Move::TurnBack(outcome);
        }
        if let Some(vm) = self.runs_unleased(now, open, &next.step) {
            let reason = Refusal::NoLease(vm).to_string();
            return match run.is_bound() {
                true => Move::Skip,
                false => Move::TurnBack(Outcome::Failed { reason }),
            };
        }
        if !self.retries.is_due(operation, now) {
            return Move::Wait;
        }
        let missing = self.missing(operation, next);
        // What must come to its end gets nowhere without its keys, however late it is.
        if missing.is_empty() || early.is_some() && !run.is_bound() {
            Move::Begin
        } else {
            Move::Want(missing)
        }
    }

    /// The highly available VM that a step would make run without a lease. An order looks for one when
    /// its turn comes; it may have lapsed since, and be gone with the node's boot.
    fn runs_unleased(&self, now: Time, open: &Open, step: &Step) -> Option<VmId> {
        let Step::Act {
            vm,
            act: Act::Start | Act::Resume | Act::Reboot,
        } = step
        else {
            return None;
        };
        let recorded = self.ledger.vms.get(vm).map(|record| &record.blueprint);
        let arriving = match &open.order.verb {
            Verb::Receive { blueprint, .. } => Some(&**blueprint),
            _ => None,
        };
        let blueprint = recorded.or(arriving)?;
        (blueprint.highly_available && !self.is_leased(now)).then_some(*vm)
    }

    /// Whether an order must know more of a VM than that it is there.
    fn waits_for_answer(&self, order: &Order) -> bool {
        let shutdown = Shutdown::Forced;
        let by_force = order.verb == Verb::Delete || order.verb == Verb::Stop { shutdown };
        !by_force && vms_of(order).iter().any(|vm| self.silent.contains(vm))
    }

    fn missing(&self, operation: OperationId, next: &Planned) -> Vec<KeyId> {
        let here = self.keys.get(&operation);
        let lacks = |key: &&KeyId| here.is_none_or(|keys| keys.bytes(**key).is_none());
        next.keys.iter().filter(lacks).copied().collect()
    }

    fn begin(&mut self, now: Time, operation: OperationId, out: &mut Vec<Output>) {
        let Some(open) = self.ledger.open.get(&operation) else {
            return;
        };
        let Some((run, next)) = open.run.as_ref().and_then(|run| Some((run, run.step()?))) else {
            return;
        };
        let vm = open.order.vm;
        let task = Task {
            operation,
            step: next.step.clone(),
            keys: self.keys.get(&operation).cloned().unwrap_or_default(),
            generation: open.order.generation,
            deadline: Some(open.order.deadline)
                .filter(|_| !run.is_bound() && next.undo != Undo::Forward),
        };
        let entry = Entry::Begun {
            operation,
            step: run.next as u32,
        };
        let listening = run.listening.clone();
        let called_off = open.called_off;
        if !run.begun {
            self.write(entry, out);
        }
        self.at_hand.insert(operation, false);
        // Not before it is on disk that somebody may come: from there on this is asked again.
        if let (Step::Await { .. } | Step::Arrive { .. }, Some(address)) = (&task.step, listening) {
            let outcome = Outcome::Listening { address };
            self.report(now, Some(vm), Some(operation), outcome, out);
        }
        self.tell_progress(now, operation, 0, None, out);
        let calls_off = called_off && task.deadline.is_some();
        out.push(Output::Begin(Box::new(task)));
        if calls_off {
            self.at_hand.insert(operation, true);
            let why = CalledOff::Cancelled;
            out.push(Output::CallOff { operation, why });
        }
    }

    /// Calls off the step under way of an operation that is to end early.
    fn call_off_late(&mut self, now: Time, operation: OperationId, out: &mut Vec<Output>) {
        let Some(open) = self.ledger.open.get(&operation) else {
            return;
        };
        let bound = open.run.as_ref().is_some_and(|run| run.is_bound());
        let why = match early_end(now, open) {
            Some(Outcome::Cancelled) => CalledOff::Cancelled,
            Some(_) => CalledOff::Expired,
            None => return,
        };
        if !bound && self.at_hand.insert(operation, true) == Some(false) {
            out.push(Output::CallOff { operation, why });
        }
    }

    pub(super) fn end_step(
        &mut self,
        now: Time,
        operation: OperationId,
        result: Result<Gained, Failure>,
        out: &mut Vec<Output>,
    ) {
        let known = self.at_hand.remove(&operation).is_some();
        let Some(open) = self.ledger.open.get(&operation).filter(|_| known) else {
            return;
        };
        let Some((run, next)) = open.run.as_ref().and_then(|run| Some((run, run.step()?))) else {
            return;
        };
        for vm in vms_of(&open.order) {
            self.acted.insert(vm, now);
        }
        let (vm, bound, early) = (open.order.vm, run.is_bound(), early_end(now, open));
        let (number, step) = (run.next as u32, next.step.to_string());
        let gained = match result {
            Ok(gained) => gained,
            // The VM is by itself where the step would have brought it, or beyond.
            Err(failure) if bound && failure.kind == FailureKind::Refused => Gained::default(),
            Err(_) if bound && self.gives_up(operation, &next.step) => Gained::default(),
            Err(failure) if bound || failure.kind == FailureKind::Unfinished => {
                self.counts.failures += 1;
                self.retries.postpone(operation, now);
                let why = Some(failure.reason.as_str());
                return self.tell_progress(now, operation, 0, why, out);
            }
            Err(failure) => {
                self.counts.failures += 1;
                let reason = format!("{step}: {failure}");
                let called_off = failure.kind == FailureKind::CalledOff;
                let outcome = early.filter(|_| called_off);
                let outcome = outcome.unwrap_or(Outcome::Failed { reason });
                return self.turn_back(operation, outcome, out);
            }
        };
        self.retries.forget(operation);
        let (states, samples) = (gained.states.clone(), gained.samples.clone());
        let moved = gained.downtime_millis;
        let saved = gained.image.clone().and_then(|image| match &next.step {
            Step::Store { disk, .. } => Some((disk.clone(), image)),
            _ => None,
        });
        let entry = Entry::Ended {
            operation,
            step: number,
            // Samples are told, not kept.
            gained: Gained {
                samples: Vec::new(),
                ..gained
            },
        };
        self.write(entry, out);
        for state in states {
            self.see(now, state, Some(operation), out);
        }
        if !samples.is_empty() {
            let outcome = Outcome::Sampled { samples };
            self.report(now, Some(vm), Some(operation), outcome, out);
        }
        if let Some(downtime_millis) = moved {
            let outcome = Outcome::Moved { downtime_millis };
            self.report(now, Some(vm), Some(operation), outcome, out);
        }
        if let Some((disk, image)) = saved {
            let outcome = Outcome::Saved { disk, image };
            self.report(now, Some(vm), Some(operation), outcome, out);
        }
        let done_milli = 1_000;
        let outcome = Outcome::Progressed { step, done_milli };
        self.report(now, Some(vm), Some(operation), outcome, out);
    }

    /// Whether a planted bug leaves out a step that broke twice.
    fn gives_up(&self, operation: OperationId, step: &Step) -> bool {
        let is_wipe = matches!(step, Step::Wipe { .. });
        is_wipe && is_planted(Bug::WipeGivenUp) && self.retries.has_broken_twice(operation)
    }

    fn turn_back(&mut self, operation: OperationId, outcome: Outcome, out: &mut Vec<Output>) {
        let run = self
            .ledger
            .open
            .get(&operation)
            .and_then(|open| open.run.as_ref());
        let steps = run.map_or_else(Vec::new, |run| run.way_back());
        let entry = Entry::TurnedBack {
            operation,
            outcome,
            steps,
        };
        self.write(entry, out);
    }

    fn finish(
        &mut self,
        now: Time,
        operation: OperationId,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        let vm = self.ledger.open.get(&operation).map(|open| open.order.vm);
        self.keys.remove(&operation);
        self.wanting.remove(&operation);
        self.retries.forget(operation);
        self.write(Entry::Finished { operation, outcome }, out);
        self.tell_end(now, vm, operation, out);
    }

    /// How an operation has ended; of a volume that it has lent, first where it is served.
    pub(super) fn tell_end(
        &mut self,
        now: Time,
        vm: Option<VmId>,
        operation: OperationId,
        out: &mut Vec<Output>,
    ) {
        let Some(past) = self.ledger.past.get(&operation).cloned() else {
            return;
        };
        if let Some(address) = past.serving {
            let outcome = Outcome::Listening { address };
            self.report(now, vm, Some(operation), outcome, out);
        }
        self.report(now, vm, Some(operation), past.outcome, out);
    }
}

/// How an operation would end if it ended now, before its time.
fn early_end(now: Time, open: &Open) -> Option<Outcome> {
    if open.called_off {
        return Some(Outcome::Cancelled);
    }
    let reason = "the deadline has passed".to_owned();
    (open.order.deadline <= now).then_some(Outcome::Failed { reason })
}
