//! Agents live, die and go on, and their hands with them.

use super::{Due, TICK, ToController, ToNode, World};
use crate::node::{AtHand, BARK};
use agent::journal::Entry as AgentEntry;
use agent::message::{Input as ToAgent, Output as FromAgent, Task};
use agent::secret::Keys;
use agent::step::Step;
use agent::watch::CalledOff;
use control::message::Held;
use model::id::{NodeId, OperationId};
use model::time::Span;
use std::collections::VecDeque;

/// How often an agent calls its controller.
const CALL: Span = Span(20_000);

impl World {
    pub(super) fn start_agent(&mut self, node: NodeId) {
        let here = &mut self.nodes[node.index()];
        if here.agent.is_some() || !here.is_up {
            return;
        }
        let mut out = Vec::new();
        here.start(self.now, &mut out);
        let agents = here.agents;
        let late = Span(self.chance.below(1_000) as i64);
        self.after(late, Due::AgentCalls(node, agents));
        self.after(TICK, Due::AgentTicks(node, agents));
        self.carry_out(node, out);
    }

    pub(super) fn tick_agent(&mut self, node: NodeId, agent: u32) {
        let here = &self.nodes[node.index()];
        if here.agents == agent && here.agent.is_some() {
            self.tell_agent(node, ToAgent::Ticked);
            self.after(TICK, Due::AgentTicks(node, agent));
        }
    }

    pub(super) fn lapse(&mut self, node: NodeId) {
        if self.nodes[node.index()]
            .guarded
            .1
            .is_none_or(|until| until <= self.now)
        {
            self.tell_agent(node, ToAgent::Ticked);
        }
    }

    pub(super) fn call(&mut self, node: NodeId, agent: u32) {
        let here = &self.nodes[node.index()];
        if here.agents != agent || here.agent.is_none() {
            return;
        }
        let at = here.clock(self.now);
        let states = here.hands.seen();
        self.tell_agent(node, ToAgent::Seen { asked: at, states });
        let Some(agent_now) = &self.nodes[node.index()].agent else {
            return;
        };
        let seen = agent_now.seen().iter();
        let held = seen.map(|(&vm, &state)| Held {
            vm,
            state: Some(state),
        });
        let held = held.collect();
        self.post_to_controller(node, ToController::Call { at, held });
        self.after(CALL, Due::AgentCalls(node, agent));
    }

    pub(super) fn arrive_at_node(&mut self, node: NodeId, message: ToNode) {
        let here = &self.nodes[node.index()];
        if here.is_cut || here.agent.is_none() {
            return;
        }
        let input = match message {
            ToNode::Order(order, ids) => {
                let mut keys = Keys::default();
                for id in ids {
                    // What they are is of no matter here.
                    keys.insert(id, id.0.to_be_bytes().to_vec());
                }
                ToAgent::Ordered { order, keys }
            }
            ToNode::CallOff(operation) => ToAgent::CalledOff { operation },
            ToNode::Lease { from, span } => {
                let span = from + span - here.clock(self.now);
                ToAgent::Renewed { span }
            }
        };
        self.tell_agent(node, input);
    }

    pub(crate) fn tell_agent(&mut self, node: NodeId, input: ToAgent) {
        let here = &mut self.nodes[node.index()];
        let now = here.clock(self.now);
        let Some(agent) = &mut here.agent else {
            return;
        };
        let mut out = Vec::new();
        agent.step(now, input, &mut out);
        self.carry_out(node, out);
    }

    pub(super) fn carry_out(&mut self, node: NodeId, out: Vec<FromAgent>) {
        let mut out = VecDeque::from(out);
        while let Some(output) = out.pop_front() {
            let here = &mut self.nodes[node.index()];
            if let Some((left, away)) = &mut here.fuse {
                if *left == 0 {
                    let away = *away;
                    here.kill();
                    self.after(away, Due::AgentStarts(node));
                    return;
                }
                *left -= 1;
            }
            match output {
                FromAgent::Write(entry) | FromAgent::Note(entry) => self.write(node, entry),
                FromAgent::Rewrite(entries) => here.journal = entries,
                FromAgent::Begin(task) => self.begin_step(node, *task),
                FromAgent::CallOff { operation, why } => self.call_off_step(node, operation, why),
                FromAgent::Report(report) => {
                    let report = Box::new(report);
                    self.post_to_controller(node, ToController::Report(report));
                }
                FromAgent::Guard(guard) => {
                    here.guard(self.now, guard);
                    let until = here.guarded.1.unwrap_or(self.now).max(self.now);
                    self.queue.push(until, 0, Due::LeaseLapses(node));
                    self.queue.push(until + BARK, 0, Due::WatchdogLooks(node));
                }
            }
        }
    }

    pub(super) fn write(&mut self, node: NodeId, entry: AgentEntry) {
        let here = &mut self.nodes[node.index()];
        if let AgentEntry::Accepted { order, .. } = &entry {
            self.checks.taken(self.now, node, here.newest, order);
            here.newest = here.newest.max(order.generation);
        }
        here.journal.push(entry);
    }

    pub(super) fn begin_step(&mut self, node: NodeId, task: Task) {
        self.tries += 1;
        let (operation, number) = (task.operation, self.tries);
        let here = &mut self.nodes[node.index()];
        let clock = here.clock(self.now);
        let is_late = task.deadline.is_some_and(|deadline| deadline <= clock);
        let mut time = self.profile.time(&task.step);
        time.0 *= i64::from(here.slowness);
        let has_come = matches!(&task.step, Step::Await { vm } if here.came.contains(vm));
        let due = match crate::handover::waits(&task.step) && !has_come {
            // It ends when what it waits for has come, or when it is given up.
            true => task.deadline.map(|deadline| self.now + (deadline - clock)),
            false => Some(self.now + time),
        };
        if !is_late {
            crate::handover::begin(here, &task.step);
        }
        here.at_hand.insert(
            operation,
            AtHand {
                task,
                called_off: None,
                number,
            },
        );
        if let Some(at) = due {
            self.queue
                .push(at.max(self.now), 0, Due::StepEnds(node, operation, number));
        }
        self.check_running(node);
    }

    pub(super) fn call_off_step(&mut self, node: NodeId, operation: OperationId, why: CalledOff) {
        let here = &mut self.nodes[node.index()];
        if let Some(at_hand) = here.at_hand.get_mut(&operation) {
            at_hand.called_off = Some(why);
            let number = at_hand.number;
            self.after(Span(100), Due::StepEnds(node, operation, number));
        }
    }
}
