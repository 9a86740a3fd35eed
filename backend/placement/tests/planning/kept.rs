//! A planner that is kept plans as one made anew, whatever it has seen before.

use crate::plan::{assignment, group, vm};
use model::assignment::{AssignedVm, Assignment};
use model::grid::{Grid, NodeState};
use model::grid_file::read_grid;
use model::hypervisor::Capability;
use model::id::{HypervisorId, NodeId, TenantId, VmId};
use model::time::Time;
use model::units::{AccelMilli, Resources};
use model::view::{View, VmView};
use model::vm::{Affinity, Demand, Scope, VmSpec};
use placement::plan::{Planned, Planner, Reasoned, Within, plan};
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::rule::sample::CHAINS;
use proptest::prelude::*;
use std::sync::Arc;

/// More than one block of 64 nodes, of unlike types under two hypervisors.
const GRID: &str = r#"
version = 1
[[node]]
name = "small"
count = 70
cpu_cores = 8
mem_gib = 32
disk_gib = 100
nodes_per_rack = 8
hypervisor = "qemu"
site = "north"
[[node]]
name = "gpu"
count = 6
cpu_cores = 32
mem_gib = 128
disk_gib = 400
hypervisor = "qemu"
site = "south"
risk = "medium"
accelerators = { model = "T4", count = 2 }
licences = ["oracle"]
[[node]]
name = "box"
count = 5
cpu_cores = 16
mem_gib = 64
disk_gib = 200
hypervisor = "incus"
site = "south"
"#;

fn grid() -> Arc<Grid> {
    Arc::new(read_grid("grid.toml", GRID).unwrap_or_else(|faults| panic!("{faults}")))
}

/// One change of what runs, or a plan.
#[derive(Clone, Debug)]
enum Happening {
    /// A VM comes to a node, and fits or does not.
    Comes {
        node: u32,
        cores: u32,
        mem_gib: u32,
        accel_milli: u32,
    },
    /// The first VM of a node goes.
    Goes {
        node: u32,
    },
    /// A node uses something beside its VMs.
    Lends {
        node: u32,
        cores: u32,
    },
    State {
        node: u32,
        state: u8,
    },
    /// What was is again.
    Back,
    Planned {
        sizes: Vec<(u32, u32, u32, Option<u32>)>,
        within: Option<(u32, Option<u32>)>,
    },
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening as H;
    let node = || prop_oneof![0..81_u32, 60..76_u32];
    let accel = prop::sample::select(vec![0, 0, 0, 300, 1_000, 1_500]);
    let sizes = (1..9_u32, 1..33_u32, 0..60_u32, prop::option::of(0..2_u32));
    let within = (0..81_u32, prop::option::of(0..81_u32));
    let one = prop_oneof![
        6 => (node(), 1..9_u32, 1..20_u32, accel).prop_map(|(node, cores, mem_gib, accel_milli)| {
            H::Comes { node, cores, mem_gib, accel_milli }
        }),
        2 => node().prop_map(|node| H::Goes { node }),
        1 => (node(), 0..9_u32).prop_map(|(node, cores)| H::Lends { node, cores }),
        1 => (node(), 0..3_u8).prop_map(|(node, state)| H::State { node, state }),
        1 => Just(H::Back),
        5 => (prop::collection::vec(sizes, 1..6), prop::option::of(within))
            .prop_map(|(sizes, within)| H::Planned { sizes, within }),
    ];
    prop::collection::vec(one, 1..40)
}

fn happen(view: &mut View, earlier: &mut View, happening: &Happening, next: &mut u64) {
    match *happening {
        Happening::Comes {
            node,
            cores,
            mem_gib,
            accel_milli,
        } => {
            let mut resources = Resources::cpu_mem(cores * 1_000, mem_gib * 1_024);
            resources.accel_milli = AccelMilli(accel_milli);
            let mut spec = VmSpec::plain(resources);
            spec.expected_load_milli = cores * 100;
            *next += 1;
            let node = &mut view.nodes[node as usize];
            node.used = node.used.checked_add(resources).expect("a sum");
            let device = (*next % 2) as u8;
            let devices = match accel_milli {
                0 => Vec::new(),
                milli => vec![(device, milli as u16)],
            };
            node.vms.push(VmView {
                id: VmId(*next),
                tenant: TenantId(0),
                resources,
                spec: Arc::new(spec),
                since: Time::ZERO,
                devices,
            });
        }
        Happening::Goes { node } => {
            let node = &mut view.nodes[node as usize];
            if let Some(vm) = node.vms.pop() {
                let used = node.used.checked_sub(vm.resources);
                node.used = used.expect("it was in the sum");
            }
        }
        Happening::Lends { node, cores } => {
            let node = &mut view.nodes[node as usize];
            let rest = Resources::cpu_mem(cores * 1_000, 0);
            let sum = node.vms.iter().fold(rest, |sum, vm| {
                sum.checked_add(vm.resources).expect("a sum")
            });
            node.used = sum;
        }
        Happening::State { node, state } => {
            let states = [NodeState::Up, NodeState::Cordoned, NodeState::Down];
            view.nodes[node as usize].state = states[usize::from(state)];
        }
        Happening::Back => std::mem::swap(view, earlier),
        Happening::Planned { .. } => *earlier = view.clone(),
    }
}

/// VMs of some sizes, some of which ask for a share of an accelerator or a remote disk, in groups.
fn asked(sizes: &[(u32, u32, u32, Option<u32>)], is_plain: bool) -> Assignment {
    let groups = match is_plain {
        true => Vec::new(),
        false => vec![
            group(Affinity::Apart, Scope::Node),
            group(Affinity::Together, Scope::Rack),
        ],
    };
    let vms = sizes
        .iter()
        .enumerate()
        .map(|(n, (cores, mem_gib, more, group))| {
            let group = group.filter(|_| !is_plain);
            let mut vm: AssignedVm = vm(&format!("a-{n}"), *cores, *mem_gib, group.as_slice());
            if let (50..55, Demand::Fixed(resources)) = (more, &mut vm.spec.demand) {
                resources.accel_milli = AccelMilli(400);
            }
            if *more > 57 && !is_plain {
                vm.remote_disk_gib = more * 5;
                vm.spec.capabilities.insert(Capability::RemoteDisks);
            }
            vm
        });
    assignment(vms.collect(), groups)
}

/// The view in which all nodes are closed that may not be chosen.
fn closed(view: &View, within: &Within) -> View {
    let mut closed = view.clone();
    for node in view.grid.node_ids() {
        let is_ruled = view.grid.class_of(node).hypervisor == within.hypervisor;
        let is_open = within.only.is_none_or(|only| only == node);
        if !is_ruled || !is_open || within.except.contains(&node) {
            closed.nodes[node.index()].state = NodeState::Cordoned;
        }
    }
    closed
}

/// What is kept of the reasons is what they say at length.
fn check_reasons(alone: &Reasoned, at_length: &Planned) -> Result<(), TestCaseError> {
    prop_assert_eq!(alone.reasons.len(), at_length.vms.len());
    for (reason, vm) in alone.reasons.iter().zip(&at_length.vms) {
        let told = &vm.explanation;
        prop_assert_eq!(&reason.policy, &told.policy);
        prop_assert_eq!(reason.fitting as usize, told.fitting);
        let counts = told.refused.iter().map(|by| (by.filter, by.count as u32));
        prop_assert_eq!(&reason.refused, &counts.collect::<Vec<_>>());
        if let Some(second) = reason.runner_up {
            let chosen = told.chosen.as_ref().map(|chosen| chosen.node);
            prop_assert_eq!(Some(told.scores[0].node), chosen);
            prop_assert_eq!(told.scores[1].node, second);
        }
    }
    Ok(())
}

fn policies() -> Vec<Policy> {
    let chains = CHAINS.iter().map(|sample| {
        let chain = RuleChain::read(sample.name, sample.text).expect("a sample is sound");
        Policy::Chain(chain)
    });
    Policy::all().into_iter().chain(chains).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Under every policy, after any history of nodes that fill, empty, close, lend, contradict
    /// themselves and are as they were before, and after plans that were refused half-way, a kept
    /// planner gives the plan, the reasons and the refusals of one that sees the view for the first
    /// time; within some nodes, those of a view in which all others are closed.
    #[test]
    fn a_kept_planner_plans_as_a_new_one(
        policy in prop::sample::select(policies()),
        happenings in happenings(),
    ) {
        let grid = grid();
        let mut kept = Planner::new(Arc::clone(&grid), policy.clone(), 7);
        let mut view = View::empty(Arc::clone(&grid));
        let (mut earlier, mut next) = (view.clone(), 0);
        for happening in happenings {
            happen(&mut view, &mut earlier, &happening, &mut next);
            let Happening::Planned { sizes, within } = happening else {
                continue;
            };
            let assignment = asked(&sizes, within.is_some());
            match within {
                None => {
                    let anew = plan(&assignment, &view, &policy, 7);
                    let alone = kept.plan(&assignment, &view);
                    let of_anew = anew.as_ref().map(|planned| &planned.plan);
                    prop_assert_eq!(alone.as_ref().map(|alone| &alone.plan), of_anew);
                    if let (Ok(alone), Ok(anew)) = (&alone, &anew) {
                        check_reasons(alone, anew)?;
                    }
                    prop_assert_eq!(&kept.explain(&assignment, &view), &anew);
                }
                Some((from, only)) => {
                    let within = Within {
                        hypervisor: grid.class_of(NodeId(from)).hypervisor,
                        except: vec![NodeId(from)],
                        only: only.map(NodeId),
                    };
                    let anew = plan(&assignment, &closed(&view, &within), &policy, 7);
                    let anew = anew.map(|planned| planned.plan);
                    let alone = kept.plan_within(&assignment, &view, &within);
                    prop_assert_eq!(alone.map(|alone| alone.plan), anew);
                }
            }
        }
    }
}

/// Shapes beyond those that a planner keeps are forgotten, and found again.
#[test]
fn forgotten_shapes_are_found_again() {
    let grid = grid();
    let view = View::empty(Arc::clone(&grid));
    let mut kept = Planner::new(Arc::clone(&grid), Policy::BestFit, 0);
    for round in 0..2 {
        for mem in 1..1_200_u32 {
            let mut one = vm("a-0", 1, 1, &[]);
            one.spec = VmSpec::plain(Resources::cpu_mem(1_000, mem));
            let assignment = assignment(vec![one], Vec::new());
            let placed = kept.plan(&assignment, &view).expect("there is room").plan;
            assert_eq!(placed.placements[0].node, NodeId(0), "{round}, {mem} MiB");
        }
    }
    let within = Within {
        hypervisor: HypervisorId(grid.class_of(NodeId(80)).hypervisor.0),
        except: Vec::new(),
        only: None,
    };
    let assignment = assignment(vec![vm("a-0", 1, 1, &[])], Vec::new());
    let placed = kept.plan_within(&assignment, &view, &within);
    assert_eq!(
        placed.expect("there is room").plan.placements[0].node,
        NodeId(76)
    );
}
