//! Disks made larger and smaller while nobody runs them: the last partition takes or gives the room.
//!
//! A disk is changed through a [`View`] of it, so that one that is encrypted or stands on a base is
//! sized as a plain one is; its last file system is shown alone, as resize2fs takes no offset.

use crate::base::seen_bytes;
use crate::customise::{partitions, root_offset, take_back};
use crate::error::{At, Error};
use crate::ext4::{Ext4, is_ext4};
use crate::luks::HEADER_BYTES;
use crate::replicate::{partial, put_in_place, replicate};
use crate::sandbox::hand_over;
use crate::tool::Tool;
use crate::view::{Shape, View};
use crate::wipe::clear;
use agent::layout::SECTOR_BYTES;
use agent::watch::Watch;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::path::Path;

/// Sectors of the second GPT at the end of a disk.
const GPT_TAIL_SECTORS: u64 = 33;

/// Sectors of 1 MiB, to which partitions are aligned.
const ALIGN_SECTORS: u64 = 2_048;

/// The size in bytes that the guest of a disk sees.
///
/// # Errors
/// Where it is not of that shape.
pub fn bytes_seen(disk: &Path, shape: Shape<'_>) -> Result<u64, Error> {
    let len = disk.metadata().at(disk)?.len();
    match shape {
        Shape::Raw => Ok(len),
        Shape::Sealed { .. } => Ok(len.saturating_sub(HEADER_BYTES)),
        Shape::Overlay { .. } => seen_bytes(disk),
    }
}

/// Gives a disk another size, and its last partition, or the disk itself where it has no table, what
/// is gained or lost; that must hold ext4. The disk is replaced once the new one is checked, and what
/// it was is wiped.
///
/// # Errors
/// Where its files need more room than is left, or it holds something else.
pub fn resize(
    disk: &Path,
    shape: Shape<'_>,
    size_mib: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let part = partial(disk);
    replicate(disk, &part, watch)?;
    let made = change(&part, shape, size_mib << 20, watch);
    if made.is_err() {
        clear(&part)?;
    }
    made?;
    take_back(&part)?;
    put_in_place(&part, disk, watch)
}

/// Gives a disk that nobody has open another size, and leaves what it holds as it is.
///
/// # Errors
/// Where it cannot be written.
pub fn stretch(disk: &Path, shape: Shape<'_>, bytes: u64, watch: &dyn Watch) -> Result<(), Error> {
    let len = match shape {
        Shape::Raw => bytes,
        Shape::Sealed { .. } => HEADER_BYTES + bytes,
        Shape::Overlay { base } => return stretch_overlay(disk, base, bytes, watch),
    };
    let file = OpenOptions::new().write(true).open(disk).at(disk)?;
    file.set_len(len).and_then(|()| file.sync_all()).at(disk)
}

fn stretch_overlay(
    disk: &Path,
    base: Option<&Path>,
    bytes: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let file = |path: &Path| serde_json::json!({ "driver": "file", "filename": path });
    let backing = base.map(|base| serde_json::json!({ "driver": "raw", "file": file(base) }));
    let opened = serde_json::json!({ "driver": "qcow2", "file": file(disk), "backing": backing });
    hand_over(disk)?;
    let tool = Tool::new("qemu-img").args(["resize", "-q", "--shrink"]);
    let tool = tool.args([format!("json:{opened}"), bytes.to_string()]);
    let tool = base.into_iter().fold(tool, |tool, base| tool.reads(base));
    tool.writes(disk).foreign().run(watch)?;
    take_back(disk)
}

/// Where the file system lies that takes or gives the room.
struct Last {
    range: Range<u64>,
    /// The disk's table in sfdisk's words; `None`: it has none.
    table: Option<String>,
}

fn change(disk: &Path, shape: Shape<'_>, bytes: u64, watch: &dyn Watch) -> Result<(), Error> {
    let last = look(disk, shape, watch)?;
    let new = last.range.start..last.range.start + room(disk, &last, bytes)?;
    let before = bytes_seen(disk, shape)?;
    if bytes < before {
        let range = last.range.clone();
        size_file_system(disk, shape, range, new.end - new.start, watch)?;
    }
    stretch(disk, shape, bytes, watch)?;
    if let Some(table) = &last.table {
        let view = View::open(disk, shape, None, watch)?;
        write_table(view.path(), table, new.clone(), watch)?;
        view.close()?;
    }
    // Also where it shrank: as it will be seen from now on, it is whole.
    size_file_system(disk, shape, new.clone(), new.end - new.start, watch)
}

fn look(disk: &Path, shape: Shape<'_>, watch: &dyn Watch) -> Result<Last, Error> {
    let refused = |why: &str| Error::refused(disk.display().to_string(), why);
    let view = View::open(disk, shape, None, watch)?;
    let file = view.path();
    let last = if is_ext4(&File::open(file).at(file)?, 0) {
        Last {
            range: 0..bytes_seen(disk, shape)?,
            table: None,
        }
    } else {
        let root = root_offset(file, watch)?;
        let parts = partitions(file, watch)?.into_iter();
        let last = parts.max_by_key(|part| part.start);
        let last = last.ok_or_else(|| refused("no table"))?;
        if last.start * SECTOR_BYTES != root {
            return Err(refused("its last partition does not hold its ext4 root"));
        }
        Last {
            range: root..root + last.size * SECTOR_BYTES,
            table: Some(table(file, watch)?),
        }
    };
    view.close()?;
    Ok(last)
}

/// Bytes that its last file system has in a disk of that size.
fn room(disk: &Path, last: &Last, bytes: u64) -> Result<u64, Error> {
    if last.table.is_none() {
        return Ok(bytes);
    }
    let end = (bytes / SECTOR_BYTES).saturating_sub(GPT_TAIL_SECTORS);
    let sectors = end.saturating_sub(last.range.start / SECTOR_BYTES);
    match sectors / ALIGN_SECTORS * ALIGN_SECTORS {
        0 => Err(Error::refused(
            disk.display().to_string(),
            "nothing would be left of its last partition",
        )),
        sectors => Ok(sectors * SECTOR_BYTES),
    }
}

/// Gives the file system in a range another size, and checks it.
fn size_file_system(
    disk: &Path,
    shape: Shape<'_>,
    range: Range<u64>,
    bytes: u64,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let view = View::open(disk, shape, Some(range), watch)?;
    let file = view.path();
    // Only a file system that was just checked may be resized.
    let tool = Tool::new("e2fsck").args(["-f", "-p"]).args([file]);
    let tool = tool.accept(&[0, 1]).writes(file);
    tool.foreign().run(watch)?;
    let size = format!("{}K", bytes >> 10);
    let tool = Tool::new("resize2fs").args([file]).args([size]);
    tool.writes(file).foreign().run(watch)?;
    Ext4::at(file, 0, watch)?.check()?;
    view.close()
}

/// The table of a disk in sfdisk's words, without what is another in a disk of another size.
fn table(disk: &Path, watch: &dyn Watch) -> Result<String, Error> {
    let tool = Tool::new("sfdisk")
        .args(["--dump"])
        .args([disk])
        .reads(disk)
        .foreign();
    let said = tool.run(watch)?;
    let said = String::from_utf8_lossy(&said.out);
    let lines = said.lines().filter(|line| !line.starts_with("last-lba:"));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// Writes a table anew, with the partition that begins a range as long as the range.
fn write_table(
    disk: &Path,
    table: &str,
    range: Range<u64>,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let (start, end) = (range.start / SECTOR_BYTES, range.end / SECTOR_BYTES);
    let lines = table.lines().map(|line| match line.split_once("start=") {
        Some((_, rest)) => {
            let (first, rest) = rest.split_once(',').unwrap_or((rest, ""));
            let (size, rest) = rest.split_once(',').unwrap_or((rest, ""));
            let size = match first.trim().parse() == Ok(start) {
                true => format!("size={}", end - start),
                false => size.trim().to_owned(),
            };
            format!("start={}, {size}, {}\n", first.trim(), rest.trim())
        }
        None => format!("{line}\n"),
    });
    let script: String = lines.collect();
    let tool = Tool::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel", "--force"]);
    let tool = tool.args(["--wipe", "never", "--wipe-partitions", "never"]);
    let tool = tool.args([disk]).input(script.as_bytes());
    tool.writes(disk).foreign().run(watch).map(drop)
}
