//! One read-only base under the disks of several VMs.
//!
//! A base is named after its digest and is written once. Each VM has an overlay that holds what it
//! has changed; the base itself has no mode bit that lets anybody write, and is read again before it
//! is given out, so that one that was changed all the same is refused.

use crate::error::{At, Error};
use crate::manifest::is_digest;
use crate::replicate::{partial, replicate};
use crate::store::file_digest;
use crate::tool::Tool;
use agent::watch::Watch;
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Nobody writes.
const READ_ONLY: u32 = 0o444;

/// Bytes of a qcow2 header up to the backing file's length, and where that file's name is said to
/// be: offset in 8 bytes at 8, length in 4 bytes at 16. Source: QEMU's `docs/interop/qcow2.rst`.
const HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 4] = b"QFI\xFB";

/// Keeps a raw disk as a base in a folder; its path, which ends in its digest. One that is there is
/// checked and kept.
///
/// # Errors
/// Where it cannot be written, or the one that is there was changed.
pub fn keep(disk: &Path, folder: &Path, watch: &dyn Watch) -> Result<PathBuf, Error> {
    let digest = file_digest(disk, watch)?;
    let base = folder.join(format!("{digest}.base"));
    if base.exists() {
        check(&base, watch)?;
        return Ok(base);
    }
    let part = partial(&base);
    replicate(disk, &part, watch)?;
    std::fs::set_permissions(&part, Permissions::from_mode(READ_ONLY)).at(&part)?;
    std::fs::rename(&part, &base).at(&base)?;
    Ok(base)
}

/// Reads a base and compares it with the digest that it is named after.
///
/// # Errors
/// Where it was changed, or lets somebody write.
pub fn check(base: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::refused(base.display().to_string(), why));
    let digest = base
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    if !is_digest(digest) {
        return refused("it is not named after a digest");
    }
    if base.metadata().at(base)?.permissions().mode() & 0o222 != 0 {
        return refused("its mode lets somebody write");
    }
    match file_digest(base, watch)? == digest {
        true => Ok(()),
        false => refused("it was changed under the VMs that stand on it"),
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
    std::fs::rename(&part, disk).at(disk)
}

/// The file that a qcow2 disk says it stands on, read from its header by us and by no tool that
/// would open it; `None`: none.
///
/// # Errors
/// Where it is no qcow2 disk, or its header is malformed.
pub fn backing(disk: &Path) -> Result<Option<PathBuf>, Error> {
    let refused = |why: &str| Error::refused(disk.display().to_string(), why);
    let mut header = [0; HEADER_BYTES];
    let mut file = File::open(disk).at(disk)?;
    file.read_exact(&mut header)
        .map_err(|_| refused("it is cut in its header"))?;
    if &header[..4] != MAGIC {
        return Err(refused("it is no qcow2 disk"));
    }
    let number = |at: usize, bytes: usize| {
        header[at..at + bytes]
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (at, len) = (number(8, 8), number(16, 4));
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
/// Where it stands on anything but the base that it should, or on anything where it should on none.
pub fn refuse_foreign(disk: &Path, base: Option<&Path>) -> Result<(), Error> {
    let found = backing(disk)?;
    if found.as_deref() == base {
        return Ok(());
    }
    let found = found.map_or("nothing".to_owned(), |path| format!("{path:?}"));
    Err(Error::refused(
        disk.display().to_string(),
        format!("it stands on {found}"),
    ))
}
