//! Operations that have not ended.

use crate::driver::Act;
use crate::journal::Entry;
use crate::step::{Gained, Planned, Step, Undo};
use crate::steps::plain;
use model::id::OperationId;
use model::order::Order;
use model::report::Outcome;

/// An operation that has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Its order.
    pub order: Order,
    /// Whether somebody wants it to end early.
    pub called_off: bool,
    /// How far it is; `None`: its turn has not come.
    pub run: Option<Run>,
}

/// An operation under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its steps, there or back.
    pub steps: Vec<Planned>,
    /// The first that has not ended.
    pub next: usize,
    /// Whether that one was begun.
    pub begun: bool,
    /// On the way back: how it will end.
    pub back: Option<Outcome>,
    /// Where it listens for a VM that moves here.
    pub listening: Option<String>,
}

impl Run {
    /// The first step that has not ended; `None`: all have.
    pub fn step(&self) -> Option<&Planned> {
        self.steps.get(self.next)
    }

    /// Where it listens by now for a VM that moves here.
    pub fn listens(&self) -> Option<String> {
        let step = self.step().filter(|_| self.begun)?;
        let awaits = matches!(step.step, Step::Await { .. } | Step::Arrive { .. });
        self.listening.clone().filter(|_| awaits)
    }

    /// Whether nothing calls it off any more: on the way back, or past the point of no return.
    pub fn is_bound(&self) -> bool {
        let mut ended = self.steps.iter().take(self.next);
        self.back.is_some()
            || ended.any(|step| matches!(step.undo, Undo::AskAgain | Undo::Forward))
            || self.begun && self.step().is_some_and(|step| step.undo == Undo::Forward)
    }

    /// The steps that undo all that was begun, the last one first.
    pub fn way_back(&self) -> Vec<Planned> {
        let begun = self.next + usize::from(self.begun);
        let begun = self.steps.iter().take(begun).rev();
        let undo = begun.flat_map(|planned| match &planned.undo {
            Undo::By { steps } => steps.iter().map(|step| undoing(planned, step)).collect(),
            Undo::Nothing | Undo::AskAgain | Undo::Forward => Vec::new(),
        });
        undo.collect()
    }
}

/// A step of the way back, with its keys. What was stopped and is started again, or was sized and is
/// sized again, needs those that it had.
fn undoing(planned: &Planned, step: &Step) -> Planned {
    let keys = match step {
        Step::Act {
            act: Act::Start | Act::Scale { .. },
            ..
        } => planned.keys.clone(),
        other => other.key().into_iter().collect(),
    };
    Planned {
        keys,
        ..plain(step.clone())
    }
}

impl Open {
    pub(super) fn entries(&self, operation: OperationId) -> Vec<Entry> {
        let mut entries = vec![Entry::Accepted {
            order: Box::new(self.order.clone()),
            keys: Vec::new(),
        }];
        if self.called_off {
            entries.push(Entry::CalledOff { operation });
        }
        let Some(run) = &self.run else {
            return entries;
        };
        let steps = run.steps.clone();
        entries.push(match &run.back {
            Some(outcome) => Entry::TurnedBack {
                operation,
                outcome: outcome.clone(),
                steps,
            },
            None => Entry::Planned { operation, steps },
        });
        for step in 0..run.next {
            entries.push(Entry::Ended {
                operation,
                step: step as u32,
                gained: Gained {
                    listening: run.listening.clone(),
                    ..Default::default()
                },
            });
        }
        if run.begun {
            let step = run.next as u32;
            entries.push(Entry::Begun { operation, step });
        }
        entries
    }
}
