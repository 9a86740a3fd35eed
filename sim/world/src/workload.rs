//! What is asked of a world, and what befalls it, by chance from a seed.

use crate::fault::Fault;
use crate::profile::Profile;
use crate::world::World;
use control::backend::Command;
use control::settings::{Catalogue, Kernel, Settings};
use engine::chance::Stream;
use model::design::{Component, ComponentKind, Design, Link};
use model::grid::{Grid, NodeState};
use model::hypervisor::{Arch, Virtualisation};
use model::id::{NodeId, OperationId, VmId};
use model::kind::DEFAULT_IMAGE;
use model::order::{Scale, Shutdown, Verb};
use model::time::{Span, Time};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How much is asked in a day, and how much befalls.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    /// How long it lasts.
    pub length: Span,
    /// Operations asked for.
    pub operations: u32,
    /// Faults.
    pub faults: u32,
    /// How many steps break while steps break on a node, in thousandths.
    pub breaking_milli: u32,
    /// Designs that tenants have, about six VMs each.
    pub designs: u32,
}

impl Default for Day {
    /// Of 20 nodes with 200 VMs.
    fn default() -> Self {
        Self {
            length: Span(24 * 3_600_000),
            operations: 500,
            faults: 20,
            breaking_milli: 300,
            designs: 45,
        }
    }
}

/// How long a world comes to rest after a day: longer than any deadline and any fault.
const EVENING: Span = Span(2 * 3_600_000);

/// Runs a day, and the evening in which nothing is asked and nothing befalls; looks at what is left.
pub fn run(grid: &Arc<Grid>, day: Day, seed: u64) -> World {
    let settings = Settings {
        catalogue: catalogue(),
        ..Settings::default()
    };
    let mut world = World::new(Arc::clone(grid), settings, Profile::default(), seed);
    let mut asked = Asked {
        chance: Stream::new(seed, 0, "requests"),
        day,
        next: 1,
    };
    let mut faults = Stream::new(seed, 0, "faults");
    let instant = |chance: &mut Stream| Time(chance.below(day.length.0 as u64) as i64);
    for _ in 0..day.faults {
        let at = instant(&mut faults);
        let fault = fault(grid, day, &mut faults);
        world.befall(at, fault);
    }
    let mut instants: Vec<Time> = (0..day.operations)
        .map(|_| instant(&mut asked.chance))
        .collect();
    // Most tenants are there from the morning on.
    for early in instants.iter_mut().take(day.designs as usize) {
        early.0 %= 60_000;
    }
    instants.sort_unstable();
    for at in instants {
        world.run_until(at);
        asked.ask(&mut world);
    }
    world.run_until(Time::ZERO + day.length);
    for node in grid.node_ids() {
        let state = NodeState::Up;
        asked.submit(&mut world, Command::Node { node, state });
    }
    world.run_until(Time::ZERO + day.length + EVENING);
    world.check_at_rest();
    world
}

/// Images that are none, for VMs that are none.
pub fn catalogue() -> Catalogue {
    let kinds = [
        ComponentKind::LoadBalancer,
        ComponentKind::WebServer,
        ComponentKind::ApplicationServer,
        ComponentKind::Database,
        ComponentKind::Storage,
        ComponentKind::Firewall,
    ];
    let applications = kinds.iter().flat_map(|kind| kind.defaults().applications);
    let names = applications.chain([&DEFAULT_IMAGE]).enumerate();
    let image = |number: usize| format!("{number:064x}");
    let kernel = |(number, virtualisation)| Kernel {
        hypervisors: BTreeSet::new(),
        virtualisation,
        arch: Arch::X86_64,
        image: image(number),
    };
    let kernels = [(1_000, Virtualisation::Full), (1_001, Virtualisation::Para)];
    Catalogue {
        images: names
            .map(|(number, name)| ((*name).to_owned(), image(number)))
            .collect(),
        kernels: kernels.map(kernel).into(),
        ..Catalogue::default()
    }
}

fn fault(grid: &Grid, day: Day, chance: &mut Stream) -> Fault {
    let node = NodeId(chance.below(grid.nodes.len() as u64) as u32);
    let mut minutes = |from: u64, to: u64| Span((60_000 * (from + chance.below(to - from))) as i64);
    let (short, long) = (minutes(0, 3), minutes(1, 30));
    let after = chance.below(200) as u32;
    match chance.below(9) {
        0 | 1 => Fault::AgentDies {
            node,
            after,
            away: short,
        },
        2 => Fault::ControllerDies { after, away: short },
        3 => Fault::NodeDies { node, away: long },
        4 | 5 => Fault::Cut { node, length: long },
        6 => Fault::Lossy {
            milli: 200,
            delay: Span(30_000),
            length: long,
        },
        7 => match chance.below(2) {
            0 => Fault::Breaking {
                node,
                milli: day.breaking_milli,
                length: long,
            },
            _ => Fault::Slow {
                node,
                times: 50,
                length: long,
            },
        },
        _ => Fault::WrongClock {
            node,
            ahead: Span(chance.below(600_000) as i64 - 300_000),
        },
    }
}

/// Those who ask.
struct Asked {
    chance: Stream,
    day: Day,
    next: u64,
}

impl Asked {
    fn submit(&mut self, world: &mut World, command: Command) -> OperationId {
        let operation = OperationId(self.next);
        self.next += 1;
        let now = world.now();
        world.ask(now, operation, command.clone());
        // Some ask twice, and some change their minds.
        if self.chance.below(20) == 0 {
            let later = Span(self.chance.below(600_000) as i64);
            world.ask(now + later, operation, command);
        }
        operation
    }

    fn ask(&mut self, world: &mut World) {
        let command = self.command(world);
        let operation = self.submit(world, command);
        if self.chance.below(20) == 0 {
            let later = Span(self.chance.below(10_000) as i64);
            let at = world.now() + later;
            world.call_off(at, operation);
        }
    }

    fn command(&mut self, world: &World) -> Command {
        let nodes = world.grid().nodes.len() as u64;
        let vms: Vec<VmId> = world
            .controller()
            .map_or_else(Vec::new, |c| c.ledger().vms.keys().copied().collect());
        let is_morning = world.now() < Time(60_000);
        let choice = match vms.is_empty() || is_morning {
            true => 0,
            false => self.chance.below(100),
        };
        if choice < 15 {
            let design = Box::new(self.design());
            return Command::Deploy { design, plan: None };
        }
        if choice < 18 {
            let place = self.chance.below(u64::from(self.day.designs));
            return Command::Withdraw {
                tenant: format!("tenant-{place}"),
                design: "shop".to_owned(),
            };
        }
        if choice < 24 {
            let node = NodeId(self.chance.below(nodes) as u32);
            let states = [
                NodeState::Up,
                NodeState::Up,
                NodeState::Up,
                NodeState::Cordoned,
                NodeState::Draining,
            ];
            let state = states[self.chance.below(states.len() as u64) as usize];
            return Command::Node { node, state };
        }
        let vm = vms[self.chance.below(vms.len() as u64) as usize];
        if choice < 45 {
            let to = match self.chance.below(4) {
                0 => Some(NodeId(self.chance.below(nodes) as u32)),
                _ => None,
            };
            return Command::Move { vm, to };
        }
        let verb = self.verb();
        Command::Vm { vm, verb }
    }

    fn verb(&mut self) -> Verb {
        let name = format!("snapshot-{}", self.chance.below(2));
        match self.chance.below(12) {
            0 | 1 => Verb::Stop {
                shutdown: Shutdown::Asked {
                    patience_millis: 30_000,
                },
            },
            2 => Verb::Stop {
                shutdown: Shutdown::Forced,
            },
            3 | 4 => Verb::Start,
            5 => Verb::Pause,
            6 => Verb::Resume,
            7 => Verb::Reboot,
            8 => Verb::Snapshot { name },
            9 => Verb::DropSnapshot { name },
            10 => Verb::Scale {
                scale: Scale::Mem {
                    mem_mib: 512 * (1 + self.chance.below(4) as u32),
                },
            },
            _ => match self.chance.below(4) {
                0 => Verb::Delete,
                _ => Verb::ReportStatistics,
            },
        }
    }

    /// A small shop of some tenant, in another size each time.
    fn design(&mut self) -> Design {
        let place = self.chance.below(u64::from(self.day.designs));
        let remote_disk_gib = match self.chance.below(6) {
            0 => 20 + self.chance.below(100) as u32,
            _ => 0,
        };
        let mut component = |kind: ComponentKind, most: u64| Component {
            instances: 1 + self.chance.below(most) as u32,
            cpu_milli: 500 * (1 + self.chance.below(4) as u32),
            mem_mib: 512 * (1 + self.chance.below(4) as u32),
            disk_gib: 5 + self.chance.below(10) as u32,
            disk_iops: 0,
            net_mbps: 0,
            highly_available: self.chance.below(2) == 0,
            ..Component::new(kind, kind.defaults().short_name)
        };
        let mut components = vec![
            component(ComponentKind::LoadBalancer, 1),
            component(ComponentKind::WebServer, 6),
            component(ComponentKind::Database, 2),
        ];
        components[2].remote_disk_gib = remote_disk_gib;
        let link = |from: usize, to: usize| Link {
            from: components[from].name.clone(),
            to: components[to].name.clone(),
            port: 0,
        };
        Design {
            name: "shop".to_owned(),
            tenant: format!("tenant-{place}"),
            risk: None,
            links: vec![link(0, 1), link(1, 2)],
            components,
        }
    }
}
