//! System disks of VMs that are deployed, on their way to modified ones.

use super::outcome::{done, failed};
use super::{Disks, shape};
use crate::hands::refused;
use agent::machine::AttachedDisk;
use agent::modify::modification;
use agent::secret::Keys;
use agent::step::Failure;
use agent::watch::Watch;
use image::build::Workshop;
use image::modify::modify;
use model::blueprint::Blueprint;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::path::Path;

impl Disks {
    /// Makes a modified copy of a VM's system disk.
    pub(super) fn modify(
        &self,
        (from, at): (&Path, &Path),
        disk: &AttachedDisk,
        (before, after): (&Blueprint, &Blueprint),
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let change = modification(before, after);
        let change = change.map_err(|refusal| refused(&refusal.to_string()))?;
        // A change of names alone needs no image, which may be gone from where it came.
        if change.before != change.after || !change.gone.is_empty() {
            let images = change.before.images.iter().chain(&change.after.images);
            for image in images {
                self.fetch(image, watch)?;
            }
        }
        let workshop = Workshop {
            store: &self.store,
            keys,
            watch,
        };
        done(modify(from, at, shape(disk, keys)?, &change, workshop))
    }
}

/// Gives a file a name that no file has. A former try may have done so.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOENT) if to.exists() => Ok(()),
        Err(error) => Err(failed("rename", from)(error.into())),
        Ok(()) => Ok(()),
    }
}
