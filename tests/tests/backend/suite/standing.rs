//! What stands and goes on is told with the names of things, and as the view has it.

use super::designs::{component, deploy, design};
use super::ground::Ground;
use super::trial::Trial;
use control::shown::OperationState;
use model::id::OperationId;
use model::report::VmState;
use std::collections::BTreeSet;

/// The design that was deployed first stands with all of its VMs, where the view has them, and its
/// operation is over.
pub fn what_stands_is_told<G: Ground>(trial: &mut Trial<G>) {
    let view = trial.view_at_rest();
    let standing = trial.until("all to be told as running", |trial| {
        let standing = trial.standing();
        let all_run = standing
            .vms
            .iter()
            .all(|vm| vm.state == Some(VmState::Running));
        (all_run && standing.vms.len() == 3).then_some(standing)
    });
    assert_eq!(standing.trouble, None);
    for vm in &standing.vms {
        let node = view.grid.node_named(&vm.node).expect("a node of the grid");
        let mut here = view.nodes[node.index()].vms.iter();
        assert!(here.any(|shown| shown.id == vm.id), "{vm:?}");
        assert_eq!(
            (vm.tenant.as_str(), vm.design.as_deref()),
            ("jane", Some("Trio"))
        );
        assert!(!vm.is_busy && vm.is_to_stay(), "{vm:?}");
    }
    let names: BTreeSet<&str> = standing.vms.iter().map(|vm| vm.name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["container-0", "kernel-0", "machine-0"])
    );
    let designs = standing.designs.iter();
    let designs: Vec<_> = designs
        .map(|of| (of.name.as_str(), of.vms, of.running))
        .collect();
    assert_eq!(designs, [("Trio", 3, 3)]);
    let all = standing.operations.iter();
    let deploy = all.filter(|of| of.what == "deploy Trio" && of.state == OperationState::Done);
    assert!(deploy.count() >= 1, "{:?}", standing.operations);
    let over = standing
        .operations
        .iter()
        .skip_while(|of| !of.state.is_over());
    assert!(
        over.is_sorted_by(|one, other| one.until >= other.until),
        "the latest first"
    );
}

/// An operation that is called off undoes what it has done; one that is over, or that nobody knows, is left
/// as it is.
pub fn what_is_called_off_leaves_nothing<G: Ground>(trial: &mut Trial<G>) {
    let before = trial.standing().vms.len();
    let more = design("More", &[component("more", 1, "full", "qemu-tcg")]);
    let id = trial.asked(&deploy(more));
    trial.call_off(id);
    trial.end_of(id).expect_err("it was called off");
    let standing = trial.until("nothing of it to be left", |trial| {
        let standing = trial.standing();
        (standing.vms.len() == before).then_some(standing)
    });
    let shown = standing.operations.iter().find(|of| of.id == id);
    assert_eq!(shown.map(|of| &of.state), Some(&OperationState::Cancelled));
    let history = trial.history().len();
    trial.call_off(id);
    trial.call_off(OperationId(1 << 40));
    assert_eq!(trial.standing().operations, standing.operations);
    assert_eq!(trial.history().len(), history);
    let gone = super::designs::withdraw("More");
    trial.done(&gone);
}
