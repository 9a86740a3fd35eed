//! A customer's script, run inside the files of the guest that is being built.

use crate::error::{At, Error};
use crate::sandbox::{Limits, hand_over};
use crate::tool::Tool;
use crate::tree::{Kind, Node, Tree};
use crate::wipe::clear;
use crate::work::Work;
use agent::edit::Access;
use agent::watch::Watch;
use model::blueprint::Script;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where the script stands while it runs; not in the guest afterwards.
const PLACE: &str = "/.gridwright-script";

/// Longer than any setting of files takes; not long enough to mine coins.
const LIMITS: Limits = Limits {
    cpu_seconds: 300,
    memory_bytes: 2 << 30,
    file_bytes: Some(1 << 30),
    wall_seconds: 300,
};

/// Runs a script in the cage with the guest's files for its root, without network, and takes its
/// changes over. Files that it makes are root's.
///
/// # Errors
/// Where it fails, or leaves what does not belong in an image.
pub(crate) fn run(
    tree: &mut Tree,
    script: &Script,
    work: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let root = Work::beside(&work.join("root"))?;
    tree.write_out("/", &BTreeSet::new(), root.path())?;
    let place = root.path().join(&PLACE[1..]);
    std::fs::write(&place, &script.text).at(&place)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&place, executable).at(&place)?;
    for folder in ["proc", "dev", "tmp"] {
        let folder = root.path().join(folder);
        std::fs::create_dir_all(&folder).at(&folder)?;
    }
    hand_over(root.path())?;
    let tool = Tool::new(PLACE)
        .rooted(root.path())
        .within(LIMITS)
        .foreign();
    tool.run(watch).map_err(|error| match error {
        Error::Tool { status, told, .. } => Error::refused(
            format!("script {}", script.name),
            format!("{status}: {told}"),
        ),
        error => error,
    })?;
    clear(&place)?;
    take_over(tree, root.path())
}

/// Brings the tree to what the folder holds, keeping the owners of what stayed.
fn take_over(tree: &mut Tree, root: &Path) -> Result<(), Error> {
    let mut found = BTreeMap::new();
    walk(root, "", &mut found)?;
    let lost: Vec<String> = tree
        .nodes()
        .map(|(path, _)| path.to_owned())
        .filter(|path| !found.contains_key(path))
        .collect();
    for path in lost {
        tree.remove(&path);
    }
    // Two names of one file stay two names of one file.
    let mut taken = BTreeMap::new();
    for (path, about) in found {
        let old = tree.exact(&path).cloned();
        let at = root.join(&path[1..]);
        let mode = about.mode() & 0o7777;
        let kind = if about.is_dir() {
            Kind::Folder
        } else if about.is_symlink() {
            let target = std::fs::read_link(&at).at(&at)?;
            let target = target
                .to_str()
                .ok_or_else(|| Error::refused(&path, "not UTF-8"))?;
            Kind::Link {
                target: target.to_owned(),
            }
        } else if about.is_file() {
            let spooled = match taken.get(&about.ino()) {
                Some(spooled) => *spooled,
                None => tree.take_in(&at)?,
            };
            taken.insert(about.ino(), spooled);
            Kind::File {
                spooled,
                bytes: about.len(),
            }
        } else {
            return Err(Error::refused(
                path,
                "a script left a device, pipe or socket",
            ));
        };
        let node = match old {
            Some(old) if std::mem::discriminant(&old.kind) == std::mem::discriminant(&kind) => {
                let written = crate::tree::written_mode(&old);
                let changed = !matches!(kind, Kind::Link { .. }) && mode != written;
                let mode = if changed { mode } else { old.access.mode };
                Node {
                    kind,
                    access: Access { mode, ..old.access },
                    ..old
                }
            }
            _ => Node {
                kind,
                access: Access::root(mode),
                changed_seconds: u64::try_from(about.mtime()).unwrap_or(0),
                attributes: Vec::new(),
            },
        };
        tree.put(&path, node)?;
    }
    Ok(())
}

fn walk(
    root: &Path,
    folder: &str,
    found: &mut BTreeMap<String, std::fs::Metadata>,
) -> Result<(), Error> {
    let at = root.join(folder.trim_start_matches('/'));
    for entry in at.read_dir().at(&at)? {
        let entry = entry.at(&at)?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .filter(|name| !name.contains(|c: char| c.is_control() || c == '"'));
        let name =
            name.ok_or_else(|| Error::refused(folder, "a script left an unreadable name"))?;
        let path = format!("{folder}/{name}");
        let about = entry.path().symlink_metadata().at(&entry.path())?;
        if about.is_dir() {
            walk(root, &path, found)?;
        }
        found.insert(path, about);
    }
    Ok(())
}
