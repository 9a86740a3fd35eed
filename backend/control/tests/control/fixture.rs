//! A controller with nodes that do as they are told, one order at a time.

use control::backend::{Command, Refused};
use control::controller::Controller;
use control::journal::Entry;
use control::message::{Held, Input, Output};
use control::settings::{Catalogue, Settings};
use model::configuration::Configuration;
use model::design::{Component, ComponentKind, Design};
use model::event::Event;
use model::grid::Grid;
use model::id::{NodeId, OperationId, VmId};
use model::order::{Order, Verb};
use model::report::{Outcome, Report, VmState};
use model::time::{Span, Time};
use recipe::book::Book;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often time passes for the controller.
const TICK: Span = Span(10_000);

/// Equal nodes of one site, of 8 cores and 16 GiB each.
pub fn grid(nodes: u32) -> Arc<Grid> {
    let text = format!(
        "version = 1\nname = \"Some\"\n\n[[node]]\nname = \"alpha\"\ncount = {nodes}\ncpu_cores = 8\n\
         mem_gib = 16\ndisk_gib = 200\nhypervisor = \"qemu\"\nsite = \"north\"\n"
    );
    let grid = model::grid_file::read_grid("some.toml", &text);
    Arc::new(grid.expect("a grid"))
}

/// A component of 2 cores and 2 GiB.
pub fn component(kind: ComponentKind, instances: u32) -> Component {
    Component {
        instances,
        cpu_milli: 2_000,
        mem_mib: 2_048,
        disk_gib: 10,
        disk_iops: 0,
        net_mbps: 0,
        ..Component::new(kind, kind.defaults().short_name)
    }
}

/// Some web servers of a tenant.
pub fn servers(tenant: &str, instances: u32) -> Design {
    Design {
        name: "shop".to_owned(),
        tenant: tenant.to_owned(),
        components: vec![component(ComponentKind::WebServer, instances)],
        ..Design::default()
    }
}

/// The same, restarted elsewhere where their node dies.
pub fn available_servers(tenant: &str, instances: u32) -> Design {
    let mut design = servers(tenant, instances);
    design.components[0].highly_available = true;
    design
}

pub fn deploy(design: Design) -> Command {
    let design = Box::new(design);
    Command::Deploy { design, plan: None }
}

/// A controller, all that it has answered, and its nodes.
pub struct Fixture {
    pub grid: Arc<Grid>,
    pub controller: Controller,
    pub now: Time,
    pub journal: Vec<Entry>,
    /// What was in it before it was shortened.
    pub dropped: Vec<Entry>,
    pub answers: Vec<(OperationId, Result<(), Refused>)>,
    pub history: Vec<Event>,
    /// Orders that were sent and that nobody has ended, each once.
    pub orders: BTreeMap<OperationId, Order>,
    /// Orders that are to end early.
    pub called_off: BTreeSet<OperationId>,
    /// When each node was given a lease last.
    pub leased: BTreeMap<NodeId, Time>,
    /// VMs of each node.
    pub held: Vec<BTreeMap<VmId, VmState>>,
    /// Nodes whose agents call.
    pub up: BTreeSet<NodeId>,
    /// What VMs were sent for their services since they were made.
    pub sent: BTreeMap<VmId, Vec<Configuration>>,
    settings: Settings,
    last: u64,
}

impl Fixture {
    /// Nodes that have all called.
    pub fn new(nodes: u32) -> Self {
        Self::with(nodes, Settings::default())
    }

    /// The same, whose components are made by the recipes that are built in.
    pub fn with_recipes(nodes: u32) -> Self {
        let catalogue = Catalogue {
            images: [("services".to_owned(), "5e".repeat(32))].into(),
            book: Some(Arc::new(Book::shipped())),
            ..Catalogue::default()
        };
        let settings = Settings {
            catalogue,
            ..Settings::default()
        };
        Self::with(nodes, settings)
    }

    fn with(nodes: u32, settings: Settings) -> Self {
        let grid = grid(nodes);
        let controller = Controller::recover(settings.clone(), Arc::clone(&grid), [], Time::ZERO);
        let mut fixture = Self {
            controller,
            now: Time::ZERO,
            journal: Vec::new(),
            dropped: Vec::new(),
            answers: Vec::new(),
            history: Vec::new(),
            orders: BTreeMap::new(),
            called_off: BTreeSet::new(),
            leased: BTreeMap::new(),
            held: vec![BTreeMap::new(); nodes as usize],
            up: grid.node_ids().collect(),
            sent: BTreeMap::new(),
            settings,
            last: 0,
            grid,
        };
        fixture.call_all();
        fixture
    }

    pub fn tell(&mut self, input: Input) {
        let mut out = Vec::new();
        self.controller.step(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Write(entry) => self.journal.push(entry),
                Output::Answer { operation, answer } => self.answer(operation, answer),
                Output::Send { order, .. } => {
                    self.orders.insert(order.operation, *order);
                }
                Output::CallOff { order, .. } => {
                    self.called_off.insert(order);
                }
                Output::Lease { node, .. } => {
                    self.leased.insert(node, self.now);
                }
                Output::Happened(event) => self.history.push(event),
            }
        }
    }

    /// What is answered is in the journal by then.
    fn answer(&mut self, operation: OperationId, answer: Result<(), Refused>) {
        let is_written = self.journal.iter().any(|entry| match (entry, &answer) {
            (Entry::Accepted { operation: of, .. }, Ok(())) => *of == operation,
            (Entry::Refused { operation: of, why }, Err(told)) => *of == operation && why == told,
            (Entry::Kept { .. }, _) => true,
            _ => false,
        });
        assert!(is_written, "{operation} was answered {answer:?} too early");
        self.answers.push((operation, answer));
    }

    /// Asks under a new id.
    pub fn ask(&mut self, command: Command) -> (OperationId, Result<(), Refused>) {
        self.last += 1;
        let operation = OperationId(self.last);
        (operation, self.ask_as(operation, command))
    }

    pub fn ask_as(&mut self, operation: OperationId, command: Command) -> Result<(), Refused> {
        let command = Box::new(command);
        let before = self.answers.len();
        self.tell(Input::Submitted { operation, command });
        assert_eq!(self.answers.len(), before + 1, "one answer a command");
        let (of, answer) = self.answers[before].clone();
        assert_eq!(of, operation);
        answer
    }

    /// Asks for what is accepted.
    pub fn accepted(&mut self, command: Command) -> OperationId {
        let (operation, answer) = self.ask(command);
        assert_eq!(answer, Ok(()));
        operation
    }

    /// Asks for what is accepted, and lets it be carried out.
    pub fn done(&mut self, command: Command) -> OperationId {
        let operation = self.accepted(command);
        self.carry_out();
        assert_eq!(self.ends(operation), [Outcome::Done]);
        operation
    }

    /// Asks for what takes no orders.
    pub fn done_without_orders(&mut self, command: Command) -> OperationId {
        let operation = self.accepted(command);
        assert_eq!(self.ends(operation), [Outcome::Done]);
        operation
    }

    /// How an operation has ended: once, in the end.
    pub fn ends(&self, operation: OperationId) -> Vec<Outcome> {
        let ends = self.journal.iter().filter_map(|entry| match entry {
            Entry::Ended {
                operation: of,
                outcome,
                ..
            } if *of == operation => Some(outcome.clone()),
            _ => None,
        });
        ends.collect()
    }

    pub fn call_all(&mut self) {
        for node in self.up.clone() {
            self.call(node);
        }
    }

    pub fn call(&mut self, node: NodeId) {
        let held = self.held[node.index()].iter();
        let held = held.map(|(&vm, &state)| Held {
            vm,
            state: Some(state),
        });
        let held = held.collect();
        let at = self.now;
        self.tell(Input::Called { node, at, held });
    }

    /// A node's agent calls no more.
    pub fn leave(&mut self, node: NodeId) {
        self.up.remove(&node);
        self.tell(Input::Left { node });
    }

    /// Lets time pass; agents call meanwhile.
    pub fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while self.now < until {
            self.now = self.now + TICK;
            self.call_all();
            self.tell(Input::Ticked);
        }
    }

    /// Nodes that are reached do all that they are told.
    pub fn carry_out(&mut self) {
        loop {
            self.listen();
            let Some(order) = self.doable().first().copied() else {
                return;
            };
            self.obey(order);
        }
    }

    /// Orders that their nodes can end.
    pub fn doable(&self) -> Vec<OperationId> {
        let orders = self.orders.values().filter(|order| {
            let comes = match &order.verb {
                Verb::Receive { .. } => self.called_off.contains(&order.operation),
                _ => true,
            };
            comes && self.up.contains(&order.node)
        });
        orders.map(|order| order.operation).collect()
    }

    /// An order ends as it should.
    pub fn obey(&mut self, order: OperationId) {
        let order = self.orders[&order].clone();
        let (vm, here) = (order.vm, order.node.index());
        match &order.verb {
            Verb::Receive { .. } => return self.end(&order, Outcome::Cancelled),
            Verb::Create { .. } => {
                self.sent.remove(&vm);
                self.held[here].insert(vm, VmState::Stopped);
            }
            Verb::Delete => {
                self.held[here].remove(&vm);
            }
            Verb::Configure { configuration } => {
                if self.held[here].get(&vm) != Some(&VmState::Running) {
                    let reason = "it does not run".to_owned();
                    return self.end(&order, Outcome::Failed { reason });
                }
                self.sent
                    .entry(vm)
                    .or_default()
                    .push((**configuration).clone());
            }
            Verb::Start | Verb::Resume | Verb::Reboot => {
                self.held[here].insert(vm, VmState::Running);
            }
            Verb::Stop { .. } => {
                self.held[here].insert(vm, VmState::Stopped);
            }
            Verb::Migrate { to, .. } => {
                let mut orders = self.orders.values();
                let received = orders.find(|other| other.vm == vm && other.node == *to);
                let Some(received) = received.cloned() else {
                    let reason = "nobody receives it there".to_owned();
                    return self.end(&order, Outcome::Failed { reason });
                };
                let state = self.held[here].remove(&vm).expect("it is here");
                self.held[to.index()].insert(vm, state);
                self.end(&received, Outcome::Done);
            }
            Verb::Lend { .. } => {
                let address = format!("10.0.{here}.1:10809");
                self.report(&order, Outcome::Listening { address });
            }
            _ => {}
        }
        self.end(&order, Outcome::Done);
    }

    /// An order ends.
    pub fn end(&mut self, order: &Order, outcome: Outcome) {
        self.orders.remove(&order.operation);
        self.report(order, outcome);
    }

    /// Who receives VMs says where.
    pub fn listen(&mut self) {
        let receivers = self.orders.values();
        let receivers = receivers.filter(|order| {
            let receives = matches!(order.verb, Verb::Receive { .. });
            receives && self.up.contains(&order.node)
        });
        for order in receivers.cloned().collect::<Vec<_>>() {
            let address = format!("{}", order.operation.0);
            self.report(&order, Outcome::Listening { address });
        }
    }

    pub fn report(&mut self, order: &Order, outcome: Outcome) {
        let report = Box::new(Report {
            node: order.node,
            at: self.now,
            vm: Some(order.vm),
            operation: Some(order.operation),
            outcome,
        });
        self.tell(Input::Reported { report });
    }

    /// A node tells the state of a VM by itself.
    pub fn see(&mut self, node: NodeId, vm: VmId, state: VmState) {
        self.held[node.index()].insert(vm, state);
        let report = Box::new(Report {
            node,
            at: self.now,
            vm: Some(vm),
            operation: None,
            outcome: Outcome::Seen { state: Some(state) },
        });
        self.tell(Input::Reported { report });
    }

    /// Another controller that reads this one's journal.
    pub fn recovered(&self) -> Controller {
        let entries = self.journal.iter().cloned();
        let grid = Arc::clone(&self.grid);
        Controller::recover(self.settings.clone(), grid, entries, self.now)
    }

    /// The controller dies, and another takes its place.
    pub fn kill(&mut self) {
        self.controller = self.recovered();
    }

    /// Puts one entry in place of all.
    pub fn shorten(&mut self, kept: Entry) {
        self.dropped.append(&mut self.journal);
        self.journal.push(kept);
    }

    /// The node of a VM.
    pub fn node_of(&self, vm: VmId) -> NodeId {
        self.controller.ledger().vms[&vm].node
    }
}
