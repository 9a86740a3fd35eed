//! Disks made larger and smaller while nobody runs them: the last partition takes or gives the room.

use crate::customise::{partitions, root_offset, take_back};
use crate::error::{At, Error};
use crate::ext4::{Ext4, is_ext4};
use crate::replicate::{partial, replicate, replicate_into};
use crate::sandbox::hand_over;
use crate::tool::Tool;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Sectors of the second GPT at the end of a disk.
const GPT_TAIL_SECTORS: u64 = 33;

/// Sectors of 1 MiB, to which partitions are aligned.
const ALIGN_SECTORS: u64 = 2_048;

/// Gives a raw disk another size, and its last partition, or the disk itself where it has no table,
/// what is gained or lost; that must hold ext4. The disk is replaced once the new one is checked.
///
/// # Errors
/// Where its files need more room than is left, or it holds something else.
pub fn resize(disk: &Path, size_mib: u64, watch: &dyn Watch) -> Result<(), Error> {
    let bytes = size_mib << 20;
    let part = partial(disk);
    replicate(disk, &part, watch)?;
    hand_over(&part)?;
    let before = part.metadata().at(&part)?.len();
    let file = OpenOptions::new().write(true).open(&part).at(&part)?;
    let made = if is_ext4(&File::open(&part).at(&part)?, 0) {
        whole(&part, &file, before, bytes, watch)
    } else {
        last_partition(&part, &file, before, bytes, watch)
    };
    if made.is_err() {
        std::fs::remove_file(&part).at(&part)?;
    }
    made?;
    take_back(&part)?;
    std::fs::rename(&part, disk).at(disk)
}

fn whole(
    disk: &Path,
    file: &File,
    before: u64,
    bytes: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    file.set_len(before.max(bytes)).at(disk)?;
    file_system(disk, bytes, watch)?;
    file.set_len(bytes).at(disk)?;
    Ext4::at(disk, 0, watch)?.check()
}

fn last_partition(
    disk: &Path,
    file: &File,
    before: u64,
    bytes: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let refused = |why: &str| Error::refused(disk.display().to_string(), why);
    let root = root_offset(disk, watch)?;
    let parts = partitions(disk, watch)?;
    let number = parts.len();
    let last = parts
        .into_iter()
        .max_by_key(|part| part.start)
        .ok_or_else(|| refused("no table"))?;
    if last.start * SECTOR_BYTES != root {
        return Err(refused("its last partition does not hold its ext4 root"));
    }
    let end = (bytes / SECTOR_BYTES).saturating_sub(GPT_TAIL_SECTORS);
    let sectors = end.saturating_sub(last.start) / ALIGN_SECTORS * ALIGN_SECTORS;
    if sectors == 0 {
        return Err(refused("nothing would be left of its last partition"));
    }
    // resize2fs takes no offset, so that the file system is changed in a file of its own.
    let work = crate::ext4::work_folder(disk)?;
    hand_over(work.path())?;
    let alone = work.path().join("part");
    let old = last.size * SECTOR_BYTES;
    extract(disk, root..root + old, &alone)?;
    hand_over(&alone)?;
    let new = sectors * SECTOR_BYTES;
    let inner = OpenOptions::new().write(true).open(&alone).at(&alone)?;
    inner.set_len(old.max(new)).at(&alone)?;
    file_system(&alone, new, watch)?;
    inner.set_len(new).at(&alone)?;
    // The copy of the table at the old end would be taken for data.
    file.set_len(before.min(root)).at(disk)?;
    file.set_len(bytes).at(disk)?;
    let script = format!("start={}, size={sectors}\n", last.start);
    let tool = Tool::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel", "--force"]);
    let tool = tool.args(["-N", &number.to_string()]).args([disk]);
    tool.input(script.as_bytes()).writes(disk).run(watch)?;
    replicate_into(&alone, disk, root, watch)?;
    Ext4::at(disk, root, watch)?.check()
}

/// Gives a file system that is alone in its file another size.
fn file_system(file: &Path, bytes: u64, watch: &dyn Watch) -> Result<(), Error> {
    // Only a file system that was just checked may be resized.
    let tool = Tool::new("e2fsck")
        .args(["-f", "-p"])
        .args([file])
        .accept(&[0, 1]);
    tool.writes(file).run(watch)?;
    let tool = Tool::new("resize2fs")
        .args([file])
        .args([format!("{}K", bytes >> 10)]);
    tool.writes(file).run(watch).map(drop)
}

fn extract(disk: &Path, range: Range<u64>, to: &Path) -> Result<(), Error> {
    let source = File::open(disk).at(disk)?;
    let target = crate::replicate::create(to)?;
    target.set_len(range.end - range.start).at(to)?;
    let mut buffer = vec![0; 1 << 20];
    for extent in crate::extent::data(&source, disk)? {
        let inside = extent.start.max(range.start)..extent.end.min(range.end);
        for piece in crate::extent::pieces(std::slice::from_ref(&inside), 1 << 20) {
            let bytes = &mut buffer[..(piece.end - piece.start) as usize];
            source.read_exact_at(bytes, piece.start).at(disk)?;
            target
                .write_all_at(bytes, piece.start - range.start)
                .at(to)?;
        }
    }
    Ok(())
}
