//! Real agents killed at every named point of real orders, each followed by one that goes on.
//!
//! Orders are tried in cycles, which lead back to where they began: a cycle is repeated with the agent
//! killed one point later each time, until it is through before its point comes.

use crate::node::{Hypervisor, KEYS, Node, VM, stop, wait_until};
use model::blueprint::Blueprint;
use model::id::VmId;
use model::order::{Scale, Shutdown, Verb, Way};
use model::report::Outcome;
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

/// The VM that copies become.
const OTHER: VmId = VmId(8);

/// Orders that lead back to where they began.
struct Cycle {
    /// What leads there from an empty node.
    before: Vec<Verb>,
    /// The orders, and how many guests run after each.
    orders: Vec<(VmId, Verb, usize)>,
}

/// Those whose orders the hypervisor can carry out.
fn cycles(node: &Node) -> Vec<Cycle> {
    let created = || vec![node.create()];
    let running = || vec![node.create(), Verb::Start];
    let to = node.blueprint(OTHER);
    let copy = || Verb::Copy { to: to.clone() };
    let mem = |mem_mib| {
        let scale = Scale::Mem { mem_mib };
        (VM, Verb::Scale { scale }, 0)
    };
    let name = || "instant".to_owned();
    let kept = [
        Verb::Snapshot { name: name() },
        Verb::Restore { name: name() },
        Verb::DropSnapshot { name: name() },
    ];
    let kept = |runs| kept.clone().map(|verb| (VM, verb, runs)).to_vec();
    let rotated = |runs| {
        let [from, to] = KEYS;
        let there = Verb::RotateKey { from, to };
        let back = Verb::RotateKey { from: to, to: from };
        vec![(VM, there, runs), (VM, back, runs)]
    };
    let modified = |way, runs| {
        let back = node.blueprint(VM);
        let name = "another".to_owned();
        let there = Box::new(Blueprint {
            name,
            ..(*back).clone()
        });
        let modify = |blueprint| (VM, Verb::Modify { blueprint, way }, runs);
        vec![modify(there), modify(back)]
    };
    let shutdown = Shutdown::Forced;
    let save = || Verb::SaveImage {
        name: name(),
        disks: Vec::new(),
    };
    let all = [
        (
            Vec::new(),
            vec![(VM, node.create(), 0), (VM, Verb::Delete, 0)],
        ),
        (created(), vec![(VM, Verb::Start, 1), (VM, stop(), 0)]),
        (created(), vec![(VM, copy(), 0), (OTHER, Verb::Delete, 0)]),
        (running(), vec![(VM, copy(), 1), (OTHER, Verb::Delete, 1)]),
        (created(), vec![mem(48), mem(64)]),
        (running(), vec![(VM, Verb::Pause, 1), (VM, Verb::Resume, 1)]),
        (
            running(),
            vec![(VM, Verb::Reboot, 1), (VM, Verb::ReportStatistics, 1)],
        ),
        (vec![node.create_kept()], kept(0)),
        (vec![node.create_kept(), Verb::Start], kept(1)),
        (created(), vec![(VM, save(), 0)]),
        (running(), vec![(VM, save(), 1)]),
        (vec![node.create_sealed()], rotated(0)),
        (vec![node.create_sealed(), Verb::Start], rotated(1)),
        (created(), modified(Way::InPlace, 0)),
        (running(), modified(Way::Suspended { shutdown }, 1)),
        (running(), modified(Way::Duplicate { shutdown }, 1)),
    ];
    let able = node.driver().capabilities();
    let is_able = |(_, verb, _): &(VmId, Verb, usize)| {
        // A root folder is no disk that could be modified.
        let is_of_disk = matches!(verb, Verb::Modify { .. });
        let is_able = verb.needs().is_none_or(|needs| able.contains(&needs));
        is_able && !(is_of_disk && node.runs_containers())
    };
    all.into_iter()
        .map(|(before, orders)| Cycle { before, orders })
        .filter(|cycle| cycle.orders.iter().all(is_able))
        .collect()
}

/// Tries the points of all cycles that are so far apart, and tells how many kills there were and at
/// how many points of different names.
fn try_points(hypervisor: Hypervisor, apart: u64) -> (usize, usize) {
    // A place for the image that the orders name, which outlives each node.
    let shelf = Node::new(hypervisor);
    let (mut kills, mut names) = (0, BTreeSet::new());
    let cycles = cycles(&shelf);
    let orders = cycles.iter().map(|cycle| cycle.orders.len()).sum::<usize>();
    let begun = Instant::now();
    for (index, cycle) in (0..).zip(&cycles) {
        let mut node = Node::new(hypervisor);
        node.start(None);
        for verb in &cycle.before {
            assert_eq!(node.order(verb), Some(Outcome::Done), "{verb:?}");
        }
        assert!(node.terminate(), "it ends well");
        // Each cycle begins at another one, so that a sample meets more of them.
        let mut point = 1 + index * 7 % apart;
        while go_round(&mut node, cycle, point) {
            kills += 1;
            point += apart;
        }
        node.start(None);
        assert_eq!(node.order(&Verb::Delete), Some(Outcome::Done));
        assert!(node.status().open.is_empty());
        node.assert_clean("at the end");
        let log = fs::read_to_string(node.log()).expect("a log");
        let killed = log
            .lines()
            .filter_map(|line| line.strip_prefix("killed at point "));
        names.extend(killed.filter_map(|line| Some(line.split_once(", ")?.1.to_owned())));
    }
    println!(
        "{hypervisor:?}: {kills} kills within {orders} orders at {} named points in {:?}",
        names.len(),
        begun.elapsed()
    );
    (kills, names.len())
}

/// Goes through a cycle with an agent that is killed at a point; `false`: it was through before.
fn go_round(node: &mut Node, cycle: &Cycle, point: u64) -> bool {
    node.start(Some(point));
    let mut killed = false;
    for (vm, verb, runs) in &cycle.orders {
        let mut end = node.order_about(*vm, verb);
        if end.is_none() {
            wait_until("the agent to have died", || node.is_dead());
            assert!(!killed, "{verb:?}: the second agent has died as well");
            killed = true;
            node.start(None);
            end = node.repeat(*vm, verb);
        }
        let case = || {
            let said = fs::read_to_string(node.log()).unwrap_or_default();
            format!("{verb:?}, killed at {point}: {said}")
        };
        assert_eq!(end, Some(Outcome::Done), "{}", case());
        assert_eq!(node.guests(), *runs, "{}", case());
        assert_eq!(node.firsts(), *runs, "{}", case());
    }
    assert!(node.status().open.is_empty(), "killed at {point}");
    if cycle.before.is_empty() {
        node.assert_clean(&format!("killed at {point}"));
    }
    assert!(node.terminate(), "it ends well");
    killed
}

/// How far points are apart, unless all are asked for by `GRIDWRIGHT_ALL_POINTS`.
pub fn apart(sample: u64) -> u64 {
    match std::env::var("GRIDWRIGHT_ALL_POINTS") {
        Ok(_) => 1,
        Err(_) => sample,
    }
}

/// Killed at a sample of all points, an agent is followed by one that ends each order once; nothing
/// runs twice, and nothing is left. A prime apart, points of every kind are met.
fn check(hypervisor: Hypervisor, sample: u64) {
    let (kills, names) = try_points(hypervisor, apart(sample));
    assert!(kills > 5 && names > 3, "{kills} kills at {names} points");
}

/// Guests of User-mode Linux.
#[test]
fn a_killed_agent_of_user_mode_linux_leaves_nothing() {
    check(Hypervisor::Uml, 29);
}

/// Guests of QEMU.
#[test]
fn a_killed_agent_of_qemu_leaves_nothing() {
    check(Hypervisor::Qemu, 37);
}

/// Containers of Incus.
#[test]
fn a_killed_agent_of_incus_leaves_nothing() {
    check(Hypervisor::Incus, 37);
}

/// Containers of gVisor, by a driver that is a program of its own.
#[test]
fn a_killed_agent_of_a_driver_outside_leaves_nothing() {
    check(Hypervisor::Gvisor, 41);
}
