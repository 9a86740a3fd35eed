//! Disks made larger and smaller.

use super::{done, failed, failure, shape};
use agent::machine::AttachedDisk;
use agent::secret::Keys;
use agent::step::Failure;
use agent::watch::Watch;
use image::error::Error;
use image::resize::{bytes_seen, resize, stretch};
use image::wipe::{Pattern, wipe_and_remove};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A disk grows whatever it holds. It shrinks if its last file system can, for nobody else knows
/// what would be cut off; the longer one is wiped then.
pub(super) fn change(disk: &AttachedDisk, keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
    let path = &disk.path;
    let (shape, bytes) = (shape(disk, keys)?, disk.size_mib << 20);
    let old = before(path);
    let about = fs::metadata(path).map_err(failed("measure", path))?;
    if about.nlink() > 1 {
        // Killed before the smaller one was there: both names are the disk's.
        fs::remove_file(&old).map_err(failed("remove", &old))?;
    }
    let seen = bytes_seen(path, shape).map_err(failure)?;
    if seen > bytes {
        fs::hard_link(path, &old).map_err(failed("keep", path))?;
        if let Err(error) = resize(path, shape, disk.size_mib, watch) {
            fs::remove_file(&old).map_err(failed("remove", &old))?;
            return Err(failure(error));
        }
    }
    done(wipe_and_remove(&old, Pattern::Zero, watch))?;
    if seen < bytes {
        return match resize(path, shape, disk.size_mib, watch) {
            // What is not known to us is the guest's to grow.
            Err(Error::Refused { .. } | Error::Tool { .. }) => {
                done(stretch(path, shape, bytes, watch))
            }
            other => done(other),
        };
    }
    Ok(())
}

/// What a shrunken disk was, until it is wiped.
fn before(disk: &Path) -> PathBuf {
    let mut name = disk.as_os_str().to_owned();
    name.push(".before");
    name.into()
}
