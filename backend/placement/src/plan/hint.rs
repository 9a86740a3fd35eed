//! What the user can do about a VM that found no node.

use super::remote;
use crate::explain::Explanation;
use crate::placer::Placer;
use crate::shape::static_refusal;
use crate::state::Request;
use model::assignment::{AssignedVm, Assignment};
use model::grid::NodeState;
use model::id::NodeId;
use model::vm::Affinity;

/// The next best thing to do: open nodes, or loosen groups, where that alone would help; else what
/// the explanation says of the nodes that came closest.
pub(super) fn hint(
    placer: &Placer,
    request: Request<'_>,
    assignment: &Assignment,
    vm: &AssignedVm,
    explanation: &Explanation,
) -> String {
    let grid = placer.grid();
    let suits = |node: &NodeId| {
        static_refusal(&vm.spec, grid, grid.class_of(*node), grid.site_of(*node)).is_none()
    };
    let (open, closed): (Vec<NodeId>, Vec<NodeId>) = grid
        .node_ids()
        .filter(suits)
        .partition(|node| placer.state(*node) == NodeState::Up);
    if open.is_empty() && !closed.is_empty() {
        return match closed.len() {
            1 => "the 1 node that suits it takes no VMs now; open it".into(),
            count => format!("the {count} nodes that suit it take no VMs now; open one"),
        };
    }
    let fits = |node: &NodeId| placer.fits(request.shape, *node);
    let roomy: Vec<NodeId> = open.into_iter().filter(fits).collect();
    match (roomy.len(), &explanation.hint) {
        (0, Some(hint)) => hint.clone(),
        (0, None) => "the grid has no node that takes VMs".into(),
        (count, _) => {
            remote::hint(placer, vm, &roomy).unwrap_or_else(|| group_hint(assignment, vm, count))
        }
    }
}

/// Some nodes have room, so it is the groups that keep the VM off.
fn group_hint(assignment: &Assignment, vm: &AssignedVm, roomy: usize) -> String {
    let groups = vm.groups.iter().map(|id| &assignment.groups[id.index()]);
    let names = |kind: Affinity| -> Vec<String> {
        let of_kind = groups.clone().filter(|group| group.rule.kind == kind);
        of_kind.map(|group| format!("{:?}", group.name)).collect()
    };
    let (together, apart) = (names(Affinity::Together), names(Affinity::Apart));
    let have = match roomy {
        1 => "1 node has room".to_owned(),
        roomy => format!("{roomy} nodes have room"),
    };
    let mut ways = Vec::new();
    if !together.is_empty() {
        ways.push(format!("loosen {}", together.join(", ")));
    }
    if !apart.is_empty() {
        ways.push(format!("spread {} less widely", apart.join(", ")));
    }
    format!("{have}, but its groups forbid it: {}", ways.join(", or "))
}
