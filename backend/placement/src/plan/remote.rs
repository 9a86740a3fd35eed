//! The nodes that lend a VM its remote disk, and those where too few could.

use super::Lender;
use crate::lending::cut;
use crate::placer::Placer;
use model::assignment::AssignedVm;
use model::id::NodeId;
use model::plan::Loan;

/// The nodes that would take the VM for all that their drivers can do, but where the others of the
/// site could not lend it its remote disk.
pub(super) fn short_of_lenders(placer: &Placer, vm: &AssignedVm) -> Vec<NodeId> {
    if vm.remote_disk_gib == 0 {
        return Vec::new();
    }
    let lendable = placer.grid().node_ids().zip(placer.lendable_gib());
    let short = lendable
        .filter(|(node, gib)| *gib < u64::from(vm.remote_disk_gib) && placer.joins_volumes(*node));
    short.map(|(node, _)| node).collect()
}

/// Lends a VM on its node what its remote disk needs.
///
/// # Panics
/// Where the other nodes cannot: such a node is closed to the VM before.
pub(super) fn lend(placer: &mut Placer, vm: &AssignedVm, node: NodeId) -> Vec<Loan> {
    if vm.remote_disk_gib == 0 {
        return Vec::new();
    }
    let loans = cut(vm.remote_disk_gib, &placer.lenders(node));
    let loans = loans.expect("a node without lenders is closed to the VM");
    for loan in &loans {
        placer.lend(loan);
    }
    loans
}

/// Lends again what was lent before, and tells who does.
pub(super) fn lend_again(placer: &mut Placer, loans: &[Loan]) -> Vec<Lender> {
    let lend = |loan: &Loan| {
        let free = placer.free(loan.node).disk_gib.0;
        placer.lend(loan);
        Lender {
            node: placer.grid().nodes[loan.node.index()].name.clone(),
            size_gib: loan.size_gib,
            free_gib: free,
        }
    };
    loans.iter().map(lend).collect()
}

/// What to do about a VM whose remote disk none of these nodes' neighbours could lend; nothing where
/// it has no such disk, or some could.
pub(super) fn hint(placer: &Placer, vm: &AssignedVm, roomy: &[NodeId]) -> Option<String> {
    let size = u64::from(vm.remote_disk_gib);
    let lendable = placer.lendable_gib();
    let gib = |node: &NodeId| lendable[node.index()];
    // The first of the best.
    let best = roomy.iter().rev().max_by_key(|node| gib(node))?;
    let (most, grid) = (gib(best), placer.grid());
    let site = &grid.sites[grid.site_of(*best).index()].name;
    (most < size).then(|| {
        format!(
            "its remote disk is of {size} GiB, and other nodes of one site lend {most} at most, \
             those of {site}"
        )
    })
}
