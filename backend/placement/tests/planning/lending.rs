//! Remote disks: cut over nodes, planned with the VMs, and refused where nobody can lend.

use crate::plan::sound::check_capacity;
use model::assignment::{AssignedVm, Assignment};
use model::design::{Beside, Component, ComponentKind, Design};
use model::grid::{Grid, NodeState};
use model::grid_file::read_grid;
use model::hypervisor::Capability;
use model::id::NodeId;
use model::plan::Loan;
use model::topology::Topology;
use model::units::{DiskGib, Resources};
use model::view::View;
use model::vm::Scope;
use placement::assign::assign;
use placement::lending::cut;
use placement::plan::{Planned, plan};
use placement::policy::Policy;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Four nodes that join volumes on a site, two on another one, and one that does not.
const GRID: &str = r#"
[[node]]
name = "north"
count = 4
cpu_cores = 8
mem_gib = 32
disk_gib = 100
hypervisor = "qemu"
site = "north"
[[node]]
name = "south"
count = 2
cpu_cores = 8
mem_gib = 32
disk_gib = 90
hypervisor = "qemu"
site = "south"
[[node]]
name = "box"
cpu_cores = 8
mem_gib = 32
disk_gib = 1000
hypervisor = "incus"
site = "south"
"#;

fn grid() -> Arc<Grid> {
    Arc::new(read_grid("grid.toml", GRID).unwrap_or_else(|faults| panic!("{faults}")))
}

fn view() -> View {
    View::empty(grid())
}

/// Storage components of 1 core and 10 GiB with remote disks of these sizes, one after the other.
fn assignment(remote_gib: &[u32], change: impl Fn(&mut Component)) -> Assignment {
    let component = |(place, remote): (usize, &u32)| {
        let mut component = Component::new(ComponentKind::Storage, &format!("s{place}"));
        component.cpu_milli = 1_000;
        component.mem_mib = 1_024;
        component.disk_gib = 10;
        component.disk_iops = 0;
        component.net_mbps = 0;
        component.remote_disk_gib = *remote;
        change(&mut component);
        component
    };
    let design = Design {
        name: "d".into(),
        components: remote_gib.iter().enumerate().map(component).collect(),
        ..Design::default()
    };
    let topology = Topology::check(&design).unwrap_or_else(|faults| panic!("{faults}"));
    assign(&topology, &grid()).unwrap_or_else(|error| panic!("{error}"))
}

fn planned(assignment: &Assignment, view: &View) -> Planned {
    plan(assignment, view, &Policy::FirstFit, 1).unwrap_or_else(|unplaced| panic!("{unplaced}"))
}

fn lenders(planned: &Planned, vm: usize) -> Vec<(&str, u32)> {
    let lenders = planned.vms[vm].lenders.iter();
    lenders
        .map(|lender| (lender.node.as_str(), lender.size_gib))
        .collect()
}

/// Checks who lends how much of a disk, each node given with what it has free.
fn check_cut(size_gib: u32, free: &[u32], expected: Option<&[(u32, u32)]>) {
    let free: Vec<(NodeId, u32)> = (0..).map(NodeId).zip(free.iter().copied()).collect();
    let loan = |(node, size_gib): &(u32, u32)| Loan {
        node: NodeId(*node),
        size_gib: *size_gib,
    };
    let expected = expected.map(|loans| loans.iter().map(loan).collect());
    assert_eq!(cut(size_gib, &free), expected);
}

/// The fewest nodes lend, those with the most free, ties by id, and all keep equally much.
#[test]
fn a_disk_is_cut_over_the_fewest_nodes() {
    check_cut(50, &[40, 60, 60], Some(&[(1, 50)]));
    check_cut(60, &[40, 60, 60], Some(&[(1, 60)]));
    check_cut(61, &[40, 60, 60], Some(&[(1, 30), (2, 31)]));
    check_cut(100, &[40, 50, 60, 60], Some(&[(2, 50), (3, 50)]));
    check_cut(121, &[40, 50, 60, 60], Some(&[(2, 43), (3, 44), (1, 34)]));
    check_cut(
        210,
        &[40, 50, 60, 60],
        Some(&[(2, 60), (3, 60), (1, 50), (0, 40)]),
    );
    check_cut(211, &[40, 50, 60, 60], None);
    check_cut(1, &[0, 0], None);
    check_cut(0, &[], Some(&[]));
}

/// The VM's node is chosen without the bytes of its remote disk, which others of its site lend; what
/// they lend is used there, for those that come later as for a view that shows it.
#[test]
fn others_of_the_site_lend() {
    let assignment = assignment(&[150, 60], |_| {});
    let vms: Vec<u32> = assignment.vms.iter().map(|vm| vm.remote_disk_gib).collect();
    assert_eq!(vms, [150, 60]);
    let spec = &assignment.vms[0].spec;
    assert!(spec.capabilities.contains(&Capability::RemoteDisks));
    let first = planned(&assignment, &view());
    let nodes: Vec<&str> = first.vms.iter().map(|vm| vm.node.as_str()).collect();
    assert_eq!(nodes, ["north-0", "north-0"]);
    assert_eq!(lenders(&first, 0), [("north-1", 75), ("north-2", 75)]);
    assert_eq!(lenders(&first, 1), [("north-3", 60)]);
    let mut view = view();
    for (node, used) in [(1, 75), (2, 75), (3, 60)] {
        view.nodes[node].used.disk_gib = DiskGib(used);
    }
    let alone = Assignment {
        vms: vec![assignment.vms[1].clone()],
        ..assignment
    };
    // Of north-0's neighbours the three have 90 GiB left, and the fewest that suffice are two.
    let next = planned(&alone, &view);
    assert_eq!(lenders(&next, 0), [("north-3", 37), ("north-1", 23)]);
}

/// What closed and foreign nodes have is not lent, nor what lies on another site; where the
/// neighbours of a node have too little, the VM goes to another one, and the plan says so.
#[test]
fn who_cannot_lend_is_passed_over() {
    let mut view = view();
    view.nodes[1].state = NodeState::Draining;
    let planned = planned(&assignment(&[200], |_| {}), &view);
    assert_eq!(lenders(&planned, 0), [("north-2", 100), ("north-3", 100)]);
    view.nodes[2].state = NodeState::Down;
    let planned = self::planned(
        &assignment(&[90], |c| c.sites = vec!["south".into()]),
        &view,
    );
    assert_eq!(planned.vms[0].node, "south-0");
    assert_eq!(lenders(&planned, 0), [("south-1", 90)]);
    // Of the two that are left of north, the one with less room is the better lender's neighbour.
    view.nodes[0].used.disk_gib = DiskGib(5);
    let planned = self::planned(&assignment(&[98], |_| {}), &view);
    assert_eq!(planned.vms[0].node, "north-0");
    assert_eq!(planned.vms[0].short_of_lenders, 3);
    assert_eq!(lenders(&planned, 0), [("north-3", 98)]);
}

/// A VM whose group stands where nobody can lend takes the group with it to where they can.
#[test]
fn a_group_goes_where_its_members_find_lenders() {
    let assignment = assignment(&[0, 150], |component| {
        if component.remote_disk_gib > 0 {
            component.beside = Some(Beside {
                component: "s0".into(),
                scope: Scope::Site,
            });
        }
    });
    let mut view = view();
    // The best fit of the first is on the other site.
    view.nodes[4].used = Resources::cpu_mem(6_000, 0);
    let planned = plan(&assignment, &view, &Policy::BestFit, 1).expect("north lends");
    let nodes: Vec<&str> = planned.vms.iter().map(|vm| vm.node.as_str()).collect();
    assert!(
        nodes.iter().all(|node| node.starts_with("north")),
        "{nodes:?}"
    );
    assert_eq!(planned.rounds, 2);
    assert_eq!(planned.vms[0].kept_off, ["site south"]);
}

fn check_refused(assignment: &Assignment, view: &View, expected: &str) {
    let refused = plan(assignment, view, &Policy::BestFit, 1).expect_err("nobody can lend it");
    assert_eq!(refused.to_string(), expected);
}

/// All or nothing: a disk that the neighbours of no node could lend whole is refused, and so is one
/// that no driver could join.
#[test]
fn what_nobody_lends_is_refused() {
    let asked = "1000 cpu_milli, 1024 mem_mib, 10 disk_gib";
    check_refused(
        &assignment(&[301], |_| {}),
        &view(),
        &format!(
            "no node fits vm s0-0 ({asked})\n\
             hint: its remote disk is of 301 GiB, and other nodes of one site lend 300 at most, \
             those of north"
        ),
    );
    check_refused(
        &assignment(&[200, 200], |_| {}),
        &view(),
        &format!(
            "no node fits vm s1-0 ({asked})\n\
             hint: its remote disk is of 200 GiB, and other nodes of one site lend 100 at most, \
             those of north"
        ),
    );
    let mut component = Component::new(ComponentKind::Storage, "s");
    component.disk_gib = 10;
    component.remote_disk_gib = 10;
    let design = Design {
        name: "d".into(),
        components: vec![component],
        ..Design::default()
    };
    let text = GRID.replace("\"qemu\"", "\"incus\"");
    let containers = read_grid("grid.toml", &text).expect("a grid");
    let topology = Topology::check(&design).expect("a topology");
    let error = assign(&topology, &containers).expect_err("containers have no remote disks");
    assert_eq!(
        error.to_string(),
        "no node suits component \"s\" (7 nodes: driver lacks a capability)\n\
         hint: the hypervisors of this grid that join a remote disk of volumes are none"
    );
}

/// An instance that is split has its remote disk split as well.
#[test]
fn parts_share_a_remote_disk() {
    let assignment = assignment(&[101], |c| c.disk_gib = 1_200);
    let remote = |vm: &AssignedVm| vm.remote_disk_gib;
    assert!(assignment.vms.len() > 1);
    assert_eq!(assignment.vms.iter().map(remote).sum::<u32>(), 101);
    let shares: BTreeSet<u32> = assignment.vms.iter().map(remote).collect();
    let shares: Vec<u32> = shares.into_iter().collect();
    assert_eq!(shares[1] - shares[0], 1, "{shares:?}");
}

proptest! {
    /// The pieces add up to the disk, no node lends more than it has, no fewer nodes could lend it,
    /// all keep equally much, and the order in which nodes are told is of no matter.
    #[test]
    fn cuts_are_sound(
        size in 1..2_000_u32,
        (told, shuffled) in prop::collection::vec(0..500_u32, 0..12).prop_flat_map(|free| {
            let told: Vec<(NodeId, u32)> = (0..).map(NodeId).zip(free).collect();
            (Just(told.clone()), Just(told).prop_shuffle())
        }),
    ) {
        let mut free: Vec<u32> = told.iter().map(|(_, free)| *free).collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        let Some(loans) = cut(size, &told) else {
            prop_assert!(free.iter().sum::<u32>() < size);
            return Ok(());
        };
        prop_assert_eq!(cut(size, &shuffled), Some(loans.clone()));
        prop_assert_eq!(loans.iter().map(|loan| loan.size_gib).sum::<u32>(), size);
        prop_assert!(free[..loans.len() - 1].iter().sum::<u32>() < size);
        let nodes: BTreeSet<NodeId> = loans.iter().map(|loan| loan.node).collect();
        prop_assert_eq!(nodes.len(), loans.len());
        let kept = loans.iter().map(|loan| {
            assert!(loan.size_gib > 0);
            told[loan.node.index()].1.checked_sub(loan.size_gib).expect("it had as much")
        });
        let kept: Vec<u32> = kept.collect();
        prop_assert!(kept.iter().all(|one| kept.iter().all(|other| one.abs_diff(*other) <= 1)));
    }

    /// Whatever runs and whatever is asked, a plan keeps every node within its capacity, pieces add
    /// up, are lent by others of the VM's site that are up, and are the same each time.
    #[test]
    fn loans_are_sound(
        remote in prop::collection::vec(prop_oneof![Just(0_u32), 1..150_u32], 1..6),
        used in prop::collection::vec(0..100_u32, 6),
        down in prop::option::of(0..6_usize),
        policy in prop::sample::select(vec![
            Policy::FirstFit, Policy::BestFit, Policy::WorstFit, Policy::RandomFit, Policy::Topsis,
        ]),
    ) {
        let mut view = view();
        for (node, used) in view.nodes.iter_mut().zip(used) {
            node.used.disk_gib = DiskGib(used.min(90));
        }
        if let Some(down) = down {
            view.nodes[down].state = NodeState::Down;
        }
        let assignment = assignment(&remote, |_| {});
        let planned = plan(&assignment, &view, &policy, 3);
        prop_assert_eq!(&plan(&assignment, &view, &policy, 3), &planned);
        let planned = match planned {
            Ok(planned) => planned,
            Err(unplaced) => {
                prop_assert!(unplaced.to_string().contains("hint: "));
                return Ok(());
            }
        };
        check_capacity(&assignment, &planned, &view)?;
        for (vm, placement) in assignment.vms.iter().zip(&planned.plan.placements) {
            let sum: u32 = placement.loans.iter().map(|loan| loan.size_gib).sum();
            prop_assert_eq!(sum, vm.remote_disk_gib);
            for loan in &placement.loans {
                prop_assert_ne!(loan.node, placement.node);
                prop_assert_eq!(view.grid.site_of(loan.node), view.grid.site_of(placement.node));
                prop_assert_eq!(view.nodes[loan.node.index()].state, NodeState::Up);
                prop_assert!(loan.node.index() < 6, "a container's node lends nothing");
            }
        }
    }
}
