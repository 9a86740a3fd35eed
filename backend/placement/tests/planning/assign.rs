//! The assignment: VMs and their names, parts, groups, order, and what cannot be.

mod refused;

use model::assignment::Assignment;
use model::design::{Beside, Component, ComponentKind, Design};
use model::grid::Grid;
use model::grid_file::read_grid;
use model::hypervisor::{Arch, Capability};
use model::topology::Topology;
use model::units::Resources;
use model::vm::{AcceleratorAmount, Demand, Risk, Scope};
use placement::assign::assign;
use proptest::prelude::*;

/// Two racks of two small nodes, one of them risky, and a large one with accelerators.
const GRID: &str = r#"
[[node]]
name = "small"
count = 4
cpu_cores = 8
mem_gib = 32
disk_gib = 100
disk_iops = 40000
net_mbps = 10000
nodes_per_rack = 2
hypervisor = "qemu"
site = "north"
[[node]]
name = "large"
cpu_cores = 32
mem_gib = 128
disk_gib = 400
disk_iops = 40000
net_mbps = 10000
hypervisor = "qemu"
site = "south"
accelerators = { model = "T4", count = 2 }
licences = ["oracle"]
risk = "low"
"#;

fn grid() -> Grid {
    read_grid("grid.toml", GRID).unwrap_or_else(|faults| panic!("{faults}"))
}

fn topology(components: Vec<Component>) -> Topology {
    let design = Design {
        name: "shop".into(),
        tenant: "acme".into(),
        risk: Some(Risk::Low),
        components,
        links: Vec::new(),
    };
    Topology::check(&design).unwrap_or_else(|faults| panic!("{faults}"))
}

/// A component of one core, 2 GiB and 10 GiB of disk, as a case changes it.
fn component(name: &str, kind: ComponentKind, change: impl FnOnce(&mut Component)) -> Component {
    let mut component = Component::new(kind, name);
    component.cpu_milli = 1_000;
    component.mem_mib = 2_048;
    component.disk_gib = 10;
    component.disk_iops = 100;
    component.net_mbps = 100;
    change(&mut component);
    component
}

fn web(instances: u32, change: impl FnOnce(&mut Component)) -> Component {
    component("web", ComponentKind::WebServer, |web| {
        web.instances = instances;
        change(web);
    })
}

fn assigned(components: Vec<Component>) -> Assignment {
    assign(&topology(components), &grid()).unwrap_or_else(|error| panic!("{error}"))
}

fn names(assignment: &Assignment) -> Vec<&str> {
    assignment.vms.iter().map(|vm| vm.name.as_str()).collect()
}

fn asked(assignment: &Assignment, vm: usize) -> Resources {
    match &assignment.vms[vm].spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => panic!("an assignment asks in units"),
    }
}

/// Each group with the names of its members.
fn groups(assignment: &Assignment) -> Vec<String> {
    let member = |id: usize| {
        move |vm: &&model::assignment::AssignedVm| vm.groups.iter().any(|group| group.index() == id)
    };
    let groups = assignment.groups.iter().enumerate();
    groups
        .map(|(id, group)| {
            let mut members: Vec<&str> = assignment
                .vms
                .iter()
                .filter(member(id))
                .map(|vm| vm.name.as_str())
                .collect();
            members.sort_unstable();
            let rule = group.rule;
            format!(
                "{}: {} {} [{}]",
                group.name,
                rule.kind,
                rule.scope,
                members.join(" ")
            )
        })
        .collect()
}

fn check_groups(components: Vec<Component>, expected: &[&str]) {
    assert_eq!(groups(&assigned(components)), expected);
}

fn check_error(components: Vec<Component>, expected: &str) {
    let error = assign(&topology(components), &grid()).expect_err("it cannot be");
    assert_eq!(error.to_string(), expected);
}

/// Every instance becomes a VM with its component's wishes; a network becomes none.
#[test]
fn components_become_vms() {
    let web = web(2, |web| {
        web.arch = Some(Arch::X86_64);
        web.sites = vec!["north".into()];
        web.expected_load_milli = 300;
    });
    let net = Component::new(ComponentKind::Network, "lan");
    let balancer = component("balancer", ComponentKind::LoadBalancer, |_| {});
    let assignment = assigned(vec![net, balancer, web]);
    assert_eq!(names(&assignment), ["balancer-0", "web-0", "web-1"]);
    let vm = &assignment.vms[1];
    assert_eq!((vm.component.0, vm.instance, vm.part), (2, 0, None));
    assert_eq!(vm.spec.arch, Some(Arch::X86_64));
    assert_eq!(vm.spec.sites, ["north".to_owned()].into());
    assert_eq!(vm.spec.expected_load_milli, 300);
    assert_eq!(vm.spec.risk, Risk::Low);
    assert_eq!(
        asked(&assignment, 1),
        Resources::from_array([1_000, 2_048, 10, 100, 100, 0])
    );
    assert_eq!(
        (assignment.design.as_str(), assignment.tenant.as_str()),
        ("shop", "acme")
    );
}

/// The largest VM is placed first, by its greatest share of any dimension; then names decide.
#[test]
fn the_largest_goes_first() {
    let hungry = component("cache", ComponentKind::ApplicationServer, |c| {
        c.mem_mib = 32_768
    });
    let busy = component("app", ComponentKind::ApplicationServer, |c| {
        c.cpu_milli = 6_000
    });
    let assignment = assigned(vec![web(11, |_| {}), busy, hungry]);
    let names = names(&assignment);
    assert_eq!(names[..4], ["cache-0", "app-0", "web-0", "web-1"]);
    assert_eq!(names[12], "web-10", "instances go by number");
}

/// A share of a device and whole devices are asked for as such, with the driver's capability.
#[test]
fn accelerators_are_asked_for() {
    let with = |accel_milli| {
        let component = component("ai", ComponentKind::ApplicationServer, |c| {
            c.accel_milli = accel_milli;
            c.accel_models = vec!["T4".into()];
        });
        let spec = assigned(vec![component]).vms[0].spec.clone();
        assert!(spec.capabilities.contains(&Capability::Accelerator));
        spec.accelerators.expect("an ask").amount
    };
    assert_eq!(with(250), AcceleratorAmount::ShareMilli(250));
    assert_eq!(with(2_000), AcceleratorAmount::Devices(2));
}

/// A database larger than any node is split into equal parts, which add up to it and keep to one
/// site; accelerators stay whole.
#[test]
fn a_database_is_split() {
    let db = component("db", ComponentKind::Database, |c| {
        c.cpu_milli = 10_000;
        c.mem_mib = 65_537;
        c.disk_gib = 150;
        c.sites = vec!["north".into()];
    });
    let assignment = assigned(vec![db]);
    assert_eq!(
        names(&assignment),
        ["db-0-part-0", "db-0-part-1", "db-0-part-2"]
    );
    let parts: Vec<[u32; 6]> = (0..3).map(|vm| asked(&assignment, vm).to_array()).collect();
    assert_eq!(parts[0], [3_334, 21_846, 50, 34, 34, 0]);
    assert_eq!(parts[1], [3_333, 21_846, 50, 33, 33, 0]);
    assert_eq!(parts[2], [3_333, 21_845, 50, 33, 33, 0]);
    assert_eq!(assignment.vms[2].part, Some(2));
    assert_eq!(
        groups(&assignment),
        ["db-0 parts on one site: together site [db-0-part-0 db-0-part-1 db-0-part-2]"]
    );
}

/// Two parts would fit a node, but the site has no room for three instances of such; of four it has.
#[test]
fn parts_are_as_small_as_the_site_needs() {
    let db = component("db", ComponentKind::Database, |c| {
        c.instances = 3;
        c.cpu_milli = 10_000;
        c.sites = vec!["north".into()];
    });
    let assignment = assigned(vec![db]);
    assert_eq!(assignment.vms.len(), 3 * 4);
    assert_eq!(asked(&assignment, 0).cpu_milli.0, 2_500);
}

/// A share of an accelerator stays whole, with the first part.
#[test]
fn accelerators_are_never_split() {
    let db = component("db", ComponentKind::Database, |c| {
        c.cpu_milli = 40_000;
        c.accel_milli = 500;
    });
    let assignment = assigned(vec![db]);
    let accelerators = |vm: usize| asked(&assignment, vm).accel_milli.0;
    assert_eq!((accelerators(0), accelerators(1)), (500, 0));
    assert!(assignment.vms[0].spec.accelerators.is_some());
    assert!(assignment.vms[1].spec.accelerators.is_none());
}

/// Spread, high availability and beside become groups; parts follow their instance.
#[test]
fn wishes_become_groups() {
    check_groups(
        vec![web(2, |web| web.spread = Some(Scope::Rack))],
        &["web spread over racks: apart rack [web-0 web-1]"],
    );
    check_groups(
        vec![web(2, |web| web.highly_available = true)],
        &["web spread over nodes: apart node [web-0 web-1]"],
    );
    check_groups(vec![web(1, |web| web.spread = Some(Scope::Site))], &[]);
    let cache = component("cache", ComponentKind::ApplicationServer, |c| {
        c.instances = 2
    });
    let beside = web(3, |web| {
        web.beside = Some(Beside {
            component: "cache".into(),
            scope: Scope::Node,
        });
    });
    check_groups(
        vec![beside, cache],
        &[
            "web beside cache-0 on one node: together node [cache-0 web-0 web-2]",
            "web beside cache-1 on one node: together node [cache-1 web-1]",
        ],
    );
    let db = component("db", ComponentKind::Storage, |c| {
        c.instances = 2;
        c.disk_gib = 150;
        c.sites = vec!["north".into()];
        c.spread = Some(Scope::Rack);
    });
    check_groups(
        vec![db],
        &[
            "db-0 parts on one rack: together rack [db-0-part-0 db-0-part-1]",
            "db-1 parts on one rack: together rack [db-1-part-0 db-1-part-1]",
            "db spread over racks: apart rack [db-0-part-0 db-1-part-0]",
        ],
    );
}

proptest! {
    /// Whatever its size, what is assigned adds up to what was drawn, and every VM fits an empty node.
    #[test]
    fn parts_add_up_and_fit(
        instances in 1..4_u32,
        cpu_milli in 1..200_000_u32,
        mem_mib in 1..600_000_u32,
        disk_gib in 0..3_000_u32,
        database in any::<bool>(),
    ) {
        let kind = if database { ComponentKind::Database } else { ComponentKind::WebServer };
        let drawn = component("x", kind, |c| {
            c.instances = instances;
            c.cpu_milli = cpu_milli;
            c.mem_mib = mem_mib;
            c.disk_gib = disk_gib;
        });
        let grid = grid();
        let Ok(assignment) = assign(&topology(vec![drawn]), &grid) else {
            prop_assert!(!database || cpu_milli.max(mem_mib / 4).max(disk_gib * 80) > 32_000);
            return Ok(());
        };
        let sum = (0..assignment.vms.len())
            .map(|vm| asked(&assignment, vm).to_array())
            .fold([0; 6], |a, b| std::array::from_fn(|d| a[d] + b[d]));
        let expected = [cpu_milli, mem_mib, disk_gib].map(|n| n * instances);
        prop_assert_eq!(&sum[..3], &expected[..]);
        for vm in 0..assignment.vms.len() {
            let asked = asked(&assignment, vm);
            prop_assert!(grid.classes.iter().any(|c| asked.first_shortage(c.capacity).is_none()));
        }
    }
}
