//! A command becomes an operation, or is refused.

use super::Controller;
use super::sizing::{reserve, scaled};
use crate::backend::{Command, Refused};
use crate::journal::{Change, Entry};
use crate::ledger::FIRST_OWN;
use crate::message::Output;
use crate::operation::{Task, TaskAct};
use crate::planted::{Bug, is_planted};
use crate::record::Wish;
use model::event::Happening;
use model::grid::NodeState;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::order::{Shutdown, Verb};
use model::report::Outcome;
use model::time::Time;
use model::view::View;

/// What a command comes to.
#[derive(Debug, Default)]
pub(super) struct Accepted {
    /// In words.
    pub what: String,
    pub tasks: Vec<Task>,
    pub changes: Vec<Change>,
}

impl Accepted {
    /// Adds an order, and returns its place.
    pub(super) fn task(&mut self, vm: VmId, node: NodeId, act: TaskAct, after: &[u32]) -> u32 {
        self.tasks.push(Task::new(vm, node, act, after.to_vec()));
        (self.tasks.len() - 1) as u32
    }

    /// Adds all of another one.
    pub(super) fn append(&mut self, mut other: Self) {
        let before = self.tasks.len() as u32;
        for task in &mut other.tasks {
            task.after.iter_mut().for_each(|place| *place += before);
        }
        self.tasks.append(&mut other.tasks);
        self.changes.append(&mut other.changes);
    }
}

impl Controller {
    pub(super) fn take(
        &mut self,
        now: Time,
        operation: OperationId,
        command: Command,
        out: &mut Vec<Output>,
    ) {
        if let Some(answer) = self.answered(operation) {
            out.push(Output::Answer { operation, answer });
            return;
        }
        let accepted = match operation.0 < FIRST_OWN {
            true => self.accept(command),
            false => Err(illegal(format!(
                "{operation} is kept for the controller's own; ids are below {FIRST_OWN}"
            ))),
        };
        let answer = match accepted {
            Ok(accepted) => {
                self.begin(now, operation, accepted, out);
                Ok(())
            }
            Err(why) => {
                let refused = why.clone();
                self.write(Entry::Refused { operation, why }, out);
                Err(refused)
            }
        };
        out.push(Output::Answer { operation, answer });
    }

    /// Writes an operation down; it goes on from there.
    pub(super) fn begin(
        &mut self,
        now: Time,
        operation: OperationId,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        let Accepted {
            what,
            tasks,
            mut changes,
        } = accepted;
        // What is cleared away must not come again by an order that was late.
        let clears = tasks.iter().any(|task| task.act == TaskAct::Clear);
        if clears || !changes.is_empty() {
            let generation = Generation(self.ledger.generation.0 + 1);
            changes.push(Change::Generation { generation });
        }
        let happening = Happening::Accepted {
            asked: what.clone(),
        };
        Self::tell(now, Some(operation), happening, out);
        let entry = Entry::Accepted {
            operation,
            what,
            at: now,
            deadline: now + self.settings.patience,
            tasks,
            changes,
        };
        self.write(entry, out);
        self.wake.insert(operation);
        // What is decided next stands beside this.
        if !is_planted(Bug::StaleBeside) {
            self.refresh(now);
        }
    }

    /// What was answered to an operation before.
    fn answered(&self, operation: OperationId) -> Option<Result<(), Refused>> {
        use crate::ledger::Past;
        match self.ledger.past.get(&operation) {
            Some(Past::Refused {
                why: Refused::Illegal { .. },
            }) if is_planted(Bug::IllegalTakenAgain) => None,
            Some(Past::Refused { why }) => Some(Err(why.clone())),
            Some(Past::Ended {
                outcome: Outcome::Failed { .. },
                ..
            }) if is_planted(Bug::FailedTakenAgain) => None,
            Some(Past::Ended {
                outcome: Outcome::Cancelled,
                ..
            }) if is_planted(Bug::CancelledTakenAgain) => None,
            Some(Past::Ended { .. }) => Some(Ok(())),
            None => self.ledger.open.get(&operation).map(|_| Ok(())),
        }
    }

    fn accept(&self, command: Command) -> Result<Accepted, Refused> {
        match command {
            Command::Deploy { design, plan } => self.deploy(*design, plan),
            Command::Withdraw { tenant, design } => self.withdraw(tenant, design),
            Command::Vm { vm, verb } => self.control(vm, verb),
            Command::Move { vm, to } => self.move_one(vm, to),
            Command::Node { node, state } => self.set_state(node, state),
        }
    }

    fn withdraw(&self, tenant: String, design: String) -> Result<Accepted, Refused> {
        let Some((place, deployment)) = self.ledger.deployment(&tenant, &design) else {
            return Err(Refused::UnknownDesign { tenant, design });
        };
        let mut accepted = Accepted {
            what: format!("withdraw {design}"),
            ..Accepted::default()
        };
        for record in deployment
            .vms
            .iter()
            .filter_map(|vm| self.ledger.vms.get(vm))
        {
            accepted.changes.push(Change::Leaving { vm: record.id });
            accepted.delete(record, &[]);
        }
        let deployment = place;
        accepted.changes.push(Change::Withdrawn { deployment });
        Ok(accepted)
    }

    fn control(&self, vm: VmId, verb: Verb) -> Result<Accepted, Refused> {
        let record = self.ledger.vms.get(&vm).ok_or(Refused::UnknownVm { vm })?;
        if record.wish == Wish::Gone {
            return Err(illegal(format!("{} is being deleted", record.name)));
        }
        let hypervisor = self.view.grid.hypervisor_of(record.node);
        // What a stopped VM is given more of its hypervisor need not be able to give a running one.
        let needs = match verb {
            Verb::Scale { .. } => None,
            _ => verb.needs(),
        };
        if needs.is_some_and(|needs| !hypervisor.capabilities.contains(&needs)) {
            let (title, word) = (&hypervisor.title, verb.word());
            return Err(illegal(format!("{title} cannot {word} {}", record.name)));
        }
        let mut accepted = Accepted {
            what: format!("{} {}", verb.word(), record.name),
            ..Accepted::default()
        };
        let act = match verb {
            Verb::Create { .. }
            | Verb::Copy { .. }
            | Verb::Receive { .. }
            | Verb::Migrate { .. }
            | Verb::Lend { .. }
            | Verb::Modify { .. } => {
                let why = "it takes several orders; hint: deploy a changed design, or move the VM";
                return Err(illegal(why.to_owned()));
            }
            Verb::Delete => {
                accepted.changes.push(Change::Leaving { vm });
                accepted.delete(record, &[]);
                return Ok(accepted);
            }
            Verb::Scale { scale } => {
                let from = record.resources;
                let to = scaled(from, record, &scale);
                reserve(record, to, &mut View::clone(&self.view), &mut accepted)?;
                TaskAct::Scale { scale, from, to }
            }
            verb => TaskAct::Do { verb },
        };
        accepted.task(vm, record.node, act, &[]);
        Ok(accepted)
    }

    fn set_state(&self, node: NodeId, state: NodeState) -> Result<Accepted, Refused> {
        let Some(known) = self.view.grid.nodes.get(node.index()) else {
            return Err(Refused::UnknownNode { node });
        };
        let mut accepted = Accepted {
            what: format!("set node {} {state}", known.name),
            changes: vec![Change::Node { node, state }],
            ..Accepted::default()
        };
        if state == NodeState::Draining || state == NodeState::Down {
            self.empty(node, &mut accepted)?;
        }
        Ok(accepted)
    }
}

pub(super) fn illegal(why: String) -> Refused {
    Refused::Illegal { why }
}

/// A shutdown that the guest is asked for.
pub(super) fn asked_shutdown(patience_millis: u32) -> Shutdown {
    Shutdown::Asked { patience_millis }
}
