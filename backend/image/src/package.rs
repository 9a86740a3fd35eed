//! Components taken out of a tree: a package by its lists of files, or a path with all beneath it.

use crate::error::Error;
use crate::tree::{Kind, Tree};
use std::collections::BTreeSet;

/// Where dpkg keeps what is installed.
const STATUS: &str = "/var/lib/dpkg/status";
const LISTS: &str = "/var/lib/dpkg/info";

/// Whether the removal of components reads what is in a file.
pub fn is_listed(path: &str) -> bool {
    path == STATUS || path.starts_with(LISTS) && path.ends_with(".list")
}

/// Takes components out: package names, or absolute paths.
///
/// # Errors
/// Where there is no such component, or another package needs it.
pub fn remove(tree: &mut Tree, components: &[String]) -> Result<(), Error> {
    let (paths, packages): (Vec<&String>, Vec<&String>) = components
        .iter()
        .partition(|component| component.starts_with('/'));
    if !packages.is_empty() {
        remove_packages(tree, &packages)?;
    }
    for path in paths {
        if tree.node(path).is_none() {
            return Err(Error::refused(path, "the image has no such file"));
        }
        tree.remove(path);
    }
    Ok(())
}

fn remove_packages(tree: &mut Tree, packages: &[&String]) -> Result<(), Error> {
    let status = tree
        .read(STATUS)?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let status =
        status.ok_or_else(|| Error::refused(packages[0], "the image keeps no packages"))?;
    let stanzas: Vec<&str> = status
        .split("\n\n")
        .filter(|s| !s.trim().is_empty())
        .collect();
    let leaves = |stanza: &&str| {
        packages
            .iter()
            .any(|name| field(stanza, "Package") == Some(name))
    };
    let (leaving, staying): (Vec<&str>, Vec<&str>) = stanzas.into_iter().partition(leaves);
    for name in packages {
        if !leaving
            .iter()
            .any(|stanza| field(stanza, "Package") == Some(name))
        {
            return Err(Error::refused(*name, "the image has no such package"));
        }
        if let Some(other) = staying.iter().find(|stanza| needs(stanza, name)) {
            let other = field(other, "Package").unwrap_or("another package");
            return Err(Error::refused(*name, format!("{other} needs it")));
        }
    }
    let others = lists(tree, &names(&staying))?;
    for stanza in &leaving {
        let name = field(stanza, "Package").unwrap_or_default();
        for path in lists(tree, &BTreeSet::from([name.to_owned()]))?.difference(&others) {
            remove_listed(tree, path);
        }
        for file in info_files(tree, name) {
            tree.remove(&file);
        }
    }
    remove_dangling(tree);
    let status = staying.join("\n\n") + "\n\n";
    tree.edit(&[agent::edit::Edit::file(STATUS, status, 0o644)])
}

/// The files and folders that packages have brought.
fn lists(tree: &Tree, names: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let mut paths = BTreeSet::new();
    for name in names {
        for list in info_files(tree, name)
            .into_iter()
            .filter(|file| file.ends_with(".list"))
        {
            let text = tree.read(&list)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            paths.extend(text.lines().filter(|line| *line != "/.").map(str::to_owned));
        }
    }
    Ok(paths)
}

/// `NAME.list`, `NAME:ARCH.list`, and all else dpkg keeps of a package.
fn info_files(tree: &Tree, name: &str) -> Vec<String> {
    let beginnings = [format!("{LISTS}/{name}."), format!("{LISTS}/{name}:")];
    let of_it = |path: &&str| {
        beginnings
            .iter()
            .any(|beginning| path.starts_with(beginning))
    };
    // A name may itself hold a dot, as `libpython3.11`: `libpython3.list` is not a file of it.
    let files = tree.nodes().map(|(path, _)| path).filter(of_it);
    let whole = |path: &&str| {
        let rest = &path[LISTS.len() + 1..];
        let stem = rest.rsplit_once('.').map_or(rest, |(stem, _)| stem);
        stem.split(':').next() == Some(name)
    };
    files.filter(whole).map(str::to_owned).collect()
}

/// Folders go only once they are empty: others may have put files there since.
fn remove_listed(tree: &mut Tree, path: &str) {
    match tree.node(path).map(|node| node.kind.clone()) {
        Some(Kind::Folder) => {}
        Some(_) => tree.remove(path),
        None => return,
    }
    let mut folder = path.to_owned();
    while let Some(at) = folder.rfind('/').filter(|&at| at > 0) {
        folder.truncate(at);
        let empty = tree.is_empty_folder(&folder);
        let is_folder = matches!(tree.node(&folder), Some(node) if node.kind == Kind::Folder);
        if !(empty && is_folder && at > 4 && !KEPT.contains(&folder.as_str())) {
            return;
        }
        tree.remove(&folder);
    }
}

/// Folders that a system expects though nothing be in them.
const KEPT: [&str; 8] = [
    "/etc",
    "/home",
    "/root",
    "/tmp",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// Units that were enabled by the links of packages that are gone.
fn remove_dangling(tree: &mut Tree) {
    let in_etc = |path: &str| path.starts_with("/etc/");
    let dangling: Vec<String> = tree
        .nodes()
        .filter(|(path, node)| in_etc(path) && matches!(&node.kind, Kind::Link { target } if target.starts_with("/lib/systemd") || target.starts_with("/usr/lib/systemd")))
        .filter(|(path, _)| tree.followed(path).is_none())
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in dangling {
        tree.remove(&path);
    }
}

fn names(stanzas: &[&str]) -> BTreeSet<String> {
    let names = stanzas.iter().filter_map(|stanza| field(stanza, "Package"));
    names.map(str::to_owned).collect()
}

fn field<'s>(stanza: &'s str, name: &str) -> Option<&'s str> {
    let lines = stanza.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next()
}

/// Whether a package needs another and nothing else will do.
fn needs(stanza: &str, name: &str) -> bool {
    let fields = ["Depends", "Pre-Depends"]
        .iter()
        .filter_map(|key| field(stanza, key));
    let mut needed = fields.flat_map(|value| value.split(','));
    needed.any(|one| {
        let alone = !one.contains('|');
        let first = one.trim().split([' ', ':', '(']).next();
        alone && first == Some(name)
    })
}
