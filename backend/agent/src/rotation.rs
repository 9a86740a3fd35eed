//! The steps of giving a VM's encrypted disks another key, and what it is afterwards.
//!
//! ```text
//!  each disk: add the new key ─▶ the driver opens by the new one ─▶ each disk: keep the new key alone
//!  opens by:  old, new                                              new
//! ```
//! Whoever is killed when, the key that the driver would take opens every disk. Until a first old key
//! is dropped there is a way back, and then none.

use crate::driver::{Act, ActKind};
use crate::lifecycle::after;
use crate::machine::AttachedDisk;
use crate::naming::Naming;
use crate::refusal::{Refusal, invalid, keys_of};
use crate::step::{Planned, Step, Undo};
use crate::steps::{Record, act, by_act};
use model::blueprint::Blueprint;
use model::id::KeyId;
use model::report::VmState;

/// The steps of rotating a key of a VM that is in a state; empty where the new key is there alone.
///
/// # Errors
/// Where the state forbids it, the old key opens no disk, or the new one opens another.
pub fn rotate(
    record: &Record,
    state: Option<VmState>,
    (from, to): (KeyId, KeyId),
    naming: &Naming,
) -> Result<Vec<Planned>, Refusal> {
    let blueprint = &record.blueprint;
    let vm = blueprint.vm;
    after(state, ActKind::Rekey)?;
    let keys = keys_of(blueprint);
    match (keys.contains(&from), keys.contains(&to)) {
        (true, false) => {}
        (false, true) => return Ok(Vec::new()),
        (false, false) => {
            let expected = format!("a key of a disk of {vm}");
            return Err(invalid("from", &from.to_string(), &expected));
        }
        (true, true) => {
            let expected = format!("a key that no disk of {vm} has");
            return Err(invalid("to", &to.to_string(), &expected));
        }
    }
    if !record.snapshots.is_empty() {
        let count = record.snapshots.len();
        let what = "keep their keys";
        return Err(Refusal::HasSnapshots { vm, count, what });
    }
    let disks = naming.disks_of(blueprint).iter();
    let disks = disks.map(|disk| naming.attached_disk(blueprint, disk));
    let disks: Vec<AttachedDisk> = disks.filter(|disk| disk.key == Some(from)).collect();
    let keeping = |disk: &AttachedDisk, key| Step::KeepKey {
        disk: AttachedDisk {
            key: Some(key),
            ..disk.clone()
        },
    };
    let added = disks.iter().map(|disk| Planned {
        step: Step::AddKey {
            disk: disk.clone(),
            key: to,
        },
        keys: vec![from, to],
        undo: Undo::By {
            steps: vec![keeping(disk, from)],
        },
    });
    let rekey = |old, new| Act::Rekey { old, new };
    let opened = act(vm, rekey(from, to), Vec::new(), by_act(vm, rekey(to, from)));
    let kept = disks.iter().map(|disk| Planned {
        step: keeping(disk, to),
        keys: vec![to],
        undo: Undo::Forward,
    });
    Ok(added.chain([opened]).chain(kept).collect())
}

/// Writes the new key into a blueprint.
pub fn write(blueprint: &mut Blueprint, from: KeyId, to: KeyId) {
    let disks = blueprint.disks.iter_mut();
    let keys = disks.filter_map(|disk| Some(&mut disk.encryption.as_mut()?.key));
    keys.filter(|key| **key == from).for_each(|key| *key = to);
}
