//! The controller plans as anybody plans who sees what it sees.

use crate::fixture::{Fixture, component, deploy, servers};
use control::backend::{Command, Refused};
use control::journal::{Change, Entry};
use control::record::VmRecord;
use control::settings::Settings;
use model::design::{ComponentKind, Design, Link};
use model::grid::NodeState;
use model::id::{Generation, NodeId};
use model::plan::{Loan, Placement, Plan};
use model::topology::Topology;
use placement::assign::assign;
use placement::plan::plan;

/// A shop of several components, one with a remote disk.
fn shop(tenant: &str) -> Design {
    let mut components = vec![
        component(ComponentKind::LoadBalancer, 1),
        component(ComponentKind::WebServer, 3),
        component(ComponentKind::Database, 2),
    ];
    components[2].remote_disk_gib = 60;
    let link = |from: usize, to: usize| Link {
        from: components[from].name.clone(),
        to: components[to].name.clone(),
        port: 0,
    };
    Design {
        name: "shop".to_owned(),
        tenant: tenant.to_owned(),
        links: vec![link(0, 1), link(1, 2)],
        components,
        ..Design::default()
    }
}

/// What somebody plans who has the controller's view.
pub fn planned(fixture: &Fixture, design: &Design) -> Plan {
    try_planned(fixture, design).expect("there is room")
}

/// The same; `None`: there is no room. The view is made of all that the controller knows.
pub fn try_planned(fixture: &Fixture, design: &Design) -> Option<Plan> {
    let topology = Topology::check(design).expect("a topology");
    let assignment = assign(&topology, &fixture.grid).expect("an assignment");
    let settings = Settings::default();
    let view = fixture.controller.view_anew();
    let planned = plan(&assignment, &view, &settings.policy, settings.seed);
    planned.ok().map(|planned| planned.plan)
}

/// The plan that the last operation followed, by what it wrote down.
pub fn followed(fixture: &Fixture, generation: Generation) -> Plan {
    let accepted = fixture.journal.iter().rev();
    let mut accepted = accepted.filter_map(|entry| match entry {
        Entry::Accepted { changes, .. } => Some(changes),
        _ => None,
    });
    let changes = accepted.next().expect("an operation");
    let records = changes.iter().filter_map(|change| match change {
        Change::Vm { record } => Some(&**record),
        _ => None,
    });
    let placement = |(vm, record): (u32, &VmRecord)| {
        let loans = record.lent.iter().map(|lent| Loan {
            node: lent.node,
            size_gib: lent.size_gib,
        });
        Placement {
            vm,
            node: record.node,
            devices: record.devices.clone(),
            loans: loans.collect(),
        }
    };
    Plan {
        generation,
        placements: (0..).zip(records).map(placement).collect(),
    }
}

/// Entries as if somebody else had named all nodes.
fn without_reasons(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        let Entry::Accepted { changes, .. } = entry else {
            continue;
        };
        for change in changes {
            if let Change::Vm { record } = change {
                record.why = None;
            }
        }
    }
    entries
}

fn bytes(plan: &Plan) -> Vec<u8> {
    serde_json::to_vec(plan).expect("a plan")
}

/// A design that comes without a plan gets, byte for byte, the plan that placement makes of the
/// controller's view: on an empty grid, beside others, and with nodes closed.
#[test]
fn there_is_one_planner() {
    let mut fixture = Fixture::new(6);
    for (round, tenant) in ["ada", "bob", "cyd"].into_iter().enumerate() {
        if round == 2 {
            let (node, state) = (NodeId(1), NodeState::Cordoned);
            fixture.done_without_orders(Command::Node { node, state });
        }
        let design = shop(tenant);
        let expected = planned(&fixture, &design);
        fixture.accepted(deploy(design));
        let followed = followed(&fixture, expected.generation);
        assert_eq!(bytes(&followed), bytes(&expected), "{tenant}");
        fixture.carry_out();
    }
}

/// That very plan, made elsewhere and handed in, comes to the same; once the grid has moved on it is
/// refused, and changes nothing.
#[test]
fn a_plan_holds_for_its_generation() {
    let (mut ours, mut theirs) = (Fixture::new(6), Fixture::new(6));
    let design = shop("ada");
    let made = planned(&theirs, &design);
    let handed_in = |design: &Design, plan: &Plan| Command::Deploy {
        design: Box::new(design.clone()),
        plan: Some(plan.clone()),
    };
    ours.accepted(deploy(design.clone()));
    theirs.accepted(handed_in(&design, &made));
    assert_eq!(without_reasons(&ours.journal), theirs.journal);
    theirs.carry_out();
    let (_, answer) = theirs.ask(handed_in(&shop("bob"), &made));
    let found = made.generation;
    let expected = theirs.controller.ledger().generation;
    assert_eq!(answer, Err(Refused::Outdated { found, expected }));
    let (_, answer) = theirs.ask(handed_in(
        &servers("bob", 2),
        &planned(&theirs, &shop("bob")),
    ));
    let (found, expected) = (6, 2);
    assert_eq!(answer, Err(Refused::Unmatched { found, expected }));
}

/// A plan that puts more on a node than it has is refused.
#[test]
fn a_plan_beyond_capacity_is_refused() {
    let mut fixture = Fixture::new(3);
    let design = servers("ada", 5);
    let mut made = planned(&fixture, &design);
    for placement in &mut made.placements {
        placement.node = NodeId(2);
    }
    let (_, answer) = fixture.ask(Command::Deploy {
        design: Box::new(design),
        plan: Some(made),
    });
    let why = "the plan asks more cpu_milli of node 2 than is free".to_owned();
    assert_eq!(answer, Err(Refused::Unplaced { why }));
    assert!(fixture.controller.ledger().vms.is_empty());
}

/// A VM keeps why it is where it is: how many nodes would have taken it, which came second, and what
/// kept it off the others; after a move why it is there, and nothing where somebody named the node.
#[test]
fn a_vm_keeps_its_reason() {
    let mut fixture = Fixture::new(5);
    let (node, state) = (NodeId(4), NodeState::Cordoned);
    fixture.done_without_orders(Command::Node { node, state });
    fixture.done(deploy(servers("ada", 2)));
    let shown = |fixture: &Fixture, vm: usize| {
        let mut vms = fixture.controller.vms_shown();
        vms.nth(vm).expect("it is there")
    };
    let vm = shown(&fixture, 1);
    let why = vm.why.expect("it was chosen");
    assert_eq!(vm.node, "alpha-0");
    assert_eq!((why.policy.as_str(), why.fitting), ("best-fit", 4));
    assert_eq!(why.runner_up.as_deref(), Some("alpha-1"));
    let refused = why.refused.iter();
    let refused: Vec<(&str, u32)> = refused.map(|by| (by.filter.as_str(), by.nodes)).collect();
    assert_eq!(refused, [("node-state", 1)]);

    let (vm, journal) = (vm.id, fixture.journal.clone());
    fixture.done(Command::Move { vm, to: None });
    let why = shown(&fixture, 1).why.expect("it was chosen");
    assert_eq!(shown(&fixture, 1).node, "alpha-1");
    assert_eq!(
        (why.fitting, why.runner_up.as_deref()),
        (3, Some("alpha-2"))
    );
    let to = Some(NodeId(3));
    fixture.done(Command::Move { vm, to });
    assert_eq!(
        (shown(&fixture, 1).node.as_str(), shown(&fixture, 1).why),
        ("alpha-3", None)
    );

    // It is in the journal.
    fixture.journal = journal;
    fixture.kill();
    assert_eq!(shown(&fixture, 1).why.expect("it was chosen").fitting, 4);
}
