//! Edits of disks that are built already: a copy with changes, or the disk itself while nobody runs
//! it.

use crate::error::{At, Error};
use crate::ext4::{Ext4, is_ext4};
use crate::replicate::{partial, put_in_place, replicate};
use crate::sandbox::hand_over;
use crate::tool::Tool;
use crate::wipe::clear;
use agent::edit::Edit;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use rustix::process::{getegid, geteuid};
use serde::Deserialize;
use std::fs::File;
use std::os::unix::fs::lchown;
use std::path::Path;

/// Copies a raw disk, makes the edits in its ext4 root, and checks it; the copy appears whole or
/// not at all, and the original is only read.
///
/// # Errors
/// Where an edit cannot be made, or the result has a fault.
pub fn customise(from: &Path, to: &Path, edits: &[Edit], watch: &dyn Watch) -> Result<(), Error> {
    let part = partial(to);
    replicate(from, &part, watch)?;
    let made = customise_in_place(&part, edits, watch);
    if made.is_err() {
        clear(&part)?;
    }
    made.and_then(|()| put_in_place(&part, to, watch))
}

/// Makes edits in the ext4 root of a raw disk that nobody runs, and checks it. After an error the
/// disk may hold some of the edits; they may be made again.
///
/// # Errors
/// Where an edit cannot be made, or the result has a fault.
pub fn customise_in_place(disk: &Path, edits: &[Edit], watch: &dyn Watch) -> Result<(), Error> {
    hand_over(disk)?;
    let root = Ext4::at(disk, root_offset(disk, watch)?, watch)?;
    root.edit(edits)?;
    root.check()?;
    take_back(disk)
}

/// Takes a file back from the tools' user.
pub(crate) fn take_back(path: &Path) -> Result<(), Error> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    lchown(path, Some(user), Some(group)).at(path)
}

/// The byte at which the root file system of a raw disk begins: the whole disk, or the largest of
/// its partitions that holds ext4.
pub(crate) fn root_offset(disk: &Path, watch: &dyn Watch) -> Result<u64, Error> {
    let file = File::open(disk).at(disk)?;
    if is_ext4(&file, 0) {
        return Ok(0);
    }
    let parts = partitions(disk, watch)?;
    let ext4 = parts
        .iter()
        .filter(|part| is_ext4(&file, part.start * SECTOR_BYTES));
    let largest = ext4.max_by_key(|part| part.size);
    let largest = largest.ok_or_else(|| {
        Error::refused(disk.display().to_string(), "no partition of it holds ext4")
    })?;
    Ok(largest.start * SECTOR_BYTES)
}

/// A partition as its disk's table has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Part {
    /// First sector.
    pub(crate) start: u64,
    /// Size in sectors.
    pub(crate) size: u64,
}

/// The partitions of a disk.
pub(crate) fn partitions(disk: &Path, watch: &dyn Watch) -> Result<Vec<Part>, Error> {
    #[derive(Deserialize)]
    struct Dump {
        partitiontable: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        #[serde(default)]
        partitions: Vec<Part>,
    }
    let tool = Tool::new("sfdisk")
        .args(["--json"])
        .args([disk])
        .reads(disk)
        .foreign();
    let said = tool.run(watch)?;
    let dump: Dump = serde_json::from_slice(&said.out)
        .map_err(|error| Error::refused(disk.display().to_string(), error.to_string()))?;
    Ok(dump.partitiontable.partitions)
}
