//! Remote disks: which nodes lend a VM of another how much of their disks.
//!
//! A disk is cut over the fewest nodes of the VM's own site, those with the most free, and all that
//! lend keep equally much: few pieces, each of which can fail, and no node is filled to the brim
//! while its neighbours have room for what its own VMs need.

use crate::placer::Placer;
use model::grid::NodeState;
use model::hypervisor::Capability;
use model::id::NodeId;
use model::plan::Loan;
use std::cmp::Reverse;

/// Cuts a disk over nodes of which it is known what each has free, in GiB, in whatever order.
///
/// The fewest lend, those with the most free, ties by the lowest id, and they keep equally much of
/// it, to 1 GiB; the pieces are in this order. `None` where all together have too little.
pub fn cut(size_gib: u32, free_gib: &[(NodeId, u32)]) -> Option<Vec<Loan>> {
    if size_gib == 0 {
        return Some(Vec::new());
    }
    let mut lenders = free_gib.to_vec();
    lenders.sort_unstable_by_key(|(node, free)| (Reverse(*free), *node));
    let mut sum = 0;
    let last = lenders.iter().position(|(_, free)| {
        sum += u64::from(*free);
        sum >= u64::from(size_gib)
    })?;
    lenders.truncate(last + 1);
    // Less than the last one has, since without it there was too little: so everyone lends some.
    let kept = sum - u64::from(size_gib);
    let count = lenders.len() as u64;
    let loans = (0..).zip(lenders).map(|(place, (node, free))| {
        let keeps = kept / count + u64::from(place < kept % count);
        Loan {
            node,
            size_gib: free - keeps as u32,
        }
    });
    Some(loans.collect())
}

impl Placer {
    /// The nodes that may lend to a VM on this one, with what each has free, in GiB: the others of
    /// its site that take VMs and whose drivers join volumes, for the same program serves them.
    pub fn lenders(&self, own: NodeId) -> Vec<(NodeId, u32)> {
        let site = self.grid().site_of(own);
        let others = self.grid().node_ids().filter(|node| *node != own);
        others
            .filter(|node| self.grid().site_of(*node) == site && self.joins_volumes(*node))
            .map(|node| (node, self.free(node).disk_gib.0))
            .collect()
    }

    /// How much the lenders of each node have free in sum, in GiB; by node.
    pub fn lendable_gib(&self) -> Vec<u64> {
        let free = |node| match self.joins_volumes(node) {
            true => u64::from(self.free(node).disk_gib.0),
            false => 0,
        };
        let mut by_site = vec![0; self.grid().sites.len()];
        for node in self.grid().node_ids() {
            by_site[self.grid().site_of(node).index()] += free(node);
        }
        let nodes = self.grid().node_ids();
        nodes
            .map(|node| by_site[self.grid().site_of(node).index()] - free(node))
            .collect()
    }

    /// Whether a node takes VMs and its driver joins volumes, so that it may lend some too.
    pub(crate) fn joins_volumes(&self, node: NodeId) -> bool {
        let capabilities = &self.grid().hypervisor_of(node).capabilities;
        self.state(node) == NodeState::Up && capabilities.contains(&Capability::RemoteDisks)
    }
}
