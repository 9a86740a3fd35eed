//! What an event costs: nodes from 1,000 to 100,000, fast path and naive scan, every policy.
//!
//! The grid is two fifths nodes of 32 cores / 128 GiB, two fifths of 64 / 256, a fifth of 128 / 512,
//! filled once to 85 % of its cores by the flavours of Huawei-East-1. An iteration is two events: a
//! VM chosen by lot leaves, and a new one is decided on and placed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::grid::{Grid, Node, NodeClass, NodeState, Rack, Site};
use model::hypervisor::{Arch, Efficiency, Guest, Hypervisor, HypervisorType, Virtualisation};
use model::id::{Generation, HypervisorId, NodeClassId, RackId, SiteId};
use model::units::Resources;
use model::vm::{Risk, VmSpec};
use placement::placer::{Decision, Placer, Search};
use placement::policy::Policy;
use placement::state::{Request, ShapeId};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

/// Cores, GiB, and share in tenths of a percent of the flavours of Huawei-East-1, from its VM table.
const FLAVOURS: [(u32, u32, u64); 13] = [
    (1, 1, 220),
    (1, 2, 438),
    (1, 4, 27),
    (2, 4, 134),
    (2, 8, 19),
    (4, 8, 91),
    (4, 16, 17),
    (8, 16, 27),
    (8, 32, 10),
    (12, 24, 5),
    (16, 32, 9),
    (32, 64, 2),
    (64, 128, 2),
];

fn grid(nodes: usize) -> Grid {
    let class = |name: &str, cores: u32| NodeClass {
        name: name.to_owned(),
        model: name.to_owned(),
        arch: Arch::X86_64,
        hypervisor: HypervisorId(0),
        capacity: Resources::cpu_mem(cores * 1_000, cores * 4 * 1_024),
        accelerators: None,
        licences: BTreeSet::new(),
        roles: BTreeSet::new(),
        labels: BTreeMap::new(),
        risk: Risk::High,
        cost_milli_per_hour: 0,
    };
    let class_of = |n: usize| match n * 5 / nodes {
        0 | 1 => 0,
        2 | 3 => 1,
        _ => 2,
    };
    let node = |n: usize| Node {
        name: format!("n{n}"),
        class: NodeClassId(class_of(n)),
        rack: RackId(0),
        state: NodeState::Up,
    };
    Grid {
        name: "bench".to_owned(),
        generation: Generation(1),
        sites: vec![Site {
            name: "here".to_owned(),
        }],
        racks: vec![Rack {
            name: "r".to_owned(),
            site: SiteId(0),
        }],
        hypervisors: vec![Hypervisor {
            name: "plain".to_owned(),
            title: "Plain".to_owned(),
            hypervisor_type: HypervisorType::Type1,
            virtualisation: vec![Virtualisation::Full],
            archs: vec![Arch::X86_64],
            emulated_archs: Vec::new(),
            guests: vec![Guest::Linux],
            capabilities: Vec::new(),
            efficiency: Efficiency::default(),
            source: String::new(),
        }],
        classes: vec![class("small", 32), class("middle", 64), class("large", 128)],
        nodes: (0..nodes).map(node).collect(),
        ..Grid::default()
    }
}

/// A grid in a steady state.
struct Churn {
    placer: Placer,
    shapes: Vec<ShapeId>,
    /// Shapes by thousandths of their share.
    lots: Vec<usize>,
    alive: Vec<(ShapeId, Decision)>,
    seed: u64,
}

impl Churn {
    /// A filled grid. It is filled by the fast path, whatever is measured afterwards; and by best
    /// fit for a policy whose decisions cost the more the more nodes there are, as filling would
    /// take hours.
    fn new(nodes: usize, policy: &Policy, search: Search) -> Self {
        let of_all_nodes = matches!(policy, Policy::Nova | Policy::Topsis);
        let filler = if of_all_nodes {
            &Policy::BestFit
        } else {
            policy
        };
        let mut churn = Self::empty(nodes, filler, Search::Indexed);
        let full = nodes as u64 * 64 * 1_000 * 85 / 100;
        let mut used = 0;
        while used < full {
            used += churn.arrive();
        }
        if search == Search::Naive || of_all_nodes {
            let mut measured = Self::empty(nodes, policy, search);
            for (shape, decision) in &churn.alive {
                let request = Request {
                    shape: *shape,
                    groups: &[],
                };
                measured.placer.place(request, decision);
            }
            churn.placer = measured.placer;
        }
        churn
    }

    fn empty(nodes: usize, policy: &Policy, search: Search) -> Self {
        let mut placer = Placer::new(Arc::new(grid(nodes)), policy.clone(), search, 1);
        let spec = |(cores, gib, _)| VmSpec::plain(Resources::cpu_mem(cores * 1_000, gib * 1_024));
        let shapes: Vec<ShapeId> = FLAVOURS.map(spec).iter().map(|s| placer.shape(s)).collect();
        let mix: Vec<_> = shapes.iter().copied().zip(FLAVOURS.map(|f| f.2)).collect();
        placer.set_mix(&mix);
        let lots = FLAVOURS.iter().enumerate();
        let lots = lots.flat_map(|(shape, flavour)| vec![shape; flavour.2 as usize]);
        Self {
            placer,
            shapes,
            lots: lots.collect(),
            alive: Vec::new(),
            seed: 88_172_645_463_325_252,
        }
    }

    /// Marsaglia's xorshift: a lot below `bound`.
    fn draw(&mut self, bound: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        ((u128::from(self.seed) * bound as u128) >> 64) as usize
    }

    /// One arrival; gives the thousandths of cores that it asked for.
    fn arrive(&mut self) -> u64 {
        let lot = self.draw(self.lots.len());
        let flavour = self.lots[lot];
        let request = Request {
            shape: self.shapes[flavour],
            groups: &[],
        };
        if let Ok(decision) = black_box(self.placer.decide(request)) {
            self.placer.place(request, &decision);
            self.alive.push((request.shape, decision));
        }
        u64::from(FLAVOURS[flavour].0) * 1_000
    }

    fn leave(&mut self) {
        let place = self.draw(self.alive.len());
        let (shape, decision) = self.alive.swap_remove(place);
        self.placer
            .release(Request { shape, groups: &[] }, &decision);
    }
}

fn decide(criterion: &mut Criterion) {
    for nodes in [1_000, 10_000, 100_000] {
        for search in [Search::Indexed, Search::Naive] {
            let mut group = criterion.benchmark_group(format!("{nodes} nodes, {search:?}"));
            group.throughput(Throughput::Elements(2)).sample_size(10);
            group.warm_up_time(std::time::Duration::from_millis(300));
            group.measurement_time(std::time::Duration::from_secs(1));
            for policy in Policy::all() {
                // The oracle is the same loop for every policy, and slow.
                if search == Search::Naive && policy != Policy::BestFit {
                    continue;
                }
                // Once for all samples, and only where the benchmark is not filtered out.
                let mut churn = None;
                group.bench_function(policy.name(), |bencher| {
                    let churn = churn.get_or_insert_with(|| Churn::new(nodes, &policy, search));
                    bencher.iter(|| {
                        churn.leave();
                        churn.arrive()
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
