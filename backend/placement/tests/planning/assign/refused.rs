//! What cannot be assigned is refused, with the reason and a hint.

use crate::assign::{check_error, component, grid, topology, web};
use model::design::{Beside, Component, ComponentKind};
use model::hypervisor::Arch;
use model::units::Dimension;
use model::vm::Scope;
use placement::assign::{AssignError, MAX_PARTS, assign};
use placement::filter::Filter;

/// What no node suits is refused with the filters and what the grid has.
#[test]
fn what_no_node_suits_is_refused() {
    check_error(
        vec![web(1, |web| web.licences = vec!["macos".into()])],
        "no node suits component \"web\" (5 nodes: licence missing)\n\
         hint: the grid's licences are oracle",
    );
    check_error(
        vec![web(1, |web| web.sites = vec!["nroth".into()])],
        "no node suits component \"web\" (5 nodes: site not allowed)\n\
         hint: the grid's sites are north, south",
    );
    let error = assign(
        &topology(vec![web(1, |web| web.arch = Some(Arch::Riscv64))]),
        &grid(),
    );
    assert!(matches!(
        error,
        Err(AssignError::Unsuited { refused, .. }) if refused == [(Filter::Arch, 5)]
    ));
}

/// What is larger than any node and cannot be split is refused with the largest node.
#[test]
fn what_no_node_holds_is_refused() {
    check_error(
        vec![web(1, |web| web.mem_mib = 262_144)],
        "no node is large enough for one instance of component \"web\" \
         (1000 cpu_milli, 262144 mem_mib, 10 disk_gib, 100 disk_iops, 100 net_mbps)\n\
         hint: the largest node that suits it, large, has 131072 mem_mib; \
         a web-server cannot be split; ask for less, and draw more instances",
    );
    check_error(
        vec![web(1, |web| web.disk_gib = 500)],
        "no node is large enough for one instance of component \"web\" \
         (1000 cpu_milli, 2048 mem_mib, 500 disk_gib, 100 disk_iops, 100 net_mbps)\n\
         hint: the largest node that suits it, large, has 400 disk_gib; a web-server cannot be \
         split; ask for less, and let other nodes lend the rest with remote_disk_gib",
    );
    let error = assign(
        &topology(vec![component("db", ComponentKind::Database, |c| {
            c.disk_gib = 500_000;
        })]),
        &grid(),
    )
    .expect_err("too large for all parts");
    assert!(
        error
            .to_string()
            .contains(&format!("even {MAX_PARTS} parts")),
        "{error}"
    );
    assert!(matches!(
        error,
        AssignError::TooLarge {
            dimension: Some(Dimension::Disk),
            ..
        }
    ));
    let gpus = component("db", ComponentKind::Database, |c| c.accel_milli = 3_000);
    check_error(
        vec![gpus],
        "no node is large enough for one instance of component \"db\" \
         (1000 cpu_milli, 2048 mem_mib, 10 disk_gib, 100 disk_iops, 100 net_mbps, 3000 accel_milli)\n\
         hint: the largest node that suits it, large, has 2000 accel_milli; \
         even 64 parts would not fit; ask for less, or for fewer accelerators an instance",
    );
}

/// Groups that contradict each other, or that the grid has too few places for, are refused.
#[test]
fn groups_that_cannot_be_are_refused() {
    let cache = |instances| {
        component("cache", ComponentKind::ApplicationServer, |c| {
            c.instances = instances
        })
    };
    let beside = |component: &str, scope, spread: Option<Scope>| {
        let component = component.to_owned();
        web(3, move |web| {
            web.beside = Some(Beside { component, scope });
            web.spread = spread;
        })
    };
    check_error(
        vec![cache(2), beside("cache", Scope::Node, Some(Scope::Rack))],
        "web-0 and web-2 must share a node and be on different racks\n\
         hint: spread less widely, or drop the beside",
    );
    check_error(
        vec![web(5, |web| web.spread = Some(Scope::Rack))],
        "group \"web spread over racks\" has 5 VMs and the grid 3 racks that suit them\n\
         hint: draw fewer instances, or spread less widely",
    );
    let lan = Component::new(ComponentKind::Network, "lan");
    check_error(
        vec![lan, beside("lan", Scope::Rack, None)],
        "component \"web\" is to run beside \"lan\", a network, which runs nowhere\n\
         hint: link it to the network instead",
    );
    let large = component("cache", ComponentKind::ApplicationServer, |c| {
        c.mem_mib = 130_000
    });
    check_error(
        vec![large, beside("cache", Scope::Node, None)],
        "no node is large enough for cache-0, web-0, web-1, web-2 together \
         (4000 cpu_milli, 136144 mem_mib, 40 disk_gib, 400 disk_iops, 400 net_mbps)\n\
         hint: ask for less, or let them keep to one rack instead of one node",
    );
}

/// A component named as a part of another would be taken for it, so it is refused.
#[test]
fn names_stay_distinct() {
    let db = component("db", ComponentKind::Database, |c| c.disk_gib = 500);
    let odd = component("db-0-part", ComponentKind::WebServer, |_| {});
    check_error(
        vec![db, odd],
        "two VMs would be named \"db-0-part-0\"\n\
         hint: rename a component, so that none ends like a part of another",
    );
}
