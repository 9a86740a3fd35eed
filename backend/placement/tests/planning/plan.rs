//! The plan: all or none, groups honoured, never over capacity, reasons told.

pub mod sound;

use crate::plan::sound::{check_capacity, check_groups};
use model::assignment::{AssignedVm, Assignment, Group};
use model::design_file::check_design;
use model::grid::{Grid, NodeState};
use model::grid_file::read_grid;
use model::id::{ComponentId, Generation, GroupId, TenantId, VmId};
use model::time::Time;
use model::units::Resources;
use model::view::{View, VmView};
use model::vm::{AcceleratorAmount, AcceleratorAsk, Affinity, GroupRule, Scope, VmSpec};
use placement::assign::assign;
use placement::plan::{Planned, PlannedVm, plan};
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::rule::sample::CHAINS;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Two sites: north with two racks of two small nodes, south with one of two large ones.
const GRID: &str = r#"
generation = 7
[[node]]
name = "small"
count = 4
cpu_cores = 8
mem_gib = 32
disk_gib = 100
nodes_per_rack = 2
hypervisor = "qemu"
site = "north"
[[node]]
name = "large"
count = 2
cpu_cores = 32
mem_gib = 128
disk_gib = 400
hypervisor = "qemu"
site = "south"
accelerators = { model = "T4", count = 2 }
licences = ["oracle"]
"#;

fn grid(text: &str) -> Arc<Grid> {
    Arc::new(read_grid("grid.toml", text).unwrap_or_else(|faults| panic!("{faults}")))
}

fn view() -> View {
    View::empty(grid(GRID))
}

pub fn vm(name: &str, cores: u32, mem_gib: u32, groups: &[u32]) -> AssignedVm {
    AssignedVm {
        name: name.into(),
        component: ComponentId(0),
        instance: 0,
        part: None,
        spec: VmSpec::plain(Resources::cpu_mem(cores * 1_000, mem_gib * 1_024)),
        remote_disk_gib: 0,
        groups: groups.iter().map(|group| GroupId(*group)).collect(),
    }
}

pub fn group(kind: Affinity, scope: Scope) -> Group {
    Group {
        name: format!("{kind} on {scope}"),
        rule: GroupRule { kind, scope },
    }
}

pub fn assignment(vms: Vec<AssignedVm>, groups: Vec<Group>) -> Assignment {
    Assignment {
        design: "shop".into(),
        tenant: "acme".into(),
        vms,
        groups,
    }
}

fn planned(assignment: &Assignment, view: &View) -> Planned {
    plan(assignment, view, &Policy::BestFit, 1).unwrap_or_else(|unplaced| panic!("{unplaced}"))
}

/// Names of the nodes, in the order of the VMs.
fn nodes(planned: &Planned) -> Vec<&str> {
    planned.vms.iter().map(|vm| vm.node.as_str()).collect()
}

/// Checks which nodes VMs go to under best fit.
fn check_nodes(vms: Vec<AssignedVm>, groups: Vec<Group>, view: &View, expected: &[&str]) {
    let assignment = assignment(vms, groups);
    assert_eq!(nodes(&planned(&assignment, view)), expected);
}

fn check_refused(vms: Vec<AssignedVm>, groups: Vec<Group>, view: &View, expected: &str) {
    let assignment = assignment(vms, groups);
    let unplaced = plan(&assignment, view, &Policy::BestFit, 1).expect_err("no room");
    assert_eq!(unplaced.to_string(), expected);
}

/// The plan is stamped with the grid's generation and names VMs in the assignment's order.
#[test]
fn a_plan_is_stamped_and_ordered() {
    let vms = vec![vm("web-0", 4, 8, &[]), vm("db-0", 16, 64, &[])];
    let planned = planned(&assignment(vms, vec![]), &view());
    assert_eq!(planned.plan.generation, Generation(7));
    let vms: Vec<u32> = planned.plan.placements.iter().map(|p| p.vm).collect();
    assert_eq!(vms, [0, 1]);
    assert_eq!(nodes(&planned), ["small-0", "large-0"]);
    assert_eq!(planned.vms[1].name, "db-0");
    assert_eq!(planned.rounds, 1);
}

/// Apart on nodes, racks and sites, each in its scope.
#[test]
fn apart_is_kept_in_each_scope() {
    let two = |scope| {
        let vms = vec![vm("a-0", 2, 4, &[0]), vm("a-1", 2, 4, &[0])];
        (vms, vec![group(Affinity::Apart, scope)])
    };
    let check = |scope, expected: &[&str]| {
        let (vms, groups) = two(scope);
        check_nodes(vms, groups, &view(), expected);
    };
    check(Scope::Node, &["small-0", "small-1"]);
    check(Scope::Rack, &["small-0", "small-2"]);
    check(Scope::Site, &["small-0", "large-0"]);
}

/// Together on one node, rack or site, where the best fit alone would part them.
#[test]
fn together_is_kept_in_each_scope() {
    let check = |scope, cores, expected: &[&str]| {
        let vms = vec![vm("a-0", cores, 4, &[0]), vm("a-1", cores, 4, &[0])];
        check_nodes(
            vms,
            vec![group(Affinity::Together, scope)],
            &view(),
            expected,
        );
    };
    check(Scope::Node, 4, &["small-0", "small-0"]);
    check(Scope::Rack, 6, &["small-0", "small-1"]);
    check(Scope::Site, 6, &["small-0", "small-1"]);
}

/// A group whose first member's best node has no room for all goes, whole, where it has.
#[test]
fn a_group_stuck_in_a_small_place_moves_as_one() {
    let vms = vec![vm("a-0", 6, 4, &[0]), vm("a-1", 6, 4, &[0])];
    let groups = vec![group(Affinity::Together, Scope::Node)];
    let assignment = assignment(vms, groups);
    let planned = planned(&assignment, &view());
    assert_eq!(nodes(&planned), ["large-0", "large-0"]);
    assert_eq!(planned.rounds, 2);
    let kept_off = ["small-0", "small-1", "small-2", "small-3"].map(|node| format!("node {node}"));
    assert_eq!(planned.vms[0].kept_off, kept_off);
}

/// A VM that only one node can take chooses first once it was refused, where another was greedily
/// put there before; where that does not help, the first refusal is told.
#[test]
fn a_refused_vm_may_choose_first() {
    let picky = || {
        let mut vm = vm("db-0", 30, 8, &[]);
        vm.spec.licences.insert("oracle".into());
        vm
    };
    let mut view = view();
    view.nodes[5].state = NodeState::Cordoned;
    let vms = assignment(vec![vm("web-0", 6, 8, &[]), picky()], vec![]);
    let planned = plan(&vms, &view, &Policy::WorstFit, 1).expect("two rounds");
    assert_eq!(nodes(&planned), ["small-0", "large-0"]);
    assert_eq!(planned.rounds, 2);
    let vms = assignment(vec![vm("web-0", 6, 100, &[]), picky()], vec![]);
    let unplaced = plan(&vms, &view, &Policy::WorstFit, 1).expect_err("one node for two");
    assert_eq!(unplaced.name, "db-0");
}

/// Shares of one accelerator are packed on it, with device and thousandths in the plan.
#[test]
fn accelerator_shares_name_their_device() {
    let share = |name: &str, milli| {
        let mut vm = vm(name, 2, 4, &[]);
        let mut asked = Resources::cpu_mem(2_000, 4_096);
        asked.accel_milli.0 = milli;
        vm.spec.demand = model::vm::Demand::Fixed(asked);
        vm.spec.accelerators = Some(AcceleratorAsk {
            models: BTreeSet::new(),
            amount: AcceleratorAmount::ShareMilli(milli),
        });
        vm
    };
    let vms = vec![share("a-0", 600), share("a-1", 600), share("a-2", 400)];
    let planned = planned(&assignment(vms, vec![]), &view());
    let devices: Vec<_> = planned
        .plan
        .placements
        .iter()
        .map(|p| p.devices.clone())
        .collect();
    assert_eq!(nodes(&planned), ["large-0", "large-0", "large-0"]);
    assert_eq!(devices, [[(0, 600)], [(1, 600)], [(0, 400)]]);
}

/// What runs already keeps its room, and a node that is draining or does not add up takes nothing.
#[test]
fn what_runs_already_is_respected() {
    let mut view = view();
    let running = VmView {
        id: VmId(1),
        tenant: TenantId(0),
        resources: Resources::cpu_mem(6_000, 1_024),
        spec: Arc::new(VmSpec::plain(Resources::cpu_mem(6_000, 1_024))),
        since: Time::ZERO,
        devices: Vec::new(),
    };
    view.nodes[0].used = running.resources;
    view.nodes[0].vms = vec![running.clone()];
    // Small-1 uses less than its VM takes; small-2 is draining.
    view.nodes[1].vms = vec![running];
    view.nodes[2].state = NodeState::Draining;
    // Small-3 uses more than its VMs: the rest counts too.
    view.nodes[3].used = Resources::cpu_mem(3_000, 0);
    check_nodes(vec![vm("a-0", 4, 4, &[])], vec![], &view, &["small-3"]);
    check_nodes(vec![vm("a-0", 6, 4, &[])], vec![], &view, &["large-0"]);
}

/// A refusal names the VM, what it asks, and what would help; nothing is planned.
#[test]
fn refusals_tell_what_would_help() {
    check_refused(
        vec![vm("a-0", 4, 4, &[]), vm("b-0", 40, 4, &[])],
        vec![],
        &view(),
        "no node fits vm b-0 (40000 cpu_milli, 4096 mem_mib)\n\
         hint: the largest node, large-0, has 32000 cpu_milli free",
    );
    let apart = (0..7).map(|n| vm(&format!("a-{n}"), 1, 1, &[0])).collect();
    check_refused(
        apart,
        vec![group(Affinity::Apart, Scope::Node)],
        &view(),
        "no node fits vm a-6 (1000 cpu_milli, 1024 mem_mib)\n\
         hint: 6 nodes have room, but its groups forbid it: spread \"apart on node\" less widely",
    );
    let mut closed = view();
    for node in closed.nodes.iter_mut() {
        node.state = NodeState::Down;
    }
    check_refused(
        vec![vm("a-0", 1, 1, &[])],
        vec![],
        &closed,
        "no node fits vm a-0 (1000 cpu_milli, 1024 mem_mib)\n\
         hint: the 6 nodes that suit it take no VMs now; open one",
    );
    let mut mac = vm("a-0", 1, 1, &[]);
    mac.spec.licences.insert("macos".into());
    check_refused(
        vec![mac],
        vec![],
        &view(),
        "no node fits vm a-0 (1000 cpu_milli, 1024 mem_mib)\n\
         hint: licence missing: asked macos, and small-0 has none; 6 nodes came this far",
    );
}

/// The same arguments give the same plan, also where lots are drawn.
#[test]
fn plans_are_deterministic() {
    let vms: Vec<AssignedVm> = (0..20).map(|n| vm(&format!("a-{n}"), 1, 1, &[])).collect();
    let assignment = assignment(vms, vec![]);
    for policy in [Policy::BestFit, Policy::RandomFit, Policy::Topsis] {
        let run = || plan(&assignment, &view(), &policy, 42).expect("room");
        assert_eq!(run(), run());
    }
}

/// Every sample design finds room on the sample grid, under a policy and under every sample chain;
/// the warehouse, larger than any node, is split over storage nodes of one site, and such nodes lend
/// the archive its disk.
#[test]
fn sample_designs_find_room() {
    let sample = model::samples::grid("sample").expect("it is shipped");
    let view = View::empty(grid(sample.text));
    let chains = CHAINS.iter().map(|sample| {
        let chain = RuleChain::read(sample.name, sample.text).expect("a sample is sound");
        Policy::Chain(chain)
    });
    let policies: Vec<Policy> = chains.chain([Policy::BestFit]).collect();
    for design in model::samples::DESIGNS {
        let topology = check_design(design.name, design.text).expect("a sample is sound");
        let assignment = assign(&topology, &view.grid).unwrap_or_else(|error| panic!("{error}"));
        for policy in &policies {
            let planned = plan(&assignment, &view, policy, 1)
                .unwrap_or_else(|unplaced| panic!("{}: {unplaced}", design.name));
            check_groups(&assignment, &planned, &view.grid).expect("groups are honoured");
            check_capacity(&assignment, &planned, &view).expect("no node is over capacity");
            let parts: Vec<&PlannedVm> = planned
                .vms
                .iter()
                .filter(|vm| vm.name.starts_with("warehouse-0-part-"))
                .collect();
            if design.name == "analytics" {
                assert_eq!(parts.len(), 3);
            }
            assert!(parts.iter().all(|vm| vm.node.starts_with("north-store")));
            let mut archive = planned.vms.iter().filter(|vm| vm.name == "archive-0");
            let lenders = archive.next().map_or(&[][..], |vm| &vm.lenders);
            assert_eq!(
                lenders.len(),
                if design.name == "analytics" { 3 } else { 0 }
            );
            let sum: u32 = lenders.iter().map(|lender| lender.size_gib).sum();
            assert!(lenders.is_empty() || sum == 120_000);
        }
    }
}

/// The explanation of each VM is that of its turn: it names the node that the plan names.
#[test]
fn explanations_match_the_plan() {
    // As many as there is room for: the last finds every node but one full.
    let vms: Vec<AssignedVm> = (0..16).map(|n| vm(&format!("a-{n}"), 5, 4, &[])).collect();
    let assignment = assignment(vms, vec![]);
    for policy in [
        Policy::BestFit,
        Policy::WorstFit,
        Policy::Nova,
        Policy::RandomFit,
    ] {
        let planned = plan(&assignment, &view(), &policy, 1).expect("room");
        for vm in &planned.vms {
            let chosen = vm.explanation.chosen.as_ref().expect("a node was chosen");
            assert_eq!(chosen.name, vm.node);
            if policy != Policy::RandomFit {
                assert_eq!(vm.explanation.scores[0].name, vm.node);
            }
        }
        let last = &planned.vms[15].explanation;
        assert_eq!((last.refused[0].count, last.fitting), (5, 1));
    }
}
