//! The files of a guest while they are put together: names, modes and owners in memory, contents in
//! a spool of numbered files.
//!
//! Nothing of an image ever becomes a path of the node before [`Tree::write_out`], which makes
//! folders first, then files, then links, in an empty folder of its own: so no link of an image can
//! lead a write elsewhere.

use crate::error::{At, Error};
use agent::edit::{Access, Change, Edit, resolve, wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Links that one name may lead through, as in the kernel's own rule.
const MAX_LINKS: usize = 40;

/// The files of a guest.
#[derive(Debug)]
pub struct Tree {
    spool: PathBuf,
    spooled: u64,
    nodes: BTreeMap<String, Node>,
}

/// One file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its mode and owner.
    pub access: Access,
    /// When it was changed, in seconds since 1970.
    pub changed_seconds: u64,
    /// Extended attributes by name.
    pub attributes: Vec<(String, Vec<u8>)>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file; two names of one number are one file with two names.
    File {
        /// Its number in the spool.
        spooled: u64,
        /// Its size in bytes.
        bytes: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it points, inside of the guest.
        target: String,
    },
}

impl Tree {
    /// An empty tree whose contents go to an empty folder.
    pub fn new(spool: &Path) -> Self {
        Self {
            spool: spool.to_owned(),
            spooled: 0,
            nodes: BTreeMap::new(),
        }
    }

    /// All nodes by absolute path; the root itself is none of them.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The node at a path, links in the folders above it followed.
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.place(path).ok()?)
    }

    /// The node of this very path, no link followed.
    pub fn exact(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The folder of the node that holds the contents.
    pub(crate) fn spool_folder(&self) -> &Path {
        &self.spool
    }

    /// The file on the node that holds a file's bytes.
    pub fn content(&self, spooled: u64) -> PathBuf {
        self.spool.join(spooled.to_string())
    }

    /// The bytes of a file, its own links followed; `None`: there is no file.
    ///
    /// # Errors
    /// Where the spool cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(Node {
            kind: Kind::File { spooled, .. },
            ..
        }) = self.followed(path)
        else {
            return Ok(None);
        };
        let file = self.content(*spooled);
        std::fs::read(&file).at(&file).map(Some)
    }

    /// The node that a path leads to, links followed to the end.
    pub fn followed(&self, path: &str) -> Option<&Node> {
        let mut path = self.place(path).ok()?;
        for _ in 0..MAX_LINKS {
            match self.nodes.get(&path)? {
                Node {
                    kind: Kind::Link { target },
                    ..
                } => {
                    path = self.place(&join(&path, target)).ok()?;
                }
                node => return Some(node),
            }
        }
        None
    }

    /// Puts a node where its path leads, and folders above it where there are none.
    ///
    /// # Errors
    /// Where something that is no folder stands above it, or a folder would be replaced by a file.
    pub fn put(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let path = self.place(path)?;
        for parent in crate::ext4::parents(&path) {
            let parent = parent.to_owned();
            self.nodes.entry(parent).or_insert_with(|| Node {
                kind: Kind::Folder,
                access: Access::root(0o755),
                changed_seconds: node.changed_seconds,
                attributes: Vec::new(),
            });
        }
        // A folder that is there stays as it is, also behind a link: a layer names the folders above
        // its files, and knows nothing of a system that keeps them elsewhere.
        let there = self
            .followed(&path)
            .is_some_and(|old| old.kind == Kind::Folder);
        if node.kind == Kind::Folder && there {
            return Ok(());
        }
        let folder = matches!(self.nodes.get(&path), Some(old) if old.kind == Kind::Folder);
        if folder && node.kind != Kind::Folder && !self.is_empty_folder(&path) {
            return Err(Error::refused(path, "there is a folder of that name"));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Spools the bytes of a file; its number.
    ///
    /// # Errors
    /// Where there is no room, or the bytes cannot be read.
    pub fn spool(&mut self, mut bytes: impl Read) -> Result<(u64, u64), Error> {
        self.spooled += 1;
        let path = self.content(self.spooled);
        let mut file = crate::replicate::create(&path)?;
        let many = std::io::copy(&mut bytes, &mut file).at(&path)?;
        Ok((self.spooled, many))
    }

    /// Moves a file into the spool; its number.
    ///
    /// # Errors
    /// Where it cannot be moved.
    pub(crate) fn take_in(&mut self, file: &Path) -> Result<u64, Error> {
        self.spooled += 1;
        std::fs::rename(file, self.content(self.spooled)).at(file)?;
        Ok(self.spooled)
    }

    /// Takes note of what a disk has at this very path. The bytes of a file are put into the spool by
    /// whoever needs them.
    pub(crate) fn note(&mut self, path: String, node: Node) {
        self.nodes.insert(path, node);
    }

    /// The number of a file whose bytes lie elsewhere until they are needed.
    pub(crate) fn number(&mut self) -> u64 {
        self.spooled += 1;
        self.spooled
    }

    /// Takes a node away with all beneath it; nothing happens where there is none.
    pub fn remove(&mut self, path: &str) {
        let Ok(path) = self.place(path) else { return };
        let beneath = format!("{path}/");
        self.nodes
            .retain(|other, _| *other != path && !other.starts_with(&beneath));
    }

    /// Whether a folder has nothing in it.
    pub fn is_empty_folder(&self, path: &str) -> bool {
        let beneath = format!("{path}/");
        let next = self.nodes.range(beneath.clone()..).next();
        !next.is_some_and(|(other, _)| other.starts_with(&beneath))
    }

    /// Makes edits.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub fn edit(&mut self, edits: &[Edit]) -> Result<(), Error> {
        let mut texts = BTreeMap::new();
        for path in wanted(edits)? {
            if let Some(bytes) = self.read(&path)? {
                texts.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        for change in resolve(edits, texts)? {
            self.change(change)?;
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<(), Error> {
        let node = |kind, access| Node {
            kind,
            access,
            changed_seconds: 0,
            attributes: Vec::new(),
        };
        match change {
            Change::Folder { path, .. } if self.followed(&path).is_some() => Ok(()),
            Change::Folder { path, access } => self.put(&path, node(Kind::Folder, access)),
            Change::File {
                path,
                bytes,
                access,
            } => {
                let old = self
                    .node(&path)
                    .filter(|old| matches!(old.kind, Kind::File { .. }));
                let old = old.map(|old| old.access);
                let access = access.or(old).unwrap_or(Access::root(0o644));
                let (spooled, bytes) = self.spool(bytes.as_slice())?;
                self.put(&path, node(Kind::File { spooled, bytes }, access))
            }
            Change::Link { path, target } => {
                self.put(&path, node(Kind::Link { target }, Access::root(0o777)))
            }
            Change::Delete { path } => {
                self.remove(&path);
                Ok(())
            }
        }
    }

    /// The path itself, with the links in the folders above it followed inside of the tree.
    ///
    /// # Errors
    /// Where a file stands in the way, or links go round.
    pub fn place(&self, path: &str) -> Result<String, Error> {
        let mut left: Vec<String> = split(path).rev().map(str::to_owned).collect();
        let mut at = String::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                at.truncate(at.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{at}/{part}");
            let above = !left.is_empty();
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(Kind::Link { target }) if above => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::refused(path, "its links go round"));
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    left.extend(split(target).rev().map(str::to_owned));
                }
                Some(Kind::File { .. }) if above => {
                    return Err(Error::refused(path, format!("{next} is no folder")));
                }
                _ => at = next,
            }
        }
        Ok(at)
    }

    /// Writes what belongs to one mount point into an empty folder, without owners; the other mount
    /// points become empty folders there. Contents move: a copy would take as long again, and a
    /// second name would be counted by tools that make file systems.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn write_out(
        &self,
        mount: &str,
        others: &BTreeSet<String>,
        to: &Path,
    ) -> Result<(), Error> {
        let mut links = Vec::new();
        let mut placed: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for (path, node) in self.beneath(mount, others) {
            let at = to.join(&path[1..]);
            match &node.kind {
                Kind::Folder => {
                    std::fs::create_dir_all(&at).at(&at)?;
                    let mode = written_mode(node);
                    std::fs::set_permissions(&at, Permissions::from_mode(mode)).at(&at)?;
                }
                Kind::File { spooled, .. } => {
                    match placed.get(spooled) {
                        Some(first) => std::fs::hard_link(first, &at).at(&at)?,
                        None => std::fs::rename(self.content(*spooled), &at).at(&at)?,
                    }
                    placed.entry(*spooled).or_insert_with(|| at.clone());
                    let mode = Permissions::from_mode(written_mode(node));
                    std::fs::set_permissions(&at, mode).at(&at)?;
                    let changed = UNIX_EPOCH + Duration::from_secs(node.changed_seconds);
                    File::options()
                        .write(true)
                        .open(&at)
                        .and_then(|f| f.set_modified(changed))
                        .at(&at)?;
                }
                Kind::Link { target } => links.push((at, target)),
            }
        }
        for (at, target) in links {
            symlink(target, &at).at(&at)?;
        }
        Ok(())
    }

    /// The nodes of one mount point, by their paths in it.
    pub fn beneath<'t>(
        &'t self,
        mount: &'t str,
        others: &'t BTreeSet<String>,
    ) -> impl Iterator<Item = (&'t str, &'t Node)> {
        let prefix = mount.trim_end_matches('/');
        let elsewhere = move |path: &str| {
            let inner = others
                .iter()
                .filter(move |other| other.len() > prefix.len());
            let mut inner = inner.map(|other| format!("{other}/"));
            inner.any(|other| path.starts_with(&other))
        };
        self.nodes().filter_map(move |(path, node)| {
            let rest = path.strip_prefix(prefix)?;
            (rest.starts_with('/') && !elsewhere(path)).then_some((rest, node))
        })
    }
}

/// The mode bits that a node is written out with: its owner, the tools' user, must be able to read
/// all of it, and bits of privilege are for the image alone.
pub(crate) fn written_mode(node: &Node) -> u32 {
    match node.kind {
        Kind::Folder => node.access.mode & 0o777 | 0o700,
        _ => node.access.mode & 0o777 | 0o600,
    }
}

fn split(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

/// Where a link at a path leads.
fn join(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let folder = link.rfind('/').map_or("", |at| &link[..at]);
    format!("{folder}/{target}")
}
