//! Keys that open disks, added and dropped; also under a VM that runs, for its hypervisor has read the
//! header with them when it opened the disk, and neither reads it again nor writes it.

use super::outcome::{done, failure};
use super::shape;
use crate::hands::refused;
use agent::machine::AttachedDisk;
use agent::secret::Keys;
use agent::step::Failure;
use agent::watch::Watch;
use image::error::Error;
use image::luks;
use image::view::Shape;
use model::id::KeyId;

/// Lets another key open a disk, beside its own.
pub(super) fn add_key(
    disk: &AttachedDisk,
    other: KeyId,
    keys: &Keys,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    let key = own(disk, keys)?;
    let new = keys.passphrase(other);
    let new = new.ok_or(Error::NoKey(other)).map_err(failure)?;
    if key == new {
        let told = format!("{other} is the key that {} has already", disk.name);
        return Err(refused(&told));
    }
    done(luks::add_key(&disk.path, key, new, watch))
}

/// Lets nothing but its own key open a disk.
pub(super) fn keep_key(disk: &AttachedDisk, keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
    done(luks::keep_key(&disk.path, own(disk, keys)?, watch))
}

fn own<'d>(disk: &'d AttachedDisk, keys: &'d Keys) -> Result<&'d [u8], Failure> {
    match shape(disk, keys)? {
        Shape::Sealed { key } => Ok(key),
        Shape::Raw | Shape::Overlay { .. } => {
            Err(refused(&format!("{} is not encrypted", disk.name)))
        }
    }
}
