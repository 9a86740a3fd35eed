//! What VMs of a node share: which of a disk's steps make its read-only base, and the base's name.
//!
//! A base holds what the VMs on it have in common: partitions, image, applications, boot loader and
//! the customer's scripts. A disk on it holds what is its VM's own: size, name, users, addresses,
//! settings, and whatever the guest writes.

use crate::build::{BuildError, BuildStep, BuildStepKind, plan};
use crate::edit::Edit;
use model::blueprint::{Blueprint, Disk, Format};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The steps of a disk whose base is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Those that make the base.
    pub base: Vec<BuildStep>,
    /// Those that then make the VM's own disk of it: changes of files alone.
    pub own: Vec<BuildStep>,
}

/// The steps of a disk whose base is shared.
///
/// # Errors
/// As [`plan`], and where the disk cannot be changed once it is built.
pub fn shared(blueprint: &Blueprint, index: usize) -> Result<Shared, BuildError> {
    use BuildStepKind as Kind;
    let mut steps = Shared {
        base: Vec::new(),
        own: Vec::new(),
    };
    let own = [Kind::Modify, Kind::Network];
    let mut last = None;
    for step in plan(blueprint, index)? {
        let kind = BuildStepKind::from(&step);
        if let BuildStep::Script { script } = &step
            && last.is_some_and(|last| own.contains(&last))
        {
            return Err(BuildError::ScriptOnBase {
                script: script.name.clone(),
                after: script.after.clone(),
            });
        }
        // A script that follows a script follows the same step.
        last = Some(kind).filter(|kind| *kind != Kind::Script).or(last);
        match own.contains(&kind) {
            true => steps.own.push(step),
            false => steps.base.push(step),
        }
    }
    let disk = &blueprint.disks[index];
    match why_not(disk, &steps.own) {
        None => Ok(steps),
        Some(why) => Err(BuildError::NotChangeable {
            disk: disk.name.clone(),
            why,
        }),
    }
}

/// Why a disk's own changes cannot be made in its root file system; `None`: they can.
fn why_not(disk: &Disk, own: &[BuildStep]) -> Option<String> {
    let edits = own.iter().flat_map(|step| match step {
        BuildStep::Modify { edits, .. } | BuildStep::Network { edits } => edits.as_slice(),
        _ => &[],
    });
    let mut edits = edits.peekable();
    edits.peek()?;
    let mounts = || {
        disk.partitions
            .iter()
            .filter_map(|p| Some((p, p.mount.as_deref()?)))
    };
    let root = mounts().find(|(_, mount)| *mount == "/");
    if root.is_none_or(|(root, _)| root.format != Format::Ext4) {
        return Some("its root is not ext4".to_owned());
    }
    edits.find_map(|edit| {
        let path = match edit {
            Edit::User { .. } => "/home/",
            other => other.path()?,
        };
        let beneath = |mount: &str| mount != "/" && path.starts_with(&format!("{mount}/"));
        let (_, mount) = mounts().find(|(_, mount)| beneath(mount))?;
        Some(format!(
            "its VM's own {path} lies in the partition of {mount}"
        ))
    })
}

/// The name of the base of a VM's disk: a digest, in hex, of all that two VMs must have in common to
/// share it. Sizes are no part of it, as a disk may be larger or smaller than its base. `None`: the
/// disk shares none.
///
/// # Panics
/// Never: a blueprint can be written as text.
pub fn base_name(blueprint: &Blueprint, disk: &Disk) -> Option<String> {
    let image = disk.image.as_ref().filter(|_| disk.shared_base)?;
    let boots = blueprint.disks.first().map(|first| &first.name) == Some(&disk.name);
    let customisation = &blueprint.customisation;
    let made = boots.then_some((
        blueprint.arch,
        blueprint.boot,
        &blueprint.kernel_arguments,
        &customisation.add,
        &customisation.remove,
        &customisation.scripts,
    ));
    let text = serde_json::to_vec(&(image, disk.table, &disk.partitions, made));
    let digest = Sha256::digest(text.expect("a blueprint has plain fields only"));
    let mut name = String::new();
    for byte in digest {
        write!(name, "{byte:02x}").expect("a string takes all");
    }
    Some(name)
}

/// The names of all bases on which a VM's disks stand.
pub fn bases(blueprint: &Blueprint) -> impl Iterator<Item = String> {
    let disks = blueprint.disks.iter();
    disks.filter_map(|disk| base_name(blueprint, disk))
}
