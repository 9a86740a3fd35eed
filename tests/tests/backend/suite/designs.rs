//! Designs come to stand, are changed, and go.

use super::ground::{Ground, IMAGE, NODES};
use super::trial::Trial;
use control::backend::{Command, Refused};
use model::design::Design;
use model::report::VmState;

/// Instances of a component with its kind of virtualisation and its site.
pub fn component(name: &str, instances: u32, virtualisation: &str, site: &str) -> String {
    format!(
        "[[component]]\nname = {name:?}\nkind = \"web-server\"\ninstances = {instances}\n\
         cpu_cores = 1\nmem_mib = 128\ndisk_gib = 1\nimage = {IMAGE:?}\nadd_applications = []\n\
         virtualisation = {virtualisation:?}\nsites = [{site:?}]\n"
    )
}

/// A design of these components.
pub fn design(name: &str, components: &[String]) -> Box<Design> {
    let head = format!("version = 1\nname = {name:?}\ntenant = \"jane\"\n");
    let text = head + &components.concat();
    let design = model::design_file::read_design("trial.toml", &text);
    Box::new(design.expect("a design"))
}

/// Lets a design stand, wherever the grid chooses.
pub fn deploy(design: Box<Design>) -> Command {
    Command::Deploy { design, plan: None }
}

/// Takes a design away.
pub fn withdraw(design: &str) -> Command {
    Command::Withdraw {
        tenant: "jane".to_owned(),
        design: design.to_owned(),
    }
}

/// One VM under each hypervisor.
fn trio() -> Box<Design> {
    let components = [
        component("machine", 1, "full", "qemu-tcg"),
        component("kernel", 1, "para", "uml"),
        component("container", 1, "container", "incus"),
    ];
    design("Trio", &components)
}

/// A design stands over all hypervisors, each VM under its own; while it is made nothing else is done to it,
/// and who asks for it again has asked once.
pub fn a_design_comes_to_stand<G: Ground>(trial: &mut Trial<G>) {
    let before = trial.view_at_rest();
    let id = trial.asked(&deploy(trio()));
    let busy = trial.refused(&deploy(trio()));
    assert!(matches!(busy, Refused::Illegal { .. }), "{busy:?}");
    let (vm, _) = trial.vm_under("uml");
    let busy = trial.refused(&Command::Move { vm, to: None });
    assert!(matches!(busy, Refused::Illegal { .. }), "{busy:?}");
    assert_eq!(trial.end_of(id), Ok(()));
    for hypervisor in &NODES[1..] {
        let (vm, node) = trial.vm_under(hypervisor);
        trial.comes_to(vm, VmState::Running);
        assert_eq!(trial.seen(vm).map(|(on, _)| on), Some(node));
    }
    let after = trial.view_at_rest();
    assert!(after.generation > before.generation);
    trial.again(id, &deploy(trio()));
    trial.again(id, &withdraw("Trio"));
    // As it is drawn already.
    trial.done(&deploy(trio()));
    assert_eq!(vms(trial), 3);
}

/// A design that is drawn otherwise has what is drawn, and what stays was not touched.
pub fn a_design_is_changed<G: Ground>(trial: &mut Trial<G>) {
    let (machine, _) = trial.vm_under("qemu-tcg");
    let components = [
        component("machine", 1, "full", "qemu-tcg"),
        component("kernel", 2, "para", "uml"),
    ];
    trial.done(&deploy(design("Trio", &components)));
    assert_eq!(vms(trial), 3);
    assert_eq!(trial.vm_under("qemu-tcg").0, machine);
    let view = trial.view_at_rest();
    let of = |place: usize| view.nodes[place].vms.len();
    assert_eq!((of(2), of(3)), (2, 0), "a kernel more, and no container");
}

/// Withdrawn designs leave nothing.
pub fn designs_go<G: Ground>(trial: &mut Trial<G>) {
    let (vm, _) = trial.vm_under("qemu-tcg");
    trial.done(&withdraw("Trio"));
    assert_eq!(vms(trial), 0);
    let gone = trial.refused(&withdraw("Trio"));
    assert!(matches!(gone, Refused::UnknownDesign { .. }), "{gone:?}");
    let gone = trial.refused(&Command::Move { vm, to: None });
    assert_eq!(gone, Refused::UnknownVm { vm });
}

fn vms<G: Ground>(trial: &mut Trial<G>) -> usize {
    let view = trial.view();
    view.nodes.iter().map(|node| node.vms.len()).sum()
}
