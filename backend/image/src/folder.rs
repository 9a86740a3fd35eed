//! Root folders of containers: written out of a tree, brought to where they stay, and compared.
//!
//! What lies in them is foreign: no link is followed, and nothing is written but into a new folder.

use crate::error::{At, Error};
use crate::replicate::{compare, create, exchange, partial, replicate_into};
use crate::tree::{Kind, Node, Tree};
use crate::wipe::clear;
use agent::driver::NativeCall;
use agent::watch::{CalledOff, Watch};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr, syncfs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// Capabilities and labels of files: what an image may say beside owners and modes.
const ATTRIBUTES: &str = "security.";

/// Most bytes of one attribute, and of all names of a file's: the kernel's own bound.
const MAX_ATTRIBUTE_BYTES: usize = 64 << 10;

/// Writes a tree as a folder with all that it says of owners, modes and attributes; one of that name
/// is replaced once the new one is whole, and wiped. Contents move out of the tree.
///
/// # Errors
/// Where there is no room, or the caller may not give files away.
pub(crate) fn write_root(tree: &Tree, to: &Path) -> Result<(), Error> {
    let part = fresh(to)?;
    tree.write_out("/", &BTreeSet::new(), &part)?;
    for (path, node) in tree.nodes() {
        dress(&part.join(&path[1..]), node)?;
    }
    replace(&part, to)
}

/// Copies a root folder to a new one; one of that name is replaced once the new one is whole, and
/// wiped.
///
/// # Errors
/// Where it cannot be read or written, or is called off; the target is then as it was.
pub fn replicate_root(from: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let part = fresh(to)?;
    let entries = walk(from)?;
    let mut first_names: BTreeMap<u64, &PathBuf> = BTreeMap::new();
    for (done, (path, about)) in entries.iter().enumerate() {
        watch.checkpoint()?;
        let (source, target) = (from.join(path), part.join(path));
        if let Some(first) = first_names.get(&about.ino()) {
            fs::hard_link(part.join(first), &target).at(&target)?;
            continue;
        }
        if about.is_dir() {
            fs::create_dir(&target).at(&target)?;
        } else if about.is_symlink() {
            symlink(fs::read_link(&source).at(&source)?, &target).at(&target)?;
        } else {
            create(&target)?.set_len(about.len()).at(&target)?;
            replicate_into(&source, &target, 0, &Quiet(watch))?;
            first_names.insert(about.ino(), path);
        }
        let node = Node {
            // Only whether it is a link is looked at, whose mode nobody can set.
            kind: match about.is_symlink() {
                true => Kind::Link {
                    target: String::new(),
                },
                false => Kind::Folder,
            },
            access: agent::edit::Access {
                mode: about.mode() & 0o7777,
                uid: about.uid(),
                gid: about.gid(),
            },
            changed_seconds: 0,
            attributes: attributes(&source)?,
        };
        dress(&target, &node)?;
        watch.progressed((done * 1_000 / entries.len()) as u16);
    }
    replace(&part, to)
}

/// Whether two root folders hold the same, their contents read on both sides.
///
/// # Errors
/// The first path at which they differ.
pub fn compare_roots(one: &Path, other: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let (first, second) = (walk(one)?, walk(other)?);
    let differs = |path: &Path| {
        let why = "it is not what was built";
        Err(Error::refused(other.join(path).display().to_string(), why))
    };
    if let Some(path) = second.keys().find(|path| !first.contains_key(*path)) {
        return differs(path);
    }
    for (done, (path, about)) in first.iter().enumerate() {
        let (left, right) = (one.join(path), other.join(path));
        let same = second.get(path).is_some_and(|there| {
            let told = |about: &Metadata| (about.mode(), about.uid(), about.gid(), about.nlink());
            told(about) == told(there)
        });
        if !same || attributes(&left)? != attributes(&right)? {
            return differs(path);
        }
        if about.is_symlink() {
            if fs::read_link(&left).at(&left)? != fs::read_link(&right).at(&right)? {
                return differs(path);
            }
        } else if about.is_file() {
            compare(&left, &right, &Quiet(watch))?;
        }
        watch.progressed((done * 1_000 / first.len()) as u16);
    }
    Ok(())
}

/// A new folder under the temporary name of one; what a former try left there is wiped.
pub(crate) fn fresh(to: &Path) -> Result<PathBuf, Error> {
    let part = partial(to);
    clear(&part)?;
    fs::create_dir(&part).at(&part)?;
    // Users of the container other than its root pass through.
    fs::set_permissions(&part, Permissions::from_mode(0o755)).at(&part)?;
    Ok(part)
}

pub(crate) fn replace(part: &Path, to: &Path) -> Result<(), Error> {
    // Once for all files: one by one would take as long as the copy itself.
    syncfs(File::open(part).at(part)?).at(part)?;
    match exchange(part, to)? {
        true => clear(part),
        false => Ok(()),
    }
}

/// Gives a file its owner, mode and attributes, in this order: a new owner takes the others away.
fn dress(at: &Path, node: &Node) -> Result<(), Error> {
    let access = node.access;
    lchown(at, Some(access.uid), Some(access.gid)).at(at)?;
    if matches!(node.kind, Kind::Link { .. }) {
        return Ok(());
    }
    fs::set_permissions(at, Permissions::from_mode(access.mode)).at(at)?;
    for (name, value) in &node.attributes {
        lsetxattr(at, name.as_str(), value, XattrFlags::empty()).at(at)?;
    }
    Ok(())
}

pub(crate) fn attributes(at: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut names = vec![0; MAX_ATTRIBUTE_BYTES];
    let many = llistxattr(at, names.as_mut_slice()).at(at)?;
    let names = String::from_utf8_lossy(&names[..many]).into_owned();
    let mut found = Vec::new();
    for name in names.split_terminator('\0') {
        if name.starts_with(ATTRIBUTES) {
            let mut value = vec![0; MAX_ATTRIBUTE_BYTES];
            let many = lgetxattr(at, name, value.as_mut_slice()).at(at)?;
            value.truncate(many);
            found.push((name.to_owned(), value));
        }
    }
    Ok(found)
}

/// All that lies below a folder, folders before what is in them.
fn walk(root: &Path) -> Result<BTreeMap<PathBuf, Metadata>, Error> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let at = root.join(&folder);
        for entry in at.read_dir().at(&at)? {
            let path = folder.join(entry.at(&at)?.file_name());
            let place = root.join(&path);
            let about = place.symlink_metadata().at(&place)?;
            if about.is_dir() {
                folders.push(path.clone());
            } else if !about.is_file() && !about.is_symlink() {
                let why = "a device, pipe or socket does not belong in a root folder";
                return Err(Error::refused(place.display().to_string(), why));
            }
            found.insert(path, about);
        }
    }
    Ok(found)
}

/// Lets the copy of one file be called off, and keeps to itself how far that one is.
struct Quiet<'w>(&'w dyn Watch);

impl Watch for Quiet<'_> {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        self.0.calling(call);
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        self.0.checkpoint()
    }
}
