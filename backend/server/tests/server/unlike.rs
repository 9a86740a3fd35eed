//! Unlike hypervisors under one controller.

use crate::grid::{Grid, Ruled};
use crate::waiting::{all_reached, ended, in_state, until};
use client::call::{Client, new_operation};
use control::backend::Command;
use control::shown::{NodeShown, OperationState, VmShown};
use model::design::Design;
use model::grid::NodeState;
use model::report::VmState;

/// One component for each kind of virtualisation.
fn design() -> Box<Design> {
    let component = |name: &str, virtualisation: &str, site: &str| {
        format!(
            "[[component]]\nname = {name:?}\nkind = \"web-server\"\ncpu_cores = 1\nmem_mib = 128\n\
             disk_gib = 1\nimage = \"busybox\"\nadd_applications = []\nvirtualisation = {virtualisation:?}\nsites = [{site:?}]\n"
        )
    };
    let text = [
        "version = 1\nname = \"Trio\"\ntenant = \"jane\"\n".to_owned(),
        component("machine", "full", "qemu-tcg"),
        component("kernel", "para", "uml"),
        component("container", "container", "incus"),
    ];
    let design = model::design_file::read_design("trio.toml", &text.concat());
    Box::new(design.expect("a design"))
}

fn submit(client: &mut Client, command: &Command) {
    let id = new_operation().expect("an id");
    client.submit(id, command).expect("it is accepted");
    let shown = ended(client, id);
    assert_eq!(shown.state, OperationState::Done, "{shown:?}");
}

/// One design runs on QEMU, User-mode Linux and Incus at once, is seen in one view, its node of QEMU is
/// drained while the guest runs, and withdrawn, nothing of it is left.
#[test]
fn one_design_stands_on_three_hypervisors() {
    let mut grid = Grid::wired(&[Ruled::Qemu, Ruled::Qemu, Ruled::Uml, Ruled::Incus]);
    let mut client = grid.admin("jane");
    grid.start_agents();
    all_reached(&mut client, 4);
    let design = design();
    submit(&mut client, &Command::Deploy { design, plan: None });
    let running = until("all three to run", || {
        Some(in_state(&mut client, VmState::Running)).filter(|vms| vms.len() == 3)
    });
    for name in ["machine-0", "kernel-0", "container-0"] {
        let up = format!("GUEST-UP host={name} ");
        until(name, || grid.consoles().contains(&up).then_some(()));
    }
    let machine = |vms: &[VmShown]| {
        let mut vms = vms.iter();
        let found = vms.find(|vm| vm.name == "machine-0");
        found.expect("it is there").node.clone()
    };
    let (from, nodes) = (machine(&running), nodes(&mut client));
    let node = nodes.iter().find(|node| node.name == from);
    let node = node.expect("it is there").id;
    let state = NodeState::Draining;
    submit(&mut client, &Command::Node { node, state });
    let vms: Vec<VmShown> = client.get("/v1/vms").expect("a list");
    assert_ne!(machine(&vms), from, "it has moved");
    until("it to run there", || {
        (in_state(&mut client, VmState::Running).len() == 3).then_some(())
    });
    let booted = grid.consoles().matches("GUEST-UP host=machine-0 ").count();
    assert!(
        booted <= 1,
        "it has moved running, and has not booted again"
    );
    let withdraw = Command::Withdraw {
        tenant: "jane".to_owned(),
        design: "Trio".to_owned(),
    };
    submit(&mut client, &withdraw);
    let vms: Vec<VmShown> = client.get("/v1/vms").expect("a list");
    assert_eq!(vms, Vec::new());
    assert_eq!(grid.left_over(), Vec::<String>::new());
}

fn nodes(client: &mut Client) -> Vec<NodeShown> {
    client.get("/v1/nodes").expect("a list")
}
