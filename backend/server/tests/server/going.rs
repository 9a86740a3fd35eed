//! A design from the drawing to guests that run, and away again.

use crate::grid::Grid;
use crate::waiting::{all_reached, ended, in_state, until};
use client::call::{Client, new_operation};
use client::live::Live;
use control::backend::{Backend, Command, Refused};
use control::shown::{DesignShown, EventShown, OperationState, VmShown};
use model::design::Design;
use model::grid::NodeState;
use model::id::{NodeId, VmId};
use model::order::{Shutdown, Verb};
use model::report::VmState;
use std::collections::BTreeSet;

fn design(instances: u32, mem_mib: u32) -> Box<Design> {
    let text = format!(
        "version = 1\nname = \"Pair\"\ntenant = \"jane\"\n[[component]]\nname = \"web\"\n\
         kind = \"web-server\"\ninstances = {instances}\ncpu_cores = 1\nmem_mib = {mem_mib}\n\
         disk_gib = 1\nimage = \"busybox\"\nadd_applications = []\nspread = \"node\"\n"
    );
    let design = model::design_file::read_design("pair.toml", &text);
    Box::new(design.expect("a design"))
}

fn submit(client: &mut Client, command: &Command) -> OperationState {
    let id = new_operation().expect("an id");
    client.submit(id, command).expect("it is accepted");
    ended(client, id).state
}

/// A design is deployed over two nodes while its controller is killed and comes back; both guests boot
/// under their names, one is stopped and started, and withdrawn, nothing of them is left.
#[test]
fn a_design_goes_all_the_way() {
    let mut grid = Grid::new(2);
    let mut client = grid.admin("jane");
    grid.start_agents();
    all_reached(&mut client, 2);
    let id = new_operation().expect("an id");
    let deploy = Command::Deploy {
        design: design(2, 128),
        plan: None,
    };
    client.submit(id, &deploy).expect("it is accepted");
    grid.kill_controller();
    grid.start_controller();
    let shown = ended(&mut client, id);
    assert_eq!(shown.state, OperationState::Done, "{shown:?}");
    // Asked again under its id, it is the same one.
    client.submit(id, &deploy).expect("it was accepted");
    let running = until("both to run", || {
        Some(in_state(&mut client, VmState::Running)).filter(|vms| vms.len() == 2)
    });
    let nodes: BTreeSet<&str> = running.iter().map(|vm| vm.node.as_str()).collect();
    assert_eq!(nodes.len(), 2, "{running:?}");
    for vm in &running {
        let up = format!("GUEST-UP host={} ", vm.name);
        until("the guests to be up", || {
            grid.consoles().contains(&up).then_some(())
        });
    }
    assert_eq!(grid.guests(), 2);
    let mut live = Live::open(grid.again("jane")).expect("a live grid");
    let view = live.view();
    assert_eq!(
        view.nodes.iter().map(|node| node.vms.len()).sum::<usize>(),
        2
    );
    let vm = running[0].id;
    let shutdown = Shutdown::Forced;
    let stop = Verb::Stop { shutdown };
    assert_eq!(
        submit(&mut client, &Command::Vm { vm, verb: stop }),
        OperationState::Done
    );
    assert_eq!(grid.guests(), 1);
    let verb = Verb::Start;
    assert_eq!(
        submit(&mut client, &Command::Vm { vm, verb }),
        OperationState::Done
    );
    assert_eq!(grid.guests(), 2);
    let withdraw = Command::Withdraw {
        tenant: "jane".to_owned(),
        design: "Pair".to_owned(),
    };
    assert_eq!(submit(&mut client, &withdraw), OperationState::Done);
    assert_eq!(grid.guests(), 0);
    let vms: Vec<VmShown> = client.get("/v1/vms").expect("a list");
    assert_eq!(vms, Vec::new());
    let designs: Vec<DesignShown> = client.get("/v1/designs").expect("a list");
    assert_eq!(designs, Vec::new());
    assert!(
        !std::sync::Arc::ptr_eq(&view, &live.view()),
        "the view has changed"
    );
    let events: Vec<EventShown> = client.events(0, 10_000).expect("the history");
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
    assert!(
        texts.contains(&"done, deploy Pair") && texts.contains(&"done, withdraw Pair"),
        "{texts:?}"
    );
}

/// What does not fit, or is not there, is refused with the reason, and nothing has happened.
#[test]
fn what_does_not_fit_is_refused() {
    let grid = Grid::new(0);
    let mut client = grid.admin("jane");
    let refused = |client: &mut Client, command: &Command| {
        let error = client.submit(new_operation().expect("an id"), command);
        let error = error.expect_err("it cannot be");
        assert!(error.hint().is_some(), "{error}");
        error.refused().cloned().expect("the controller refuses")
    };
    let deploy = |design| Command::Deploy { design, plan: None };
    let why = refused(&mut client, &deploy(design(1, 1 << 20)));
    assert!(matches!(why, Refused::Faulty { .. }), "too large: {why:?}");
    let mut wordy = design(2, 128);
    wordy.components[0].add_applications = vec!["wordpress".to_owned()];
    let why = refused(&mut client, &deploy(wordy)).to_string();
    assert!(
        why.contains("no image \"wordpress\", which component \"web\""),
        "{why}"
    );
    let why = refused(&mut client, &deploy(design(2, 128)));
    assert!(
        matches!(why, Refused::Unplaced { .. }),
        "no agent has called: {why:?}"
    );
    let vm = VmId(5);
    let start = Command::Vm {
        vm,
        verb: Verb::Start,
    };
    assert_eq!(refused(&mut client, &start), Refused::UnknownVm { vm });
    let node = NodeId(9);
    let state = NodeState::Cordoned;
    let close = Command::Node { node, state };
    assert_eq!(refused(&mut client, &close), Refused::UnknownNode { node });
    let vms: Vec<VmShown> = client.get("/v1/vms").expect("a list");
    assert_eq!(vms, Vec::new());
}
