//! The orders that make a VM, and the disk that other nodes lend it.

use super::accept::Accepted;
use crate::operation::TaskAct;
use crate::planted::{Bug, is_planted};
use crate::record::{Lent, VmRecord};
use model::blueprint::{Disk, Extent, PartitionTable};
use model::id::{KeyId, VmId};
use model::order::Verb;
use model::plan::Loan;

/// The first key of pieces of remote disks, and how many a VM may have: far more than a disk is cut
/// into, and far from the keys of moves, which are numbered as their orders.
const PIECE_KEYS: (u64, u64) = (1 << 60, 1 << 10);

/// The name of a remote disk.
const REMOTE: &str = "remote";

/// The pieces of a VM's remote disk, before they are served.
pub(super) fn pieces(vm: VmId, loans: &[Loan]) -> Vec<Lent> {
    let (first, each) = PIECE_KEYS;
    let pieces = loans.iter().zip(first + vm.0 * each..);
    let pieces = pieces.map(|(loan, key)| Lent {
        node: loan.node,
        size_gib: loan.size_gib,
        key: KeyId(key),
        address: None,
    });
    pieces.collect()
}

/// The order to make a VM; `None`: a piece of its remote disk is not served yet.
pub(super) fn create_verb(record: &VmRecord) -> Option<Verb> {
    let mut blueprint = Box::new((*record.blueprint).clone());
    if !record.lent.is_empty() {
        let extents: Option<Vec<Extent>> = (0..).zip(&record.lent).map(extent).collect();
        let extents = extents?;
        blueprint.disks.push(Disk {
            name: REMOTE.to_owned(),
            size_mib: extents.iter().map(|extent| extent.size_mib).sum(),
            image: None,
            table: PartitionTable::None,
            partitions: Vec::new(),
            shared_base: false,
            encryption: None,
            iops: None,
            mibps: None,
            extents,
        });
    }
    Some(Verb::Create { blueprint })
}

/// The order to lend a piece of a VM's remote disk; `None`: it has none of that number.
pub(super) fn lend_verb(record: &VmRecord, piece: u32) -> Option<Verb> {
    let lent = record.lent.get(piece as usize)?;
    Some(Verb::Lend {
        volume: volume(piece),
        size_mib: u64::from(lent.size_gib) * 1_024,
        key: lent.key,
    })
}

fn extent((piece, lent): (u32, &Lent)) -> Option<Extent> {
    Some(Extent {
        node: lent.node,
        address: lent.address?,
        volume: volume(piece),
        size_mib: u64::from(lent.size_gib) * 1_024,
        key: lent.key,
    })
}

fn volume(piece: u32) -> String {
    format!("piece-{piece}")
}

impl Accepted {
    /// Adds the orders that make a VM; returns the place of the last.
    pub(super) fn make(&mut self, record: &VmRecord) -> u32 {
        let pieces = (0..).zip(&record.lent);
        let lent: Vec<u32> = pieces
            .map(|(piece, lent)| self.task(record.id, lent.node, TaskAct::Lend { piece }, &[]))
            .collect();
        self.task(record.id, record.node, TaskAct::Create, &lent)
    }

    /// Adds the orders that leave nothing of a VM.
    pub(super) fn delete(&mut self, record: &VmRecord, after: &[u32]) {
        let verb = Verb::Delete;
        let deleted = self.task(record.id, record.node, TaskAct::Do { verb }, after);
        for lent in &record.lent {
            if is_planted(Bug::LentGoesAlong) {
                continue;
            }
            self.task(record.id, lent.node, TaskAct::Withdraw, &[deleted]);
        }
    }
}
