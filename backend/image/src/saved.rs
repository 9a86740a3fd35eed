//! Roots of containers as images: their files, without what only their machine may know.

use crate::archive::{Bounds, unpack_saved};
use crate::error::{At, Error};
use crate::manifest::Compression;
use crate::pack::pack;
use crate::tree::Tree;
use crate::whole::own_edits;
use crate::work::Work;
use agent::watch::Watch;
use std::fs::{self, File};
use std::path::Path;

/// Writes the tar stream of a root as the stream of an image; what it unpacks to. Devices, pipes and
/// attributes that no image has are left out.
///
/// # Errors
/// Where the root holds what cannot be in an image, as a name that is no text, or there is no room.
pub fn pack_root(
    archive: &Path,
    stream: &Path,
    compression: Compression,
    watch: &dyn Watch,
) -> Result<Bounds, Error> {
    let work = Work::beside(stream)?;
    let spool = work.path().join("spool");
    fs::create_dir(&spool).at(&spool)?;
    let mut tree = Tree::new(&spool);
    let root = File::open(archive).at(archive)?;
    unpack_saved(root, "the root", &mut tree, watch)?;
    tree.edit(&own_edits())?;
    watch.checkpoint()?;
    pack(&tree, stream, compression)
}
