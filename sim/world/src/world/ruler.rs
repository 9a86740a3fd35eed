//! The controller lives, dies and goes on.

use super::{Due, TICK, ToController, ToNode, World};
use control::backend::Command;
use control::controller::Controller;
use control::journal::Entry;
use control::message::{Input, Output};
use model::id::{NodeId, OperationId};
use model::time::Span;
use std::sync::Arc;

/// How long nothing is heard of an agent before it counts as away.
const AWAY: Span = Span(45_000);

/// After how many entries the controller's journal is shortened.
const SHORTEN_AFTER: usize = 20_000;

/// How long whoever asks for something waits for the answer before asking again.
const ASK_AGAIN: Span = Span(5_000);

impl World {
    pub(super) fn start_controller(&mut self) {
        if self.controller.is_some() {
            return;
        }
        self.controllers += 1;
        self.controller_since = self.now;
        let entries = self.journal.iter().cloned();
        let grid = Arc::clone(&self.grid);
        let controller = Controller::recover(self.settings.clone(), grid, entries, self.now);
        self.controller = Some(controller);
        self.after(TICK, Due::ControllerTicks(self.controllers));
        self.tell_controller(Input::Ticked);
    }

    pub(super) fn tick_controller(&mut self, controller: u32) {
        if controller != self.controllers || self.controller.is_none() {
            return;
        }
        for node in self.grid.node_ids() {
            let is_away = self.nodes[node.index()].heard + AWAY <= self.now;
            if is_away && self.controller.as_ref().is_some_and(|c| c.is_reached(node)) {
                self.tell_controller(Input::Left { node });
            }
        }
        self.tell_controller(Input::Ticked);
        if self.journal.len() > SHORTEN_AFTER
            && let Some(controller) = &self.controller
        {
            let ledger = Box::new(controller.ledger().clone());
            self.journal = vec![Entry::Kept { ledger }];
        }
        self.after(TICK, Due::ControllerTicks(controller));
    }

    pub(super) fn hand_in(&mut self, operation: OperationId, command: Box<Command>) {
        // Whoever is not answered asks again, with the same id.
        if !self.answers.contains_key(&operation) {
            let again = Due::Asked(operation, command.clone());
            self.after(ASK_AGAIN, again);
        }
        self.tell_controller(Input::Submitted { operation, command });
    }

    pub(crate) fn tell_controller(&mut self, input: Input) {
        let expected = self.expected_plan(&input);
        let Some(controller) = &mut self.controller else {
            return;
        };
        let mut out = Vec::new();
        controller.step(self.now, input, &mut out);
        if let Some(expected) = expected {
            self.check_plan(&expected, &out);
        }
        for output in out {
            if let Some((left, away)) = &mut self.fuse {
                if *left == 0 {
                    let away = *away;
                    self.fuse = None;
                    self.controller = None;
                    self.after(away, Due::ControllerStarts);
                    return;
                }
                *left -= 1;
            }
            self.act_for_controller(output);
        }
        if let Some(controller) = &self.controller {
            self.checks.look(self.now, controller);
        }
    }

    pub(super) fn act_for_controller(&mut self, output: Output) {
        match output {
            Output::Write(entry) => {
                self.checks.written(self.now, self.controller_since, &entry);
                if let Entry::GivenUp { node } = &entry {
                    self.check_given_up(*node);
                }
                self.journal.push(entry);
            }
            Output::Answer { operation, answer } => {
                self.checks.answered(self.now, operation, &answer);
                self.answers.entry(operation).or_insert(answer);
            }
            Output::Send { order, keys } => {
                self.post_to_node(order.node, ToNode::Order(order, keys));
            }
            Output::CallOff { node, order } => self.post_to_node(node, ToNode::CallOff(order)),
            Output::Lease { node, from, span } => {
                self.post_to_node(node, ToNode::Lease { from, span });
            }
            Output::Happened(event) => {
                self.digest.bytes(format!("{event:?}").as_bytes());
                self.history.push(event);
            }
        }
    }

    pub(super) fn arrive_at_controller(&mut self, node: NodeId, message: ToController) {
        if self.nodes[node.index()].is_cut || self.controller.is_none() {
            return;
        }
        self.nodes[node.index()].heard = self.now;
        self.tell_controller(match message {
            ToController::Report(report) => Input::Reported { report },
            ToController::Call { at, held } => Input::Called { node, at, held },
        });
    }
}
