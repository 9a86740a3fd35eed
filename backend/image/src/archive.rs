//! Layers of files: tar streams from anywhere, refused at the first thing that does not belong in one.
//!
//! Refused are absolute names, `..`, names that occur twice or lie beneath a link of the same layer,
//! links that climb out of the root, hard links to what is no file, devices, pipes, sparse entries
//! (which unpack to any size), and whatever exceeds what the manifest promised.

use crate::error::Error;
use crate::tree::{Kind, Node, Tree};
use agent::edit::Access;
use agent::watch::Watch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use tar::{Archive, Entry, EntryType};

/// The most that a layer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of the unpacked stream.
    pub bytes: u64,
}

/// Longest name and longest target of a link: what Linux takes.
const MAX_NAME_BYTES: usize = 4_096;

/// Puts the files of a layer over those of a tree.
///
/// # Errors
/// At the first entry that does not belong in a layer; the tree is then of no use.
pub fn unpack(
    stream: impl Read,
    layer: &str,
    bounds: Bounds,
    tree: &mut Tree,
    watch: &dyn Watch,
) -> Result<(), Error> {
    read(stream, layer, bounds, (tree, Seen::default()), watch)
}

/// Puts the files of a root that was saved over those of a tree; devices and pipes are left out, as its
/// machine makes them anew.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_saved(
    stream: impl Read,
    root: &str,
    tree: &mut Tree,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let bounds = Bounds {
        entries: u64::MAX,
        bytes: u64::MAX,
    };
    let seen = Seen {
        leaves_devices: true,
        ..Seen::default()
    };
    read(stream, root, bounds, (tree, seen), watch)
}

fn read(
    stream: impl Read,
    layer: &str,
    bounds: Bounds,
    (tree, mut seen): (&mut Tree, Seen),
    watch: &dyn Watch,
) -> Result<(), Error> {
    let refused = |why: String| Error::refused(layer, why);
    // One byte more than promised tells a stream that is too long from one that just fits.
    let mut archive = Archive::new(stream.take(bounds.bytes.saturating_add(1)));
    let mut count = 0;
    for entry in archive
        .entries()
        .map_err(|error| refused(error.to_string()))?
    {
        watch.checkpoint()?;
        count += 1;
        if count > bounds.entries {
            return Err(refused(format!(
                "more than the {} entries promised",
                bounds.entries
            )));
        }
        let mut entry = entry.map_err(|error| refused(error.to_string()))?;
        let put = put(&mut entry, tree, &mut seen).map_err(|error| match error {
            Error::Refused { what, why } => refused(format!("{what}: {why}")),
            Error::File { source, .. } => refused(source.to_string()),
            error => error,
        });
        put?;
    }
    // What follows the end of the archive is read too: it counts, and a cut stream shows there.
    let mut rest = archive.into_inner();
    let drained = std::io::copy(&mut rest, &mut std::io::sink());
    drained.map_err(|error| refused(error.to_string()))?;
    if rest.limit() == 0 {
        return Err(refused(format!(
            "more than the {} bytes promised",
            bounds.bytes
        )));
    }
    Ok(())
}

/// Names of the layer so far.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    links: BTreeSet<String>,
    /// Whether devices and pipes are left out, and not refused.
    leaves_devices: bool,
}

fn put(entry: &mut Entry<'_, impl Read>, tree: &mut Tree, seen: &mut Seen) -> Result<(), Error> {
    let raw = entry.path_bytes().into_owned();
    let name = name(&raw, false)?;
    if name.is_empty() {
        return Ok(());
    }
    if !seen.names.insert(name.clone()) {
        return Err(Error::refused(name, "the name occurs twice"));
    }
    let above = crate::ext4::parents(&name).find(|parent| seen.links.contains(*parent));
    if let Some(why) = above.map(|link| format!("it lies beneath the link {link}")) {
        return Err(Error::refused(name, why));
    }
    let kind = match entry.header().entry_type() {
        EntryType::Directory => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => {
            let promised = entry.size();
            let (spooled, bytes) = tree.spool(&mut *entry)?;
            if bytes != promised {
                return Err(Error::refused(name, format!("{bytes} of {promised} bytes")));
            }
            Kind::File { spooled, bytes }
        }
        EntryType::Symlink => {
            let target = link_target(entry, &name)?;
            seen.links.insert(name.clone());
            Kind::Link { target }
        }
        EntryType::Link => {
            let raw = entry.link_name_bytes().unwrap_or_default().into_owned();
            let target = self::name(&raw, false)?;
            match tree.node(&target) {
                Some(node) if seen.names.contains(&target) => {
                    if !matches!(node.kind, Kind::File { .. }) {
                        return Err(Error::refused(name, "a hard link to what is no file"));
                    }
                    let node = node.clone();
                    return tree.put(&name, node);
                }
                _ => return Err(Error::refused(name, "a hard link to no file of the layer")),
            }
        }
        EntryType::Block | EntryType::Char | EntryType::Fifo if seen.leaves_devices => {
            return Ok(());
        }
        EntryType::Block | EntryType::Char => return Err(Error::refused(name, "a device")),
        EntryType::Fifo => return Err(Error::refused(name, "a pipe")),
        other => {
            return Err(Error::refused(
                name,
                format!("an entry of unknown type {other:?}"),
            ));
        }
    };
    let node = Node {
        kind,
        access: access(entry, &name)?,
        changed_seconds: entry.header().mtime().unwrap_or(0),
        attributes: attributes(entry, &name)?,
    };
    tree.put(&name, node)
}

/// The absolute path of an entry's name; empty for the root.
fn name(raw: &[u8], link: bool) -> Result<String, Error> {
    let lossy = || String::from_utf8_lossy(raw).into_owned();
    let text = std::str::from_utf8(raw).map_err(|_| Error::refused(lossy(), "not UTF-8"))?;
    let refused = |why| Err(Error::refused(format!("{text:?}"), why));
    if text.len() > MAX_NAME_BYTES {
        return Err(Error::refused(
            "a name",
            format!("{} bytes long", text.len()),
        ));
    }
    if text.contains(char::is_control) {
        return refused("a control character in a name");
    }
    if link {
        return Ok(text.to_owned());
    }
    if text.starts_with('/') {
        return refused("an absolute name");
    }
    let mut path = String::new();
    for part in text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." {
            return refused("a name with ..");
        }
        path.push('/');
        path.push_str(part);
    }
    Ok(path)
}

/// The target of a symbolic link, which may be absolute in the guest but may not climb above its
/// root.
fn link_target(entry: &Entry<'_, impl Read>, name: &str) -> Result<String, Error> {
    let raw = entry.link_name_bytes().unwrap_or_default().into_owned();
    let target = self::name(&raw, true)?;
    if target.is_empty() {
        return Err(Error::refused(name, "a link to nothing"));
    }
    let mut depth = match target.starts_with('/') {
        true => 0,
        false => name.matches('/').count() as i64 - 1,
    };
    for part in target
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        depth += if part == ".." { -1 } else { 1 };
        if depth < 0 {
            return Err(Error::refused(
                name,
                format!("a link out of the root, to {target}"),
            ));
        }
    }
    Ok(target)
}

fn access(entry: &Entry<'_, impl Read>, name: &str) -> Result<Access, Error> {
    let header = entry.header();
    let malformed = |error: std::io::Error| Error::refused(name, error.to_string());
    let id = |id: u64| u32::try_from(id).map_err(|_| Error::refused(name, format!("owner {id}")));
    Ok(Access {
        mode: header.mode().map_err(malformed)? & 0o7777,
        uid: id(header.uid().map_err(malformed)?)?,
        gid: id(header.gid().map_err(malformed)?)?,
    })
}

/// Capabilities and labels of files; what else tar programs note is theirs.
fn attributes(
    entry: &mut Entry<'_, impl Read>,
    name: &str,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    const PREFIX: &str = "SCHILY.xattr.";
    let mut found = Vec::new();
    let malformed = |error: std::io::Error| Error::refused(name, error.to_string());
    let Some(extensions) = entry.pax_extensions().map_err(malformed)? else {
        return Ok(found);
    };
    for extension in extensions {
        let extension = extension.map_err(malformed)?;
        let key = extension.key().unwrap_or_default();
        if let Some(key) = key
            .strip_prefix(PREFIX)
            .filter(|key| key.starts_with("security."))
        {
            found.push((key.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    Ok(found)
}
