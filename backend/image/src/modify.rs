//! The system disk of a VM that is deployed, changed by the steps by which it was built.

use crate::build::{Workshop, filled, put_over, templates};
use crate::customise::{customise_in_place, root_offset, take_back};
use crate::deployed::Deployed;
use crate::error::Error;
use crate::ext4::Ext4;
use crate::package;
use crate::replicate::{partial, put_in_place, replicate};
use crate::sandbox::hand_over;
use crate::view::{Shape, View};
use crate::wipe::clear;
use crate::work::Work;
use agent::edit::Edit;
use agent::modify::{Modification, Settings};
use std::path::Path;

/// Makes a modified copy of a disk that nobody has open, in the same shape; it appears whole and
/// checked or not at all, and the disk is only read.
///
/// # Errors
/// Where a change cannot be made, or the result has a fault.
pub fn modify(
    from: &Path,
    to: &Path,
    shape: Shape<'_>,
    modification: &Modification,
    workshop: Workshop<'_>,
) -> Result<(), Error> {
    let part = partial(to);
    replicate(from, &part, workshop.watch)?;
    let made = match shape {
        Shape::Raw => change(&part, modification, workshop),
        shape => {
            let view = View::open(&part, shape, None, workshop.watch)?;
            change(view.path(), modification, workshop).and_then(|()| view.close())
        }
    };
    if made.is_err() {
        clear(&part)?;
    }
    made?;
    take_back(&part)?;
    put_in_place(&part, to, workshop.watch)
}

/// Makes the changes in the ext4 root of a raw disk.
fn change(disk: &Path, modification: &Modification, workshop: Workshop<'_>) -> Result<(), Error> {
    if !(modification.remove.is_empty() && modification.add.is_empty()) {
        components(disk, modification, workshop)?;
    }
    let mut edits: Vec<Edit> = modification
        .gone
        .iter()
        .map(|path| Edit::Delete { path: path.clone() })
        .collect();
    edits.extend(settings(modification, workshop)?);
    edits.extend(modification.edits.iter().cloned());
    if let Some((path, mount)) = edits.iter().find_map(|edit| elsewhere(edit, modification)) {
        let why = format!("it lies in the partition of {mount}");
        return Err(Error::refused(path, why));
    }
    match edits.is_empty() {
        true => Ok(()),
        false => customise_in_place(disk, &edits, workshop.watch),
    }
}

/// Takes components out and puts applications in.
fn components(
    disk: &Path,
    modification: &Modification,
    workshop: Workshop<'_>,
) -> Result<(), Error> {
    hand_over(disk)?;
    let watch = workshop.watch;
    let root = Ext4::at(disk, root_offset(disk, watch)?, watch)?;
    root.recover()?;
    let work = Work::beside(disk)?;
    let mut deployed = Deployed::read(root, work.path())?;
    if !modification.remove.is_empty() {
        deployed.take_contents(package::is_listed)?;
        package::remove(&mut deployed.tree, &modification.remove)?;
    }
    for image in &modification.add {
        watch.checkpoint()?;
        put_over(image, &mut deployed.tree, workshop)?;
    }
    deployed.write(&modification.mounts)?;
    root.check()
}

/// The templates that are filled otherwise than they were.
fn settings(modification: &Modification, workshop: Workshop<'_>) -> Result<Vec<Edit>, Error> {
    let (before, after) = (&modification.before, &modification.after);
    let bared = |path: &str| modification.gone.contains(path);
    if before == after && modification.gone.is_empty() {
        return Ok(Vec::new());
    }
    let fill = |settings: &Settings| {
        let (templates, mut defaults) = templates(&settings.images, workshop.store)?;
        filled(&templates, &mut defaults, &settings.parameters)
    };
    let (was, mut is) = (fill(before)?, fill(after)?);
    is.retain(|edit| {
        let path = edit.path().unwrap_or_default();
        !modification.own.contains(path) && (bared(path) || !was.contains(edit))
    });
    Ok(is)
}

/// What an edit changes beneath the mount point of another partition.
fn elsewhere<'m>(edit: &Edit, modification: &'m Modification) -> Option<(String, &'m String)> {
    let path = match edit {
        Edit::User { .. } => "/home/",
        other => other.path()?,
    };
    let mut mounts = modification.mounts.iter();
    let mount = mounts.find(|mount| path.starts_with(&format!("{mount}/")))?;
    Some((path.to_owned(), mount))
}
