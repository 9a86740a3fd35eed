//! Root folders of containers out of archives of them, as they were: with owners, modes, times,
//! attributes, hard links, devices and holes.
//!
//! GNU tar does it, caged: it writes one folder and sees nothing else of the node, whatever links it is
//! told to make.

use crate::error::{At, Error};
use crate::extent::{data, pieces};
use crate::folder::{attributes, fresh, replace};
use crate::sandbox::cage_of_root;
use crate::tool::Tool;
use agent::watch::Watch;
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Bytes that are looked at together, and become a hole where all of them are zero: a page of most
/// file systems.
const BLOCK_BYTES: u64 = 4 << 10;

/// Where tar sees the archive and the folder.
const ARCHIVE: &str = "/archive";
const FOLDER: &str = "/folder";

/// Makes a root folder of a tar stream and compares it with that; one of that name is replaced once the
/// new one is whole, and wiped. The folder above is closed to all but its owner, as programs of the
/// guest's lie in it with the privileges that they have there.
///
/// # Errors
/// Where tar has anything to object, there is no room, or the watch calls off.
pub fn unpack_root(archive: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Error> {
    if let Some(above) = to.parent() {
        fs::set_permissions(above, Permissions::from_mode(0o700)).at(above)?;
    }
    let part = fresh(to)?;
    let extract = [
        "--extract",
        "--preserve-permissions",
        "--same-owner",
        "--delay-directory-restore",
        "--xattrs",
        "--xattrs-include=*",
    ];
    tar(&extract, archive, &part, watch)?;
    dig(&part, watch)?;
    tar(&["--compare"], archive, &part, watch)?;
    replace(&part, to)
}

fn tar(words: &[&str], archive: &Path, folder: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let cage = cage_of_root((archive, ARCHIVE), (folder, FOLDER));
    let tool = Tool::new("bwrap").uncaged().args(&cage[1..]);
    let tool = tool.args(["tar", "--numeric-owner", "--warning=no-timestamp"]);
    let tool = tool.args(["--file", ARCHIVE, "--directory", FOLDER]);
    let said = tool.args(words).run(watch)?;
    // Of an attribute that cannot be set it warns alone.
    match said.err.lines().next() {
        None => Ok(()),
        Some(first) => Err(Error::Tool {
            program: "tar",
            status: "a warning".to_owned(),
            told: first.to_owned(),
        }),
    }
}

/// Makes holes of what is zero in the files below a folder: few archives say where they were.
fn dig(folder: &Path, watch: &dyn Watch) -> Result<(), Error> {
    for entry in folder.read_dir().at(folder)? {
        watch.checkpoint()?;
        let path = entry.at(folder)?.path();
        let about = path.symlink_metadata().at(&path)?;
        if about.is_dir() {
            dig(&path, watch)?;
        }
        // The kernel takes capabilities from a file that changes.
        if about.is_file() && about.len() >= BLOCK_BYTES && attributes(&path)?.is_empty() {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true);
            let options = options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
            let file = options.open(&path).at(&path)?;
            dig_in(&file, &path)?;
            let times = FileTimes::new().set_modified(about.modified().at(&path)?);
            file.set_times(times).at(&path)?;
        }
    }
    Ok(())
}

fn dig_in(file: &File, path: &Path) -> Result<(), Error> {
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    for block in pieces(&data(file, path)?, BLOCK_BYTES) {
        let len = block.end - block.start;
        let bytes = &mut buffer[..len as usize];
        file.read_exact_at(bytes, block.start).at(path)?;
        if bytes.iter().all(|byte| *byte == 0) {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(file, hole, block.start, len).at(path)?;
        }
    }
    Ok(())
}
