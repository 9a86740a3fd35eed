//! Random grids, shapes and sequences of what happens to them.

use model::grid::{Accelerators, Grid, Node, NodeClass, NodeState, Rack, Site};
use model::hypervisor::{
    Arch, Capability, Efficiency, Guest, Hypervisor, HypervisorType, Virtualisation,
};
use model::id::{Generation, HypervisorId, NodeClassId, RackId, SiteId};
use model::units::Resources;
use model::vm::{
    AcceleratorAmount, AcceleratorAsk, Affinity, Demand, GroupRule, Risk, Scope, VmSpec,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a placer.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A VM of a shape arrives, in some groups.
    Place { shape: usize, groups: Vec<u32> },
    /// One of the VMs that are there leaves.
    Release(prop::sample::Index),
    /// A node opens or closes.
    SetState(prop::sample::Index, NodeState),
}

/// A grid, shapes, groups, and deeds.
#[derive(Clone, Debug)]
pub struct World {
    pub grid: Grid,
    pub shapes: Vec<VmSpec>,
    pub groups: Vec<GroupRule>,
    pub deeds: Vec<Deed>,
}

fn words(all: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    subsequence(all, 0..=all.len()).prop_map(|some| some.into_iter().map(str::to_owned).collect())
}

/// No word at all three times of four, so that most VMs find some node.
fn few_words(all: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    prop_oneof![3 => Just(BTreeSet::new()), 1 => words(all)]
}

fn hypervisor() -> impl Strategy<Value = Hypervisor> {
    (
        subsequence(&[Arch::X86_64, Arch::Aarch64][..], 1..=2),
        subsequence(&[Guest::Linux, Guest::Windows][..], 1..=2),
        subsequence(&[Virtualisation::Full, Virtualisation::Para][..], 1..=2),
        subsequence(&[Capability::Pause, Capability::LiveMigration][..], 0..=2),
    )
        .prop_map(|(archs, guests, virtualisation, capabilities)| Hypervisor {
            name: "some".to_owned(),
            title: "Some".to_owned(),
            hypervisor_type: HypervisorType::Type1,
            virtualisation,
            archs,
            emulated_archs: Vec::new(),
            guests,
            capabilities,
            efficiency: Efficiency::default(),
            source: String::new(),
        })
}

fn risk() -> impl Strategy<Value = Risk> {
    select(vec![Risk::High, Risk::High, Risk::Medium, Risk::Low])
}

fn node_class(hypervisors: usize) -> impl Strategy<Value = NodeClass> {
    (
        (
            select(vec!["m1", "m2"]),
            select(vec![Arch::X86_64, Arch::X86_64, Arch::Aarch64]),
            0..hypervisors,
        ),
        (1..=16_u32, 1..=64_u32, 0..=4_u32, 0..=2_u32, 0..=3_u32),
        prop_oneof![
            2 => Just(None),
            1 => (select(vec!["T4", "V100"]), 1..=8_u32).prop_map(Some)
        ],
        words(&["oracle", "windows"]),
        words(&["storage", "web"]),
        words(&["ssd"]),
        risk(),
    )
        .prop_map(
            |((model, arch, hypervisor), size, accelerators, licences, roles, labels, risk)| {
                let (cpu, mem, disk, io, net) = size;
                let devices = accelerators.map_or(0, |(_, count)| count);
                NodeClass {
                    name: format!("{model}-{cpu}"),
                    model: model.to_owned(),
                    arch,
                    hypervisor: HypervisorId(hypervisor as u32),
                    capacity: Resources::from_array([
                        cpu * 1_000,
                        mem * 512,
                        disk * 100,
                        io * 1_000,
                        net * 333,
                        devices * 1_000,
                    ]),
                    accelerators: accelerators.map(|(model, count)| Accelerators {
                        model: model.to_owned(),
                        count,
                    }),
                    licences,
                    roles,
                    labels: labels.into_iter().map(|l| (l, "yes".to_owned())).collect(),
                    risk,
                    cost_milli_per_hour: 100,
                }
            },
        )
}

fn node_state() -> impl Strategy<Value = NodeState> {
    prop_oneof![
        12 => Just(NodeState::Up),
        1 => Just(NodeState::Cordoned),
        1 => Just(NodeState::Draining),
        1 => Just(NodeState::Down),
    ]
}

/// Runs of equal nodes, short and long, so that blocks of one class and mixed ones both occur.
fn grid() -> impl Strategy<Value = Grid> {
    vec(hypervisor(), 1..3)
        .prop_flat_map(|hypervisors| {
            let classes = vec(node_class(hypervisors.len()), 1..4);
            (Just(hypervisors), classes)
        })
        .prop_flat_map(|(hypervisors, classes)| {
            let runs = vec((0..classes.len(), 0..4_u32, 1..100_usize), 1..4);
            (Just(hypervisors), Just(classes), runs)
        })
        .prop_flat_map(|(hypervisors, classes, runs)| {
            let count: usize = runs.iter().map(|(_, _, length)| length).sum();
            let states = vec(node_state(), count);
            let prices = (0..50_u32, 0..50_u32);
            (Just((hypervisors, classes)), Just(runs), states, prices)
        })
        .prop_map(|((hypervisors, classes), runs, states, prices)| {
            let places = runs.into_iter().flat_map(|(class, rack, length)| {
                (0..length).map(move |n| (class, (rack + u32::from(n % 10 == 9)) % 4))
            });
            let nodes = places.zip(states).enumerate();
            Grid {
                name: "random".to_owned(),
                generation: Generation(1),
                sites: ["north", "south"]
                    .map(|name| Site {
                        name: name.to_owned(),
                    })
                    .to_vec(),
                racks: (0..4)
                    .map(|r| Rack {
                        name: format!("r{r}"),
                        site: SiteId(r % 2),
                    })
                    .collect(),
                hypervisors,
                classes,
                nodes: nodes
                    .map(|(n, ((class, rack), state))| Node {
                        name: format!("n{n}"),
                        class: NodeClassId(class as u32),
                        rack: RackId(rack),
                        state,
                    })
                    .collect(),
                // A price of 0 stands for one that nobody gave.
                licence_cost_milli_per_hour: [("oracle", prices.0), ("windows", prices.1)]
                    .map(|(licence, cost)| (licence.to_owned(), cost))
                    .into(),
            }
        })
}

fn accelerator_ask() -> impl Strategy<Value = Option<AcceleratorAsk>> {
    let amount = prop_oneof![
        (1..=999_u32).prop_map(AcceleratorAmount::ShareMilli),
        (1..=3_u32).prop_map(AcceleratorAmount::Devices),
    ];
    prop_oneof![
        2 => Just(None),
        1 => (few_words(&["T4", "V100"]), amount)
            .prop_map(|(models, amount)| Some(AcceleratorAsk { models, amount })),
    ]
}

fn demand() -> impl Strategy<Value = Demand> {
    let fixed = (1..=6_u32, 1..=12_u32, 0..=2_u32, 0..=1_u32, 0..=1_u32)
        .prop_map(|(cpu, mem, disk, io, net)| {
            let disk = disk.saturating_sub(1);
            Resources::from_array([cpu * 500, mem * 256, disk * 50, io * 100, net * 50, 0])
        })
        .prop_map(Demand::Fixed);
    let share = vec((select(vec!["m1", "m2"]), 1..=400_000_u32), 1..3).prop_map(|models| {
        let share =
            |(model, ppm): (&str, u32)| (model.to_owned(), [ppm, ppm / 2, 0, ppm / 9, 0, 0]);
        Demand::ShareOfModel(models.into_iter().map(share).collect())
    });
    prop_oneof![3 => fixed, 1 => share]
}

fn spec() -> impl Strategy<Value = VmSpec> {
    (
        (demand(), accelerator_ask()),
        prop_oneof![3 => Just(None), 1 => Just(Some(Arch::X86_64))],
        select(vec![
            Guest::Linux,
            Guest::Linux,
            Guest::Linux,
            Guest::Windows,
        ]),
        prop_oneof![3 => Just(None), 1 => Just(Some(Virtualisation::Para))],
        few_words(&["oracle", "windows"]),
        (
            few_words(&["north"]),
            few_words(&["storage"]),
            few_words(&["ssd"]),
        ),
        prop_oneof![3 => Just(None), 1 => Just(Some(Capability::LiveMigration))],
        (select(vec![Risk::Low, Risk::Medium]), 0..=1_000_u32),
    )
        .prop_map(
            |(asks, arch, guest, way, licences, wishes, capability, rest)| {
                let (demand, accelerators) = asks;
                let (sites, roles, labels) = wishes;
                let (risk, expected_load_milli) = rest;
                VmSpec {
                    demand,
                    accelerators,
                    arch,
                    guest,
                    virtualisation: way,
                    licences,
                    sites,
                    roles,
                    labels: labels
                        .into_iter()
                        .map(|l| (l, "yes".to_owned()))
                        .collect::<BTreeMap<_, _>>(),
                    capabilities: capability.into_iter().collect(),
                    risk,
                    expected_load_milli,
                    ..VmSpec::plain(Resources::default())
                }
            },
        )
}

fn rule() -> impl Strategy<Value = GroupRule> {
    let kind = select(vec![Affinity::Together, Affinity::Apart]);
    let scope = select(vec![Scope::Node, Scope::Rack, Scope::Site]);
    (kind, scope).prop_map(|(kind, scope)| GroupRule { kind, scope })
}

/// A world in which up to `deeds` things happen.
pub fn world(deeds: usize) -> impl Strategy<Value = World> {
    (grid(), vec(spec(), 1..6), vec(rule(), 0..4)).prop_flat_map(move |(grid, shapes, groups)| {
        let all: Vec<u32> = (0..groups.len() as u32).collect();
        let (kinds, most) = (shapes.len(), all.len().min(2));
        let groups_of = prop_oneof![3 => Just(Vec::new()), 1 => subsequence(all, 0..=most)];
        let deed = prop_oneof![
            12 => (0..kinds, groups_of).prop_map(|(shape, groups)| Deed::Place { shape, groups }),
            5 => any::<prop::sample::Index>().prop_map(Deed::Release),
            1 => (any::<prop::sample::Index>(), node_state())
                .prop_map(|(node, state)| Deed::SetState(node, state)),
        ];
        (Just((grid, shapes, groups)), vec(deed, 1..deeds)).prop_map(
            |((grid, shapes, groups), deeds)| World {
                grid,
                shapes,
                groups,
                deeds,
            },
        )
    })
}
