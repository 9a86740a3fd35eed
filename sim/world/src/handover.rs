//! How steps end, and how VMs go from node to node by them.
//!
//! A VM that is sent is *given* before its receiver may run it, and whoever has given it asks what has
//! become of it until it knows: taken, or dropped. The rules are those of [`agent::handover`].

use crate::node::Node;
use crate::world::{Due, World};
use agent::agent::Agent;
use agent::driver::Act;
use agent::message::Input;
use agent::step::{Failure, FailureKind, Gained, SeenState, Step};
use model::id::{KeyId, NodeId, OperationId, VmId};
use model::report::VmState;
use model::time::Span;

/// How many handovers are cut off between giving and taking, in thousandths.
const TORN_MILLI: u64 = 20;

/// Whether a step ends when what it waits for comes, and not after a time.
pub(crate) fn waits(step: &Step) -> bool {
    matches!(step, Step::Await { .. } | Step::Arrive { .. })
}

/// What a step does at once.
pub(crate) fn begin(node: &mut Node, step: &Step) {
    let runs = |vm: &VmId| {
        let state = node.hands.vms.get(vm).map(|vm| vm.state);
        state == Some(VmState::Running)
    };
    match step {
        Step::Act {
            vm,
            act: Act::Send { .. },
        } if !runs(vm) => return,
        step if waits(step) => return,
        // Who is not to come any more is turned away from here on.
        Step::Act {
            vm,
            act: Act::Destroy,
        } => node.turn_away(*vm),
        Step::Dismiss { vm } => node.hands.book.retain(|of, taken| of != vm || *taken),
        _ => {}
    }
    node.hands.begin(step);
}

impl World {
    pub(crate) fn end_step(&mut self, node: NodeId, operation: OperationId, number: u64) {
        let here = &mut self.nodes[node.index()];
        let is_this = |at_hand: &crate::node::AtHand| at_hand.number == number;
        if !here.at_hand.get(&operation).is_some_and(is_this) {
            return;
        }
        let Some(at_hand) = here.at_hand.remove(&operation) else {
            return;
        };
        let clock = here.clock(self.now);
        let task = at_hand.task;
        let is_late =
            at_hand.called_off.is_some() || task.deadline.is_some_and(|deadline| deadline <= clock);
        let result = self.result(node, &task.step, is_late);
        self.check_running(node);
        self.tell_agent(node, Input::Ended { operation, result });
    }

    fn result(&mut self, node: NodeId, step: &Step, is_late: bool) -> Result<Gained, Failure> {
        let breaks = {
            let milli = self.nodes[node.index()].breaking_milli;
            milli > 0 && (self.chance.below(1_000) as u32) < milli
        };
        let vm_of_act = |act: &Act, vm: VmId| match act {
            Act::Send { address, key, .. } => Some((vm, address.clone(), *key)),
            _ => None,
        };
        match step {
            Step::Act { vm, act } if vm_of_act(act, *vm).is_some() => {
                let (vm, address, key) = vm_of_act(act, *vm).expect("it was asked for");
                self.send(node, step, (vm, &address, key), is_late)
            }
            Step::Knock { vm, address } | Step::Ship { vm, address, .. } if !is_late => {
                let waits = self.receiver(node, address).map(|receiver| {
                    self.nodes[receiver.index()].hands.book.get(vm) == Some(&false)
                });
                match waits {
                    Some(true) => self.nodes[node.index()].hands.end(step, false),
                    _ => Err(broken(FailureKind::Broken, "nobody waits for it")),
                }
            }
            Step::Cede { vm, address, key } => self.cede(node, step, (*vm, address, *key), is_late),
            _ if breaks && can_break(step) && !is_late => {
                let hands = &mut self.nodes[node.index()].hands;
                let failure = hands.break_off(step);
                // A guest that could not be stopped runs on, and one that could not be started does not.
                if let Step::Act { vm, .. } = step
                    && let Some(vm) = hands.vms.get_mut(vm)
                {
                    vm.state = match vm.state {
                        VmState::Stopping => VmState::Running,
                        VmState::Starting => VmState::Stopped,
                        state => state,
                    };
                }
                Err(failure)
            }
            _ => self.end_here(node, step, is_late),
        }
    }

    fn end_here(&mut self, node: NodeId, step: &Step, is_late: bool) -> Result<Gained, Failure> {
        let here = &mut self.nodes[node.index()];
        // Whoever gives up waiting for a VM takes it no more.
        if let Step::Await { vm } = step {
            here.turn_away(*vm);
            // One that has come is here, whatever became of it since.
            if here.came.remove(vm) {
                let state = here.hands.vms.get(vm).map(|modelled| modelled.state);
                return Ok(Gained {
                    states: vec![SeenState { vm: *vm, state }],
                    ..Gained::default()
                });
            }
        }
        let mut gained = here.hands.end(step, is_late)?;
        // A watchdog that has stopped a VM looks again at what starts late.
        here.bark(self.now);
        if let Some(address) = &mut gained.listening {
            *address = match step {
                Step::Lend { .. } => format!("10.{}.{}.1:10809", node.0 >> 8, node.0 & 0xff),
                _ => format!("{}", node.0),
            };
        }
        if let Step::Act {
            vm,
            act: Act::Receive { .. },
        } = step
        {
            here.incoming.insert(*vm);
        }
        Ok(gained)
    }

    /// The node at an address, where it can be reached from another one.
    fn receiver(&self, from: NodeId, address: &str) -> Option<NodeId> {
        let to = NodeId(address.parse().ok()?);
        let is_reached = |node: NodeId| {
            let node = &self.nodes[node.index()];
            node.is_up && !node.is_cut
        };
        (is_reached(from) && is_reached(to)).then_some(to)
    }

    fn send(
        &mut self,
        node: NodeId,
        step: &Step,
        (vm, address, key): (VmId, &str, KeyId),
        is_late: bool,
    ) -> Result<Gained, Failure> {
        let receiver = self.receiver(node, address);
        let torn = self.chance.below(1_000) < TORN_MILLI;
        let (given, sent, state) = {
            let modelled = self.nodes[node.index()].hands.vm(vm);
            (modelled.given, modelled.sent, modelled.state)
        };
        if sent {
            return self.nodes[node.index()].hands.end(step, false);
        }
        if !given {
            if is_late {
                return self.nodes[node.index()].hands.end(step, true);
            }
            if state != VmState::Migrating {
                return Err(broken(FailureKind::Broken, "it does not run"));
            }
            let is_waited_for = receiver
                .is_some_and(|receiver| self.nodes[receiver.index()].incoming.contains(&vm));
            let modelled = self.nodes[node.index()].hands.vm(vm);
            if !is_waited_for {
                modelled.state = VmState::Running;
                return Err(broken(FailureKind::Broken, "nobody waits for it"));
            }
            (modelled.given, modelled.state) = (true, VmState::Stopped);
            self.nodes[node.index()].frozen.insert(vm);
            self.check_running(node);
            if torn {
                return Err(broken(FailureKind::Unfinished, "the link broke"));
            }
        }
        let Some(receiver) = receiver else {
            return Err(broken(FailureKind::Unfinished, "its receiver is away"));
        };
        let there = &mut self.nodes[receiver.index()];
        if there.incoming.remove(&vm) {
            there.hands.vm(vm).state = VmState::Running;
            there.arrived.insert(key);
            there.came.insert(vm);
            self.check_running(receiver);
            self.poke(receiver, vm);
        }
        if !self.nodes[receiver.index()].arrived.contains(&key) {
            let here = &mut self.nodes[node.index()];
            let modelled = here.hands.vm(vm);
            modelled.given = false;
            if here.frozen.remove(&vm) {
                modelled.state = VmState::Running;
            }
            return Err(broken(FailureKind::Broken, "its receiver has dropped it"));
        }
        let here = &mut self.nodes[node.index()];
        here.frozen.remove(&vm);
        let ended = here.hands.end(step, false);
        here.hands.elsewhere.remove(&vm);
        ended
    }

    fn cede(
        &mut self,
        node: NodeId,
        step: &Step,
        (vm, address, key): (VmId, &str, KeyId),
        is_late: bool,
    ) -> Result<Gained, Failure> {
        let receiver = self.receiver(node, address);
        let torn = self.chance.below(1_000) < TORN_MILLI;
        let given = self.nodes[node.index()].hands.vm(vm).given;
        if is_late && !given {
            return Err(broken(FailureKind::CalledOff, "called off"));
        }
        self.nodes[node.index()].hands.vm(vm).given = true;
        let Some(receiver) = receiver.filter(|_| given || !torn) else {
            return Err(broken(FailureKind::Unfinished, "its receiver is away"));
        };
        let there = &mut self.nodes[receiver.index()];
        if there.hands.book.get(&vm) == Some(&false) {
            there.hands.book.insert(vm, true);
            there.arrived.insert(key);
            self.poke(receiver, vm);
        }
        let taken = self.nodes[receiver.index()].arrived.contains(&key);
        let hands = &mut self.nodes[node.index()].hands;
        if !taken {
            hands.vm(vm).given = false;
            return Err(broken(FailureKind::Broken, "its receiver has dropped it"));
        }
        let ended = hands.end(step, false);
        hands.elsewhere.remove(&vm);
        ended
    }

    /// What waits for a VM ends: it has come.
    fn poke(&mut self, node: NodeId, vm: VmId) {
        let here = &self.nodes[node.index()];
        let waiting = here.at_hand.iter().find(|(_, at_hand)| {
            waits(&at_hand.task.step)
                && matches!(&at_hand.task.step,
                    Step::Await { vm: of } | Step::Arrive { vm: of, .. } if *of == vm)
        });
        if let Some((&operation, at_hand)) = waiting {
            let due = Due::StepEnds(node, operation, at_hand.number);
            self.queue.push(self.now + Span(1), 0, due);
        }
    }

    /// Looks at what runs on a node after something has changed there.
    pub(crate) fn check_running(&mut self, node: NodeId) {
        let here = &self.nodes[node.index()];
        let runs = |vm: &VmId, state| match state {
            VmState::Running | VmState::Paused => true,
            // One that is sent runs until it is given.
            VmState::Migrating => !here.incoming.contains(vm),
            _ => false,
        };
        let vms = here.hands.vms.iter();
        let running = vms.filter(|(vm, of)| runs(vm, of.state)).map(|(vm, _)| *vm);
        self.checks.runs(self.now, node, running);
    }

    /// Nodes and their agents, for a look at rest.
    pub(crate) fn check_nodes(&mut self) {
        for node in &self.nodes {
            match &node.agent {
                Some(agent) => {
                    let agent: &Agent = agent;
                    node.hands.check(agent.ledger(), &node.settings.naming);
                }
                None => self
                    .checks
                    .violated(self.now, format!("{} has no agent", node.id)),
            }
        }
    }
}

/// Whether a step may break at its end.
fn can_break(step: &Step) -> bool {
    !waits(step) && !matches!(step, Step::Dismiss { .. })
}

fn broken(kind: FailureKind, reason: &str) -> Failure {
    let reason = reason.to_owned();
    Failure { kind, reason }
}
