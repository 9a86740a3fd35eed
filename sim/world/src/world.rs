//! A controller, its agents and their nodes in virtual time.

mod agents;
mod faults;
mod links;
mod ruler;

use crate::checks::Checks;
use crate::fault::Fault;
use crate::node::Node;
use crate::profile::Profile;
use control::backend::{Command, Refused};
use control::controller::Controller;
use control::journal::Entry;
use control::message::{Held, Input};
use control::settings::Settings;
use engine::chance::Stream;
use engine::digest::Digest;
use engine::queue::Queue;
use model::event::Event;
use model::grid::Grid;
use model::id::{KeyId, NodeId, OperationId, VmId};
use model::order::Order;
use model::report::{Report, VmState};
use model::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long a message is on its way where nothing is wrong, at most.
const DELAY: Span = Span(20);
/// How often time passes for agent and controller.
const TICK: Span = Span(10_000);

/// What is due.
pub(crate) enum Due {
    ToNode(NodeId, ToNode),
    ToController(NodeId, ToController),
    StepEnds(NodeId, OperationId, u64),
    AgentTicks(NodeId, u32),
    LeaseLapses(NodeId),
    AgentCalls(NodeId, u32),
    AgentStarts(NodeId),
    WatchdogLooks(NodeId),
    NodeBoots(NodeId),
    ControllerTicks(u32),
    ControllerStarts,
    Asked(OperationId, Box<Command>),
    CalledOff(OperationId),
    Befalls(Fault),
    Heals(Fault),
}

/// A message to a node's agent.
#[derive(Clone)]
pub(crate) enum ToNode {
    Order(Box<Order>, BTreeSet<KeyId>),
    CallOff(OperationId),
    Lease { from: Time, span: Span },
}

/// A message of a node's agent.
#[derive(Clone)]
pub(crate) enum ToController {
    Report(Box<Report>),
    Call { at: Time, held: Vec<Held> },
}

/// A grid that runs in virtual time.
pub struct World {
    pub(crate) now: Time,
    pub(crate) queue: Queue<Due>,
    pub(crate) grid: Arc<Grid>,
    pub(crate) settings: Settings,
    profile: Profile,
    pub(crate) chance: Stream,
    pub(crate) nodes: Vec<Node>,
    controller: Option<Controller>,
    /// What the controller has written.
    journal: Vec<Entry>,
    controllers: u32,
    /// Since when the controller runs.
    controller_since: Time,
    /// How many things the controller still does before it dies.
    fuse: Option<(u32, Span)>,
    /// Messages lost and doubled in thousandths, and how late they may be.
    lossy: (u32, Span),
    history: Vec<Event>,
    answers: BTreeMap<OperationId, Result<(), Refused>>,
    digest: Digest,
    steps: u64,
    pub(crate) tries: u64,
    pub(crate) checks: Checks,
}

impl World {
    /// A grid on which nothing was done yet, with a controller and an agent on every node.
    pub fn new(grid: Arc<Grid>, settings: Settings, profile: Profile, seed: u64) -> Self {
        let nodes = grid.node_ids().map(|node| Node::new(node, &grid)).collect();
        let mut world = Self {
            now: Time::ZERO,
            queue: Queue::new(),
            chance: Stream::new(seed, 0, "world"),
            nodes,
            controller: None,
            journal: Vec::new(),
            controllers: 0,
            controller_since: Time::ZERO,
            fuse: None,
            lossy: (0, DELAY),
            history: Vec::new(),
            answers: BTreeMap::new(),
            digest: Digest::new(),
            steps: 0,
            tries: 0,
            checks: Checks::new(&grid),
            grid,
            settings,
            profile,
        };
        world.start_controller();
        for node in world.grid.node_ids() {
            world.start_agent(node);
        }
        world
    }

    /// The instant.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The controller; `None`: it is dead.
    pub fn controller(&self) -> Option<&Controller> {
        self.controller.as_ref()
    }

    /// What has happened, oldest first.
    pub fn history(&self) -> &[Event] {
        &self.history
    }

    /// What was answered to an operation; `None`: nothing yet.
    pub fn answer(&self, operation: OperationId) -> Option<&Result<(), Refused>> {
        self.answers.get(&operation)
    }

    /// A digest of all that has happened, the same wherever it is run.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// How many things have happened.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What should never have happened, in words.
    pub fn violations(&self) -> &[String] {
        self.checks.violations()
    }

    /// The grid.
    pub fn grid(&self) -> &Arc<Grid> {
        &self.grid
    }

    /// The VMs of which a node has something, by its agent's ledger.
    pub(crate) fn vms_of(&self, node: NodeId) -> BTreeSet<VmId> {
        let agent = self.nodes[node.index()].agent.as_ref();
        agent.map_or_else(BTreeSet::new, |agent| {
            agent.ledger().vms.keys().copied().collect()
        })
    }

    /// The VMs to which a node lends, by its agent's ledger.
    pub(crate) fn lent_of(&self, node: NodeId) -> BTreeSet<VmId> {
        let agent = self.nodes[node.index()].agent.as_ref();
        agent.map_or_else(BTreeSet::new, |agent| {
            agent.ledger().lent.keys().copied().collect()
        })
    }

    /// The state of a VM on a node, as it is there.
    pub(crate) fn state_of(&self, node: NodeId, vm: VmId) -> Option<VmState> {
        let hands = &self.nodes[node.index()].hands;
        hands.vms.get(&vm).map(|vm| vm.state)
    }

    /// Asks for something, at an instant from now on.
    pub fn ask(&mut self, at: Time, operation: OperationId, command: Command) {
        let due = Due::Asked(operation, Box::new(command));
        self.queue.push(at.max(self.now), 0, due);
    }

    /// Calls an operation off, at an instant from now on.
    pub fn call_off(&mut self, at: Time, operation: OperationId) {
        self.queue
            .push(at.max(self.now), 0, Due::CalledOff(operation));
    }

    /// Lets a fault befall it, at an instant from now on.
    pub fn befall(&mut self, at: Time, fault: Fault) {
        self.queue.push(at.max(self.now), 0, Due::Befalls(fault));
    }

    /// Goes on until an instant.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Lets the next thing happen; `false`: nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(due) = self.queue.pop() else {
            return false;
        };
        self.now = due.at;
        self.steps += 1;
        match due.event {
            Due::ToNode(node, message) => self.arrive_at_node(node, message),
            Due::ToController(node, message) => self.arrive_at_controller(node, message),
            Due::StepEnds(node, operation, number) => self.end_step(node, operation, number),
            Due::AgentTicks(node, agent) => self.tick_agent(node, agent),
            Due::LeaseLapses(node) => self.lapse(node),
            Due::AgentCalls(node, agent) => self.call(node, agent),
            Due::AgentStarts(node) => self.start_agent(node),
            Due::WatchdogLooks(node) => {
                self.nodes[node.index()].bark(self.now);
                self.check_running(node);
            }
            Due::NodeBoots(node) => {
                self.nodes[node.index()].boot(self.now);
                self.start_agent(node);
            }
            Due::ControllerTicks(controller) => self.tick_controller(controller),
            Due::ControllerStarts => self.start_controller(),
            Due::Asked(operation, command) => self.hand_in(operation, command),
            Due::CalledOff(operation) => self.tell_controller(Input::CalledOff { operation }),
            Due::Befalls(fault) => self.strike(fault),
            Due::Heals(fault) => self.heal(&fault),
        }
        true
    }

    fn after(&mut self, span: Span, due: Due) {
        self.queue.push(self.now + span, 0, due);
    }
}
