//! What is changed on the system disk of a VM that is deployed: the difference of two blueprints.
//!
//! Only what differs is written, so that a file that the guest has changed since it was built stays as
//! it is unless the new blueprint asks for another one.

use crate::edit::Edit;
use crate::guest::Guest;
use crate::refusal::{Refusal, invalid};
use model::blueprint::{Blueprint, Format};
use model::hypervisor::Virtualisation;
use std::collections::{BTreeMap, BTreeSet};

/// What is changed on a system disk, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modification {
    /// Components to take out: package names, or absolute paths.
    pub remove: Vec<String>,
    /// Application images to put in, by the SHA-256 of their manifests in hex.
    pub add: Vec<String>,
    /// Files that a blueprint asked for and does not any more, by path.
    pub gone: BTreeSet<String>,
    /// What the templates of its images were filled with.
    pub before: Settings,
    /// What they are to be filled with.
    pub after: Settings,
    /// Files that the blueprint itself asks for, which no template replaces.
    pub own: BTreeSet<String>,
    /// Changes of names, users, keys, files, addresses and rules.
    pub edits: Vec<Edit>,
    /// Where the guest mounts other partitions, whose files are not the root's.
    pub mounts: Vec<String>,
}

/// What templates are filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The images that have them.
    pub images: Vec<String>,
    /// The values that were set.
    pub parameters: BTreeMap<String, String>,
}

/// What makes one VM of another on its system disk.
///
/// # Errors
/// Where they differ in what is not on that disk, or cannot be changed there.
pub fn modification(before: &Blueprint, after: &Blueprint) -> Result<Modification, Refusal> {
    check_same(before, after)?;
    check_disk(after)?;
    check_configuration(before, after)?;
    let (old, new) = (&before.customisation, &after.customisation);
    let remove = beyond("remove", &old.remove, &new.remove)?;
    let add = beyond("add", &old.add, &new.add)?;
    if after.disks[0].shared_base && !(remove.is_empty() && add.is_empty()) {
        let expected = "as they were: they are part of the base that it shares";
        return Err(invalid("customisation.add or .remove", "other", expected));
    }
    let (was, is) = (edits(before), edits(after));
    let (old_paths, own) = (paths(&was), paths(&is));
    let mut gone: BTreeSet<String> = old_paths.difference(&own).cloned().collect();
    gone.extend(shut_out(before, after));
    Ok(Modification {
        remove,
        add,
        gone,
        before: settings(before),
        after: settings(after),
        own,
        edits: is.into_iter().filter(|edit| !was.contains(edit)).collect(),
        mounts: mounts(after),
    })
}

/// That they are the same but for what is on the system disk.
fn check_same(before: &Blueprint, after: &Blueprint) -> Result<(), Refusal> {
    let mut same = after.clone();
    same.name.clone_from(&before.name);
    same.customisation = before.customisation.clone();
    for (interface, old) in same.interfaces.iter_mut().zip(&before.interfaces) {
        interface.addresses.clone_from(&old.addresses);
        interface.gateway = old.gateway;
        interface.allowed.clone_from(&old.allowed);
    }
    if same != *before {
        let expected = "the VM's own but for name, addresses, firewall rules and customisation; \
                        hint: sizes and limits are scaled, all else needs another VM";
        return Err(invalid("blueprint", "another", expected));
    }
    if after.customisation.scripts != before.customisation.scripts {
        let expected = "as they were: they run while a disk is built";
        return Err(invalid("customisation.scripts", "other", expected));
    }
    Ok(())
}

/// That the VM has a system disk whose files can be changed.
fn check_disk(blueprint: &Blueprint) -> Result<(), Refusal> {
    if blueprint.virtualisation == Virtualisation::Container {
        let expected = "full or para: the files of a container are its hypervisor's";
        return Err(invalid("virtualisation", "container", expected));
    }
    if blueprint.has_seed() {
        let expected = "no seed: cloud-init has told the guest what it is";
        return Err(invalid("disks", "with a seed", expected));
    }
    let Some(disk) = blueprint.disks.first().filter(|disk| disk.image.is_some()) else {
        let expected = "a system disk that was made of an image";
        return Err(invalid("disks", "without", expected));
    };
    let root = disk
        .partitions
        .iter()
        .find(|p| p.mount.as_deref() == Some("/"));
    match root.map(|root| root.format) {
        None | Some(Format::Ext4) => Ok(()),
        Some(other) => {
            let expected = "ext4, where it is to be modified";
            Err(invalid("the root's format", other.into(), expected))
        }
    }
}

/// That what lies on a disk of its own, encrypted, stays as it is.
fn check_configuration(before: &Blueprint, after: &Blueprint) -> Result<(), Refusal> {
    let mount = after.disks.iter().find_map(|disk| disk.configuration());
    let files = |blueprint| mount.map(|mount| Guest::new(blueprint).configuration(mount));
    if files(before) == files(after) {
        return Ok(());
    }
    let expected = "as they were beneath the VM's encrypted configuration; hint: let its running \
                    services take them, by an order to configure";
    Err(invalid("customisation.files", "other", expected))
}

/// What a list has beyond what it had.
fn beyond(what: &str, had: &[String], has: &[String]) -> Result<Vec<String>, Refusal> {
    if let Some(missing) = had.iter().find(|old| !has.contains(old)) {
        let field = format!("customisation.{what}");
        let expected = format!("to hold {missing} still, which was done and is not undone");
        return Err(invalid(&field, "shorter", &expected));
    }
    Ok(has
        .iter()
        .filter(|new| !had.contains(new))
        .cloned()
        .collect())
}

fn edits(blueprint: &Blueprint) -> Vec<Edit> {
    let guest = Guest::new(blueprint);
    let mut edits = guest.identity();
    edits.extend(guest.network());
    edits
}

/// Files that are wholly the blueprint's.
fn paths(edits: &[Edit]) -> BTreeSet<String> {
    let whole = edits
        .iter()
        .filter(|edit| !matches!(edit, Edit::Line { .. }));
    whole
        .filter_map(|edit| edit.path())
        .map(str::to_owned)
        .collect()
}

/// The keys of users who are let in no more. The users stay, as files may be theirs, but have no
/// password.
fn shut_out(before: &Blueprint, after: &Blueprint) -> Vec<String> {
    let has_keys = |blueprint: &Blueprint, name: &String| {
        let mut users = blueprint.customisation.users.iter();
        users.any(|user| user.name == *name && !user.ssh_keys.is_empty())
    };
    let users = before.customisation.users.iter().map(|user| &user.name);
    let out = users.filter(|name| has_keys(before, name) && !has_keys(after, name));
    out.map(|name| format!("/home/{name}/.ssh/authorized_keys"))
        .collect()
}

fn settings(blueprint: &Blueprint) -> Settings {
    let image = blueprint.disks.first().and_then(|disk| disk.image.clone());
    let added = blueprint.customisation.add.iter().cloned();
    Settings {
        images: image.into_iter().chain(added).collect(),
        parameters: blueprint.customisation.parameters.clone(),
    }
}

/// Mount points other than the root's.
fn mounts(blueprint: &Blueprint) -> Vec<String> {
    let partitions = blueprint.disks.iter().flat_map(|disk| &disk.partitions);
    let mounts = partitions.filter_map(|partition| partition.mount.clone());
    mounts.filter(|mount| mount != "/").collect()
}
