//! Operations go on: orders are sent as their turns come, and ends are told.

use super::making::{create_verb, lend_verb};
use super::{Controller, Flight};
use crate::journal::Entry;
use crate::ledger::Ledger;
use crate::message::Output;
use crate::operation::{Task, TaskAct, TaskState};
use crate::record::{VmRecord, Wish};
use model::event::Happening;
use model::id::{KeyId, NodeId, OperationId};
use model::order::{Order, Verb};
use model::report::Outcome;
use model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done with a task whose turn has come.
enum Turn {
    /// Send it there.
    Order(NodeId, Box<Verb>),
    /// Its node cannot be reached, or where it sends to has not been told: not yet.
    Wait,
    /// What it is about is not there any more.
    Void(String),
    /// Its effect holds already.
    Holds,
}

impl Controller {
    /// Lets every operation go as far as it can.
    pub(super) fn advance(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(operation) = self.wake.pop_first() {
            self.go_on(now, operation, out);
        }
    }

    fn go_on(&mut self, now: Time, operation: OperationId, out: &mut Vec<Output>) {
        loop {
            let Some(open) = self.ledger.open.get(&operation) else {
                return;
            };
            if open.is_over() {
                let outcome = open.back.clone().unwrap_or(Outcome::Done);
                return self.end(now, operation, outcome, out);
            }
            if !self.ledger.has_locks(operation) {
                return;
            }
            let mut turns = open.ready().map(|place| (place, self.turn(open, place)));
            let Some((place, turn)) = turns.find(|(_, turn)| !matches!(turn, Turn::Wait)) else {
                return;
            };
            drop(turns);
            let task = place as u32;
            match turn {
                Turn::Order(node, verb) => self.order(now, operation, task, node, verb, out),
                Turn::Void(reason) => {
                    self.close(now, operation, task, TaskState::Failed { reason }, out);
                }
                Turn::Holds => self.close(now, operation, task, TaskState::Done, out),
                Turn::Wait => return,
            }
        }
    }

    fn turn(&self, open: &crate::operation::Operation, place: usize) -> Turn {
        let task = &open.tasks[place];
        let record = self.ledger.vms.get(&task.vm);
        let record = match (&task.act, record) {
            (TaskAct::Clear | TaskAct::Withdraw, _) => {
                return self.when_reached(task.node, Verb::Delete);
            }
            (_, Some(record)) => record,
            (TaskAct::Do { verb: Verb::Delete }, None) => return Turn::Holds,
            (_, None) => return Turn::Void(format!("{} is gone", task.vm)),
        };
        match &task.act {
            TaskAct::Create | TaskAct::Remake => match create_verb(record) {
                Some(verb) => self.when_reached(record.node, verb),
                None => Turn::Void(format!("a piece of {}'s disk is not served", record.name)),
            },
            TaskAct::Lend { piece } => match lend_verb(record, *piece) {
                Some(verb) => self.when_reached(task.node, verb),
                None => Turn::Void(format!("{} has no such piece", record.name)),
            },
            TaskAct::Scale { scale, .. } => {
                let scale = scale.clone();
                self.when_reached(record.node, Verb::Scale { scale })
            }
            TaskAct::Do { verb: Verb::Delete } if !record.is_made && record.wish == Wish::Gone => {
                // Where it could not be made nothing is left, and to be told so costs little.
                self.when_reached(record.node, Verb::Delete)
            }
            TaskAct::Configure { configuration, .. } => {
                let configuration = configuration.clone();
                self.when_reached(record.node, Verb::Configure { configuration })
            }
            TaskAct::Do { verb } => self.when_reached(record.node, verb.clone()),
            TaskAct::Receive => match record.node == task.node {
                true => Turn::Void(format!("{} is there already", record.name)),
                false => {
                    let order = OperationId(self.ledger.next_order);
                    self.when_reached(task.node, self.receive_verb(record, order))
                }
            },
            TaskAct::Send { to } => self.send_turn(&open.tasks[*to as usize], record),
            TaskAct::Clear | TaskAct::Withdraw => Turn::Wait,
        }
    }

    fn send_turn(&self, receiver: &Task, record: &VmRecord) -> Turn {
        let TaskState::Ordered { order, verb, .. } = &receiver.state else {
            return Turn::Wait;
        };
        let Some(address) = self.listening.get(order) else {
            return Turn::Wait;
        };
        let verb = self.send_verb((verb, *order), receiver.node, address.clone());
        self.when_reached(record.node, verb)
    }

    fn when_reached(&self, node: NodeId, verb: Verb) -> Turn {
        match self.links[node.index()].is_reached {
            true => Turn::Order(node, Box::new(verb)),
            false => Turn::Wait,
        }
    }

    fn order(
        &mut self,
        now: Time,
        operation: OperationId,
        task: u32,
        node: NodeId,
        verb: Box<Verb>,
        out: &mut Vec<Output>,
    ) {
        let order = OperationId(self.ledger.next_order);
        let entry = Entry::Ordered {
            operation,
            task,
            node,
            order,
            generation: self.ledger.generation,
            verb,
        };
        self.write(entry, out);
        let flight = Flight {
            operation,
            task,
            generation: self.ledger.generation,
            sent: None,
        };
        self.flights.insert(order, flight);
        self.send(now, order, out);
    }

    /// Orders what a node has refused for its age, under another id.
    pub(super) fn order_anew(&mut self, now: Time, order: OperationId, out: &mut Vec<Output>) {
        let Some(flight) = self.flights.remove(&order) else {
            return;
        };
        let open = &self.ledger.open[&flight.operation];
        let task = &open.tasks[flight.task as usize];
        let TaskState::Ordered { verb, .. } = &task.state else {
            return;
        };
        let (node, verb) = (task.node, verb.clone());
        self.order(now, flight.operation, flight.task, node, verb, out);
    }

    /// Sends an order, again or for the first time, as far as its node can be reached.
    pub(super) fn send(&mut self, now: Time, order: OperationId, out: &mut Vec<Output>) {
        let Some(flight) = self.flights.get_mut(&order) else {
            return;
        };
        let Some(open) = self.ledger.open.get(&flight.operation) else {
            return;
        };
        let task = &open.tasks[flight.task as usize];
        let TaskState::Ordered { verb, .. } = &task.state else {
            // It was settled without its node.
            self.flights.remove(&order);
            return;
        };
        if !self.links[task.node.index()].is_reached {
            return;
        }
        flight.sent = Some(now);
        let generation = flight.generation;
        let keys = keys(verb, self.ledger.vms.get(&task.vm));
        let order_itself = Box::new(Order {
            operation: order,
            generation,
            node: task.node,
            vm: task.vm,
            verb: (**verb).clone(),
            deadline: match is_clearing(task) {
                true => Time::NEVER,
                false => open.deadline,
            },
        });
        out.push(Output::Send {
            order: order_itself,
            keys,
        });
        if open.back.is_some() && !is_clearing(task) {
            let node = task.node;
            out.push(Output::CallOff { node, order });
        }
    }

    /// Nothing more comes of an order, or of one that was never sent.
    pub(super) fn close(
        &mut self,
        now: Time,
        operation: OperationId,
        task: u32,
        end: TaskState,
        out: &mut Vec<Output>,
    ) {
        let Some(open) = self.ledger.open.get(&operation) else {
            return;
        };
        let vms = open.vms();
        let is_back = open.back.is_some();
        if let TaskState::Ordered { order, .. } = &open.tasks[task as usize].state {
            self.flights.remove(order);
            self.listening.remove(order);
            self.progress.remove(order);
        }
        let failed = match &end {
            TaskState::Failed { reason } => Some(reason.clone()),
            TaskState::Dropped => Some("the node has called it off".to_owned()),
            _ => None,
        };
        let at = now;
        let entry = Entry::Closed {
            operation,
            task,
            end,
            at,
        };
        self.write(entry, out);
        self.wake.insert(operation);
        if let Some(reason) = failed.filter(|_| !is_back) {
            self.turn_back(operation, Outcome::Failed { reason }, out);
        }
        if !self.ledger.open.contains_key(&operation) {
            self.wake_heirs(vms);
        }
    }

    /// From here an operation undoes what it has done.
    pub(super) fn turn_back(
        &mut self,
        operation: OperationId,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        self.write(Entry::TurnedBack { operation, outcome }, out);
        self.wake.insert(operation);
        let flights = self.flights.iter();
        let flights = flights.filter(|(_, flight)| flight.operation == operation);
        for (&order, flight) in flights {
            let task = &self.ledger.open[&operation].tasks[flight.task as usize];
            if !is_clearing(task) && flight.sent.is_some() {
                let node = task.node;
                out.push(Output::CallOff { node, order });
            }
        }
    }

    /// Tells an operation's end.
    pub(super) fn end(
        &mut self,
        now: Time,
        operation: OperationId,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        let Some(open) = self.ledger.open.get(&operation) else {
            return;
        };
        if open.is_ended {
            return;
        }
        let (what, vms) = (open.what.clone(), open.vms());
        let failed = match &outcome {
            Outcome::Done => None,
            Outcome::Failed { reason } => Some(reason.clone()),
            _ => Some("it was called off".to_owned()),
        };
        let at = now;
        let entry = Entry::Ended {
            operation,
            outcome,
            at,
        };
        self.write(entry, out);
        let happening = Happening::Ended {
            asked: what,
            failed,
        };
        Self::tell(now, Some(operation), happening, out);
        if !self.ledger.open.contains_key(&operation) {
            self.wake_heirs(vms);
        }
    }

    pub(super) fn call_off(&mut self, operation: OperationId, out: &mut Vec<Output>) {
        let open = self.ledger.open.get(&operation);
        if open.is_some_and(|open| open.back.is_none() && !open.is_ended) {
            self.turn_back(operation, Outcome::Cancelled, out);
        }
    }

    fn wake_heirs(&mut self, vms: impl IntoIterator<Item = model::id::VmId>) {
        let heirs = vms.into_iter().filter_map(|vm| self.ledger.holder(vm));
        self.wake.extend(heirs);
    }
}

/// Orders that are on their way, as far as a ledger knows.
pub(super) fn flights(ledger: &Ledger) -> BTreeMap<OperationId, Flight> {
    let mut flights = BTreeMap::new();
    for (&operation, open) in &ledger.open {
        for (place, task) in open.tasks.iter().enumerate() {
            if let TaskState::Ordered {
                order, generation, ..
            } = &task.state
            {
                let flight = Flight {
                    operation,
                    task: place as u32,
                    generation: *generation,
                    sent: None,
                };
                flights.insert(*order, flight);
            }
        }
    }
    flights
}

/// The keys that come beside an order: those that it names, and those of the VM's disks.
fn keys(verb: &Verb, record: Option<&VmRecord>) -> BTreeSet<KeyId> {
    let named = match verb {
        Verb::Receive { key, .. } | Verb::Migrate { key, .. } | Verb::Lend { key, .. } => {
            vec![*key]
        }
        Verb::RotateKey { from, to } => vec![*from, *to],
        Verb::Configure { configuration } => configuration.keys().into_iter().collect(),
        _ => Vec::new(),
    };
    let disks = record.into_iter().flat_map(|record| {
        let encrypted = record
            .blueprint
            .disks
            .iter()
            .filter_map(|disk| disk.encryption);
        let encrypted = encrypted.map(|encryption| encryption.key);
        encrypted.chain(record.lent.iter().map(|lent| lent.key))
    });
    named.into_iter().chain(disks).collect()
}

/// Whether an order takes away what is not wished for: nothing calls it off, and it is never too late.
fn is_clearing(task: &Task) -> bool {
    match &task.act {
        TaskAct::Clear | TaskAct::Withdraw => true,
        TaskAct::Do { verb } => *verb == Verb::Delete,
        _ => false,
    }
}
