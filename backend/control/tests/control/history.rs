//! Any history: its journal read back is what it was, and all of it comes to an end.

use crate::fixture::{Fixture, available_servers, deploy, servers};
use crate::planner::{followed, try_planned};
use control::backend::Command;
use control::journal::Entry;
use control::ledger::Ledger;
use control::message::Input;
use model::design::Design;
use model::grid::NodeState;
use model::id::{NodeId, OperationId, TenantId, VmId};
use model::order::{Scale, Shutdown, Verb};
use model::report::{Outcome, VmState};
use model::time::Span;
use model::view::{NodeViews, View};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NODES: u32 = 4;

/// What happens next.
#[derive(Clone, Debug)]
enum Happening {
    Deployed {
        tenant: u8,
        instances: u32,
        available: bool,
    },
    Withdrawn {
        tenant: u8,
    },
    Told {
        vm: u64,
        verb: u8,
    },
    Moved {
        vm: u64,
    },
    State {
        node: u32,
        state: u8,
    },
    CalledOff {
        operation: u64,
    },
    Obeyed {
        orders: u8,
    },
    Failed {
        order: u8,
    },
    Seen {
        vm: u64,
    },
    Left {
        node: u32,
    },
    Back {
        node: u32,
    },
    Passed {
        ticks: u8,
    },
    Killed,
    Shortened,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening as H;
    let one = prop_oneof![
        4 => (0..3_u8, 1..4_u32, any::<bool>()).prop_map(|(tenant, instances, available)| {
            H::Deployed { tenant, instances, available }
        }),
        1 => (0..3_u8).prop_map(|tenant| H::Withdrawn { tenant }),
        4 => (0..8_u64, 0..7_u8).prop_map(|(vm, verb)| H::Told { vm, verb }),
        3 => (0..8_u64).prop_map(|vm| H::Moved { vm }),
        1 => (0..NODES, 0..3_u8).prop_map(|(node, state)| H::State { node, state }),
        1 => (1..40_u64).prop_map(|operation| H::CalledOff { operation }),
        8 => (1..12_u8).prop_map(|orders| H::Obeyed { orders }),
        2 => any::<u8>().prop_map(|order| H::Failed { order }),
        1 => (0..8_u64).prop_map(|vm| H::Seen { vm }),
        1 => (0..NODES).prop_map(|node| H::Left { node }),
        2 => (0..NODES).prop_map(|node| H::Back { node }),
        3 => (1..12_u8).prop_map(|ticks| H::Passed { ticks }),
        1 => Just(H::Killed),
        1 => Just(H::Shortened),
    ];
    proptest::collection::vec(one, 1..60)
}

fn verb(which: u8) -> Verb {
    let shutdown = Shutdown::Forced;
    match which {
        0 => Verb::Start,
        1 => Verb::Stop { shutdown },
        2 => Verb::Pause,
        3 => Verb::Resume,
        4 => Verb::Delete,
        5 => Verb::Scale {
            scale: Scale::Cpu { cpus: 3 },
        },
        _ => Verb::Reboot,
    }
}

fn happen(fixture: &mut Fixture, happening: Happening) {
    match happening {
        Happening::Deployed {
            tenant,
            instances,
            available,
        } => {
            let tenant = format!("tenant-{tenant}");
            let design = match available {
                true => available_servers(&tenant, instances),
                false => servers(&tenant, instances),
            };
            check_deploy(fixture, design);
        }
        Happening::Withdrawn { tenant } => {
            let (tenant, design) = (format!("tenant-{tenant}"), "shop".to_owned());
            let _ = fixture.ask(Command::Withdraw { tenant, design });
        }
        Happening::Told { vm, verb: which } => {
            let (vm, verb) = (VmId(vm), verb(which));
            let _ = fixture.ask(Command::Vm { vm, verb });
        }
        Happening::Moved { vm } => {
            let (vm, to) = (VmId(vm), None);
            let _ = fixture.ask(Command::Move { vm, to });
        }
        Happening::State { node, state } => {
            let states = [NodeState::Up, NodeState::Cordoned, NodeState::Draining];
            let (node, state) = (NodeId(node), states[usize::from(state)]);
            let _ = fixture.ask(Command::Node { node, state });
        }
        Happening::CalledOff { operation } => {
            let operation = OperationId(operation);
            fixture.tell(Input::CalledOff { operation });
        }
        Happening::Obeyed { orders } => {
            for _ in 0..orders {
                fixture.listen();
                if let Some(order) = fixture.doable().first().copied() {
                    fixture.obey(order);
                }
            }
        }
        Happening::Failed { order } => {
            let doable = fixture.doable();
            if let Some(order) = doable.get(usize::from(order) % doable.len().max(1)) {
                let order = fixture.orders[order].clone();
                let reason = "it broke".to_owned();
                // What takes away is repeated until it is done.
                if order.verb != Verb::Delete {
                    fixture.end(&order, Outcome::Failed { reason });
                }
            }
        }
        Happening::Seen { vm } => {
            let vm = VmId(vm);
            let record = fixture.controller.ledger().vms.get(&vm);
            let node = record.map(|record| record.node);
            let runs =
                |node: &NodeId| fixture.held[node.index()].get(&vm) == Some(&VmState::Running);
            let here = node.filter(runs);
            if let Some(node) = here.filter(|node| fixture.up.contains(node)) {
                fixture.see(node, vm, VmState::Failed);
            }
        }
        Happening::Left { node } => fixture.leave(NodeId(node)),
        Happening::Back { node } => {
            fixture.up.insert(NodeId(node));
            fixture.call(NodeId(node));
        }
        Happening::Passed { ticks } => fixture.pass(Span(10_000 * i64::from(ticks))),
        Happening::Killed => fixture.kill(),
        Happening::Shortened => {
            let ledger = Box::new(fixture.controller.ledger().clone());
            fixture.shorten(Entry::Kept { ledger });
        }
    }
}

/// The sum of a journal, as it is read from a file.
fn read_back(entries: &[Entry]) -> Vec<Entry> {
    let lines = entries.iter().map(|entry| {
        let line = serde_json::to_string(entry).expect("an entry");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", &line[..line.len().min(200)]))
    });
    lines.collect()
}

fn sum(fixture: &Fixture, entries: impl IntoIterator<Item = Entry>) -> Ledger {
    let states = fixture.grid.nodes.iter().map(|node| node.state);
    let mut ledger = Ledger::new(states);
    for entry in entries {
        ledger.apply(&entry);
    }
    ledger
}

/// Both as text: what is only for the controller at work is in neither.
fn assert_same(one: &Ledger, other: &Ledger) {
    let text = |ledger: &Ledger| serde_json::to_string(ledger).expect("a ledger");
    assert_eq!(text(one), text(other));
}

/// A new design follows, byte for byte, the plan that placement makes of all that is known.
fn check_deploy(fixture: &mut Fixture, design: Design) {
    let ledger = fixture.controller.ledger();
    let is_new = ledger.deployment(&design.tenant, &design.name).is_none();
    let expected = try_planned(fixture, &design);
    let (_, answer) = fixture.ask(deploy(design));
    match (is_new, expected, answer) {
        (true, Some(expected), Ok(())) => {
            assert_eq!(followed(fixture, expected.generation), expected);
        }
        (true, Some(_), Err(why)) => panic!("it was refused: {why}"),
        (true, None, answer) => assert!(answer.is_err(), "there is no room"),
        (false, ..) => {}
    }
}

/// Nodes as they are seen, but for whose the remains of VMs are, which are forgotten with their VMs.
fn of_known_tenants(fixture: &Fixture, view: &View) -> NodeViews {
    let mut nodes = view.nodes.clone();
    for (node, record) in nodes.iter_mut().zip(&fixture.controller.ledger().nodes) {
        let vms = node.vms.iter_mut();
        for vm in vms.filter(|vm| record.remains.contains_key(&vm.id)) {
            vm.tenant = TenantId::default();
        }
    }
    nodes
}

fn check(fixture: &Fixture) {
    let (kept, anew) = (fixture.controller.view(), fixture.controller.view_anew());
    assert_eq!(
        of_known_tenants(fixture, kept),
        of_known_tenants(fixture, &anew)
    );
    assert_eq!(kept.generation, anew.generation);
    let ledger = fixture.controller.ledger();
    assert_same(&sum(fixture, fixture.journal.iter().cloned()), ledger);
    assert_same(&sum(fixture, read_back(&fixture.journal)), ledger);
    assert_eq!(fixture.recovered().ledger(), ledger);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The journal's sum is the controller's state after every step; in the end every operation has
    /// ended once, and every VM is where it is recorded, in the state in which it is wished,
    /// and set up.
    #[test]
    fn any_history_is_the_sum_of_its_journal(happenings in happenings()) {
        let mut fixture = Fixture::with_recipes(NODES);
        for happening in happenings {
            happen(&mut fixture, happening);
            check(&fixture);
        }
        settle(&mut fixture);
        check(&fixture);
        let mut ends: BTreeMap<OperationId, (u32, u32)> = BTreeMap::new();
        for entry in fixture.dropped.iter().chain(&fixture.journal) {
            match entry {
                Entry::Accepted { operation, .. } => ends.entry(*operation).or_default().0 += 1,
                Entry::Ended { operation, .. } => ends.entry(*operation).or_default().1 += 1,
                _ => {}
            }
        }
        for (operation, counts) in ends {
            prop_assert_eq!(counts, (1, 1), "{} was accepted, and has ended", operation);
        }
        let ledger = fixture.controller.ledger();
        prop_assert!(ledger.open.is_empty(), "{:?}", ledger.open);
        prop_assert!(ledger.locks.is_empty(), "{:?}", ledger.locks);
        for (vms, record) in fixture.held.iter().zip(&ledger.nodes) {
            prop_assert!(vms.keys().eq(&record.vms), "{:?}, {:?}", vms, record);
        }
        for record in ledger.vms.values() {
            let state = fixture.held[record.node.index()][&record.id];
            let wished = match record.wish {
                control::record::Wish::Running => [VmState::Running, VmState::Paused],
                _ => [VmState::Stopped; 2],
            };
            prop_assert!(wished.contains(&state), "{:?}: {:?}", record, state);
            let is_set_up = !record.configured.is_empty();
            prop_assert!(is_set_up || state != VmState::Running, "{:?}", record);
        }
    }
}

/// All nodes are back and do what they are told, until nothing is left to do.
fn settle(fixture: &mut Fixture) {
    fixture.up = fixture.grid.node_ids().collect();
    for _ in 0..40 {
        fixture.pass(Span(60_000));
        fixture.carry_out();
    }
}
