//! Disks made larger and smaller.

use super::outcome::{done, failure};
use super::shape;
use agent::machine::AttachedDisk;
use agent::secret::Keys;
use agent::step::Failure;
use agent::watch::Watch;
use image::error::Error;
use image::resize::{bytes_seen, resize, stretch};

/// A disk grows whatever it holds. It shrinks if its last file system can, for nobody else knows
/// what would be cut off.
pub(super) fn change(disk: &AttachedDisk, keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
    let path = &disk.path;
    let (shape, bytes) = (shape(disk, keys)?, disk.size_mib << 20);
    let seen = bytes_seen(path, shape).map_err(failure)?;
    if seen == bytes {
        return Ok(());
    }
    match resize(path, shape, disk.size_mib, watch) {
        // What is not known to us is the guest's to grow.
        Err(Error::Refused { .. } | Error::Tool { .. }) if seen < bytes => {
            done(stretch(path, shape, bytes, watch))
        }
        other => done(other),
    }
}
