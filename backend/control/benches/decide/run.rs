//! A controller whose nodes do as they are told, and a bare placer that decides the same beside it.

use crate::grid::{design, grid};
use control::backend::Command;
use control::controller::Controller;
use control::message::{Held, Input, Output};
use control::settings::Settings;
use model::design::Design;
use model::grid::Grid;
use model::id::{GroupId, NodeId, OperationId, VmId};
use model::order::{Order, Verb};
use model::report::{Outcome, Report, VmState};
use model::time::Time;
use model::topology::Topology;
use placement::assign::assign;
use placement::placer::{Decision, Placer, Search};
use placement::policy::Policy;
use placement::state::{Request, ShapeId};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Two clocks: that on the wall also counts what others take of the machine meanwhile, and that of the
/// processor time what it costs to read it. The smaller of the two is nearer to the truth.
struct Watch {
    wall: Instant,
    processor: Timespec,
}

impl Watch {
    fn start() -> Self {
        Self {
            processor: clock_gettime(ClockId::ThreadCPUTime),
            wall: Instant::now(),
        }
    }

    fn took(&self) -> Duration {
        let wall = self.wall.elapsed();
        let processor = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = |time: Timespec| time.tv_sec * 1_000_000_000 + time.tv_nsec;
        let nanos = nanos(processor) - nanos(self.processor);
        wall.min(Duration::from_nanos(nanos.unsigned_abs()))
    }
}

/// What was measured.
#[derive(Default)]
pub struct Times {
    pub one: Vec<Duration>,
    pub one_bare: Vec<Duration>,
    pub several: Vec<Duration>,
    pub several_bare: Vec<Duration>,
    pub refused: Vec<Duration>,
    pub withdrawn: Vec<Duration>,
    pub moved: Vec<Duration>,
    pub calls: Vec<Duration>,
    pub ticks: Vec<Duration>,
}

/// A VM as the bare placer has it.
struct Bare {
    shape: ShapeId,
    groups: Vec<GroupId>,
    decision: Decision,
}

/// A deployed design.
struct Stands {
    design: Design,
    bare: Vec<Bare>,
    vms: Vec<VmId>,
}

pub struct Run {
    grid: Arc<Grid>,
    controller: Controller,
    placer: Placer,
    held: Vec<BTreeMap<VmId, VmState>>,
    stands: Vec<Stands>,
    pub times: Times,
    now: Time,
    last: u64,
    designs: usize,
    seed: u64,
}

impl Run {
    /// Empty nodes that have all called.
    pub fn new(nodes: usize, policy: Policy) -> Self {
        let grid = grid(nodes);
        let placer = Placer::new(Arc::clone(&grid), policy.clone(), Search::Indexed, 0);
        let settings = Settings {
            policy,
            ..Settings::default()
        };
        let controller = Controller::recover(settings, Arc::clone(&grid), [], Time::ZERO);
        let mut run = Self {
            held: vec![BTreeMap::new(); grid.nodes.len()],
            grid,
            controller,
            placer,
            stands: Vec::new(),
            times: Times::default(),
            now: Time::ZERO,
            last: 0,
            designs: 0,
            seed: 88_172_645_463_325_252,
        };
        for node in run.grid.node_ids() {
            run.call(node);
        }
        run.times = Times::default();
        run
    }

    pub fn vms(&self) -> usize {
        self.controller.ledger().vms.len()
    }

    pub fn policy(&self) -> &Policy {
        self.placer.policy()
    }

    /// Deploys designs, whose times do not count.
    pub fn fill(&mut self, designs: usize) {
        for _ in 0..designs {
            self.deploy();
        }
        self.times = Times::default();
    }

    /// One request by lot: mostly a new design, or one that goes; some VMs move.
    pub fn request(&mut self) {
        match self.draw(20) {
            0..=10 => self.deploy(),
            11..=18 => self.withdraw(),
            _ => self.move_one(),
        }
    }

    /// Agents call, by lot.
    pub fn calls(&mut self, calls: usize) {
        for _ in 0..calls {
            let node = NodeId(self.draw(self.grid.nodes.len()) as u32);
            self.call(node);
        }
    }

    pub fn tick(&mut self) {
        let start = Watch::start();
        let out = self.step(Input::Ticked);
        self.times.ticks.push(start.took());
        self.obey(out);
    }

    fn deploy(&mut self) {
        self.designs += 1;
        let (is_one, lot) = (self.draw(2) == 0, self.draw(4_096));
        let design = design(self.designs, is_one, lot);
        let command = Command::Deploy {
            design: Box::new(design.clone()),
            plan: None,
        };
        let next = self.controller.ledger().next_vm;
        let (took, out) = self.ask(command);
        let vms: Vec<VmId> = (next..self.controller.ledger().next_vm).map(VmId).collect();
        if vms.is_empty() {
            self.times.refused.push(took);
            return;
        }
        let (bare_took, bare) = self.place_bare(&design);
        for (vm, bare) in vms.iter().zip(&bare) {
            let node = self.controller.ledger().vms[vm].node;
            assert_eq!(
                node, bare.decision.node,
                "the controller decides as the bare placer"
            );
        }
        let (whole, alone) = match is_one {
            true => (&mut self.times.one, &mut self.times.one_bare),
            false => (&mut self.times.several, &mut self.times.several_bare),
        };
        whole.push(took);
        alone.push(bare_took);
        self.obey(out);
        self.stands.push(Stands { design, bare, vms });
    }

    /// The same VMs by the placer alone.
    fn place_bare(&mut self, design: &Design) -> (Duration, Vec<Bare>) {
        let topology = Topology::check(design).expect("a topology");
        let assignment = assign(&topology, &self.grid).expect("an assignment");
        let groups: Vec<GroupId> = assignment
            .groups
            .iter()
            .map(|g| self.placer.group(g.rule))
            .collect();
        let asked = assignment.vms.iter().map(|vm| {
            let groups: Vec<GroupId> = vm.groups.iter().map(|g| groups[g.index()]).collect();
            (self.placer.shape(&vm.spec), groups)
        });
        let asked: Vec<(ShapeId, Vec<GroupId>)> = asked.collect();
        let mut decisions = Vec::with_capacity(asked.len());
        let start = Watch::start();
        for (shape, groups) in &asked {
            let request = Request {
                shape: *shape,
                groups,
            };
            let decision =
                black_box(self.placer.decide(request)).expect("the controller found room");
            self.placer.place(request, &decision);
            decisions.push(decision);
        }
        let took = start.took();
        let bare = asked.into_iter().zip(decisions);
        let bare = bare.map(|((shape, groups), decision)| Bare {
            shape,
            groups,
            decision,
        });
        (took, bare.collect())
    }

    fn withdraw(&mut self) {
        let place = self.draw(self.stands.len());
        let gone = self.stands.swap_remove(place);
        let command = Command::Withdraw {
            tenant: gone.design.tenant,
            design: gone.design.name,
        };
        let (took, out) = self.ask(command);
        self.times.withdrawn.push(took);
        self.obey(out);
        for bare in gone.bare {
            let request = Request {
                shape: bare.shape,
                groups: &bare.groups,
            };
            self.placer.release(request, &bare.decision);
        }
    }

    fn move_one(&mut self) {
        let place = self.draw(self.stands.len());
        let index = self.draw(self.stands[place].vms.len());
        let vm = self.stands[place].vms[index];
        let (took, out) = self.ask(Command::Move { vm, to: None });
        self.times.moved.push(took);
        self.obey(out);
        let node = self.controller.ledger().vms[&vm].node;
        let bare = &mut self.stands[place].bare[index];
        let request = Request {
            shape: bare.shape,
            groups: &bare.groups,
        };
        self.placer.release(request, &bare.decision);
        bare.decision.node = node;
        self.placer.place(request, &bare.decision);
    }

    fn ask(&mut self, command: Command) -> (Duration, Vec<Output>) {
        self.last += 1;
        let (operation, command) = (OperationId(self.last), Box::new(command));
        let mut out = Vec::new();
        let start = Watch::start();
        self.controller
            .step(self.now, Input::Submitted { operation, command }, &mut out);
        (start.took(), black_box(out))
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.now.0 += 1;
        let mut out = Vec::new();
        self.controller.step(self.now, input, &mut out);
        out
    }

    fn call(&mut self, node: NodeId) {
        let held = self.held[node.index()].iter();
        let held = held.map(|(&vm, &state)| Held {
            vm,
            state: Some(state),
        });
        let (at, held) = (self.now, held.collect());
        let start = Watch::start();
        let out = self.step(Input::Called { node, at, held });
        self.times.calls.push(start.took());
        self.obey(out);
    }

    /// All orders, and those that follow, are carried out at once.
    fn obey(&mut self, out: Vec<Output>) {
        let mut orders = sent(out);
        while let Some(order) = orders.pop() {
            let here = order.node.index();
            match &order.verb {
                Verb::Create { .. } => {
                    self.held[here].insert(order.vm, VmState::Stopped);
                }
                Verb::Start => {
                    self.held[here].insert(order.vm, VmState::Running);
                }
                Verb::Delete => {
                    self.held[here].remove(&order.vm);
                }
                Verb::Receive { .. } => {
                    let address = order.operation.0.to_string();
                    orders.extend(sent(self.tell(&order, Outcome::Listening { address })));
                    self.held[here].insert(order.vm, VmState::Running);
                }
                Verb::Migrate { .. } => {
                    self.held[here].remove(&order.vm);
                }
                _ => {}
            }
            let more = sent(self.tell(&order, Outcome::Done));
            orders.extend(more);
        }
    }

    fn tell(&mut self, order: &Order, outcome: Outcome) -> Vec<Output> {
        let report = Box::new(Report {
            node: order.node,
            at: self.now,
            vm: Some(order.vm),
            operation: Some(order.operation),
            outcome,
        });
        self.step(Input::Reported { report })
    }

    /// Marsaglia's xorshift: a lot below `bound`.
    fn draw(&mut self, bound: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        ((u128::from(self.seed) * bound as u128) >> 64) as usize
    }
}

fn sent(out: Vec<Output>) -> Vec<Order> {
    let orders = out.into_iter().filter_map(|output| match output {
        Output::Send { order, .. } => Some(*order),
        _ => None,
    });
    orders.collect()
}
