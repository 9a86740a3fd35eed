//! One read-only base under the disks of several VMs.
//!
//! A base is written once, and beside it lies a note of its digest. Each VM has an overlay that holds
//! what it has changed; the base itself has no mode bit that lets anybody write and, where the file
//! system knows such a thing, cannot be changed even by root. It is compared with its note before it
//! is given out, so that one that was changed all the same is refused.

use crate::error::{At, Error};
use crate::replicate::{partial, put_in_place};
use crate::store::file_digest;
use crate::tool::Tool;
use crate::wipe::{Pattern, wipe_and_remove};
use agent::watch::Watch;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde::{Deserialize, Serialize};
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Nobody writes.
const READ_ONLY: u32 = 0o444;

/// Bytes of a qcow2 header up to its features, and where they say which file it stands on: version in
/// 4 bytes at 4, offset in 8 bytes at 8, length in 4 bytes at 16, the size of the disk in 8 bytes at
/// 24, its encryption in 4 bytes at 32, and from version 3 on what nobody may ignore in 8 bytes at
/// 72. Source: QEMU's `docs/interop/qcow2.rst`.
const HEADER_BYTES: usize = 80;

/// How a qcow2 disk begins.
pub(crate) const QCOW2: &[u8; 4] = b"QFI\xFB";

/// The one of those features that puts all data into another file.
const DATA_FILE: u64 = 1 << 2;

/// What is noted of a base beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// SHA-256 of all that it holds, in hex.
    digest: String,
    /// The file as it was when that was read.
    stamp: Stamp,
}

/// What of a file cannot stay the same when somebody writes to it, unless the node's clock is set
/// back: the kernel writes down every change of a file with its time.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed_seconds: i64,
    changed_nanos: i64,
}

impl Stamp {
    fn of(base: &Path) -> Result<Self, Error> {
        let about = base.metadata().at(base)?;
        Ok(Self {
            inode: about.ino(),
            bytes: about.len(),
            changed_seconds: about.ctime(),
            changed_nanos: about.ctime_nsec(),
        })
    }
}

/// Makes a raw disk the base of that name; it is moved there. Repeated after a kill, it goes on.
///
/// # Errors
/// Where it cannot be read or written.
pub fn keep(disk: &Path, base: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let digest = file_digest(disk, watch)?;
    std::fs::set_permissions(disk, Permissions::from_mode(READ_ONLY)).at(disk)?;
    // After a loss of power a base that has its name holds all that its digest is of.
    File::open(disk).and_then(|file| file.sync_all()).at(disk)?;
    let stamp = Stamp::of(disk)?;
    // The note first: a base that is there has one.
    let first = Note {
        digest: digest.clone(),
        stamp,
    };
    write_note(base, &first)?;
    std::fs::rename(disk, base).at(base)?;
    freeze(base, IFlags::IMMUTABLE)?;
    let stamp = Stamp::of(base)?;
    write_note(base, &Note { digest, stamp })
}

/// Compares a base with its note; all of it is read unless nothing has touched it since it was.
///
/// # Errors
/// Where it was changed, or lets somebody write.
pub fn check(base: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::refused(base.display().to_string(), why));
    let path = note_of(base);
    let text = std::fs::read(&path).at(&path)?;
    let Ok(note) = serde_json::from_slice::<Note>(&text) else {
        return refused("the note of its digest is unreadable");
    };
    if base.metadata().at(base)?.permissions().mode() & 0o222 != 0 {
        return refused("its mode lets somebody write");
    }
    freeze(base, IFlags::IMMUTABLE)?;
    let stamp = Stamp::of(base)?;
    if stamp == note.stamp {
        return Ok(());
    }
    let digest = file_digest(base, watch)?;
    if digest != note.digest {
        return refused("it was changed under the VMs that stand on it");
    }
    // As it was before it was read: a change meanwhile is noticed the next time.
    write_note(base, &Note { digest, stamp })
}

/// Wipes and removes a base on which nobody stands; done where there is none.
///
/// # Errors
/// Where it cannot be overwritten.
pub fn remove(base: &Path, watch: &dyn Watch) -> Result<(), Error> {
    if base.try_exists().at(base)? {
        freeze(base, IFlags::empty())?;
        wipe_and_remove(base, Pattern::Zero, watch)?;
    }
    let note = note_of(base);
    match std::fs::remove_file(&note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&note),
        _ => Ok(()),
    }
}

/// Makes a disk that stands on a base: a qcow2 file with nothing in it yet. The base is checked.
///
/// # Errors
/// Where the base was changed, or the disk cannot be written.
pub fn overlay(base: &Path, disk: &Path, size_mib: u64, watch: &dyn Watch) -> Result<(), Error> {
    check(base, watch)?;
    let part = partial(disk);
    let size = format!("{size_mib}M");
    // It opens the base, which is ours and checked, and makes a file in a folder that is ours too.
    let tool = Tool::new("qemu-img").args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]);
    let tool = tool.args([base, &part]).args([&size]).uncaged();
    tool.run(watch)?;
    put_in_place(&part, disk, watch)
}

fn note_of(base: &Path) -> PathBuf {
    base.with_extension("note")
}

fn write_note(base: &Path, note: &Note) -> Result<(), Error> {
    let path = note_of(base);
    let part = partial(&path);
    let text = serde_json::to_vec(note).map_err(std::io::Error::from);
    let mut file = crate::replicate::create(&part)?;
    file.write_all(&text.at(&part)?)
        .and_then(|()| file.sync_all())
        .at(&part)?;
    std::fs::rename(&part, &path).at(&path)
}

/// Lets the file system itself refuse changes, or allow them again; one that knows no such thing, or
/// an agent that may not ask for it, leaves it at the mode bits and the digest.
fn freeze(base: &Path, flag: IFlags) -> Result<(), Error> {
    let file = File::open(base).at(base)?;
    let Ok(before) = ioctl_getflags(&file) else {
        return Ok(());
    };
    let after = before.difference(IFlags::IMMUTABLE) | flag;
    if before == after {
        return Ok(());
    }
    match ioctl_setflags(&file, after) {
        Err(_) if flag == IFlags::IMMUTABLE => Ok(()),
        other => other.at(base),
    }
}

/// The file that a qcow2 disk says it stands on, read from its header by us and by no tool that
/// would open it; `None`: none.
///
/// # Errors
/// Where it is no qcow2 disk, or its header is malformed.
pub fn backing(disk: &Path) -> Result<Option<PathBuf>, Error> {
    let refused = |why: &str| Error::refused(disk.display().to_string(), why);
    let (file, header) = header(disk)?;
    let (at, len) = (number(&header[8..16]), number(&header[16..20]));
    if at == 0 {
        return Ok(None);
    }
    // The format's own bound.
    if len > 1_023 {
        return Err(refused("the name of its backing file is too long"));
    }
    let mut name = vec![0; len as usize];
    file.read_exact_at(&mut name, at)
        .map_err(|_| refused("it is cut in its header"))?;
    let name = String::from_utf8(name).map_err(|_| refused("its backing file has no name"))?;
    Ok(Some(name.into()))
}

/// Refuses a disk from elsewhere that would open another file of the node.
///
/// # Errors
/// Where it stands on anything but the base that it should, or on anything where it should on none,
/// keeps its data in another file, or needs a key.
pub fn refuse_foreign(disk: &Path, base: Option<&Path>) -> Result<(), Error> {
    let (_, header) = header(disk)?;
    let found = backing(disk)?;
    let why = if found.as_deref() != base {
        let found = found.map_or("nothing".to_owned(), |path| format!("{path:?}"));
        format!("it stands on {found}")
    } else if number(&header[4..8]) > 2 && number(&header[72..80]) & DATA_FILE != 0 {
        "it keeps its data in another file".to_owned()
    } else if number(&header[32..36]) != 0 {
        "it is encrypted by qcow2's own means".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::refused(disk.display().to_string(), why))
}

/// The size in bytes that the guest of a qcow2 disk sees.
///
/// # Errors
/// As [`backing`].
pub fn seen_bytes(disk: &Path) -> Result<u64, Error> {
    header(disk).map(|(_, header)| number(&header[24..32]))
}

fn header(disk: &Path) -> Result<(File, [u8; HEADER_BYTES]), Error> {
    let refused = |why: &str| Error::refused(disk.display().to_string(), why);
    let mut header = [0; HEADER_BYTES];
    let mut file = File::open(disk).at(disk)?;
    file.read_exact(&mut header)
        .map_err(|_| refused("it is cut in its header"))?;
    if &header[..4] != QCOW2 {
        return Err(refused("it is no qcow2 disk"));
    }
    Ok((file, header))
}

/// A number of the header: the highest byte comes first.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
