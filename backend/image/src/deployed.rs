//! An ext4 file system that is there, as a tree of files: changed as one that is built, and the
//! difference written back.
//!
//! Names, modes and links are read for all files, contents for those alone that somebody asks for: what
//! is not changed is never copied.

use crate::error::{At, Error};
use crate::ext4::{Ext4, set_access};
use crate::sandbox::hand_over;
use crate::tree::{Kind, Node, Tree};
use agent::edit::Access;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The number of the root's inode. Source: the kernel's
/// `Documentation/filesystems/ext4/special_inodes.rst`.
const ROOT: u64 = 2;

/// More files than a guest's system has, and few enough to hold in memory: 200 bytes each.
const MOST_FILES: usize = 4_000_000;

/// The type bits of a mode, and what they say. Source: POSIX's `sys/stat.h` as Linux numbers it.
const TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// The files of a file system.
pub(crate) struct Deployed<'a> {
    root: Ext4<'a>,
    /// As they are to be.
    pub(crate) tree: Tree,
    /// As they are.
    there: BTreeMap<String, Node>,
    /// The inodes of files by their numbers in the spool.
    inodes: BTreeMap<u64, u64>,
    work: PathBuf,
}

/// One entry of a folder, as debugfs lists it.
struct Entry {
    path: String,
    inode: u64,
    mode: u32,
    access: Access,
    bytes: u64,
}

impl<'a> Deployed<'a> {
    /// Reads the names of all files. `work`: an empty folder.
    ///
    /// # Errors
    /// Where the file system is not as it should be.
    pub(crate) fn read(root: Ext4<'a>, work: &Path) -> Result<Self, Error> {
        let spool = work.join("spool");
        std::fs::create_dir(&spool).at(&spool)?;
        let mut deployed = Self {
            root,
            tree: Tree::new(&spool),
            there: BTreeMap::new(),
            inodes: BTreeMap::new(),
            work: work.to_owned(),
        };
        deployed.list()?;
        let nodes = deployed.tree.nodes();
        deployed.there = nodes
            .map(|(path, node)| (path.to_owned(), node.clone()))
            .collect();
        Ok(deployed)
    }

    /// Puts the contents of the files with such paths into the spool.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) fn take_contents(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
        let nodes = self.tree.nodes().filter(|(path, _)| wanted(path));
        let numbers: BTreeSet<u64> = nodes
            .filter_map(|(_, node)| match node.kind {
                Kind::File { spooled, .. } => Some(spooled),
                Kind::Folder | Kind::Link { .. } => None,
            })
            .collect();
        let files = numbers.iter().filter_map(|number| {
            let (inode, to) = (self.inodes.get(number)?, self.tree.content(*number));
            Some(format!("dump <{inode}> \"{}\"\n", to.display()))
        });
        let script: String = files.collect();
        if script.is_empty() {
            return Ok(());
        }
        hand_over(&self.work)?;
        self.root.debugfs(false, script, Some(&self.work)).map(drop)
    }

    /// Writes what has become other than it was.
    ///
    /// # Errors
    /// Where a file has a name that debugfs does not take, lies in another file system, or has no room.
    pub(crate) fn write(self, mounts: &[String]) -> Result<(), Error> {
        let mut script = String::new();
        // What lies beneath a folder comes after it.
        for (path, node) in self.there.iter().rev() {
            let is = self.tree.exact(path);
            if is == Some(node) || is.is_some_and(|is| both_folders(is, node)) {
                continue;
            }
            check_place(path, mounts)?;
            let word = match node.kind {
                Kind::Folder => "rmdir",
                Kind::File { .. } | Kind::Link { .. } => "rm",
            };
            script += &format!("{word} \"{path}\"\n");
        }
        let mut attributes = 0;
        for (path, node) in self.tree.nodes() {
            let was = self.there.get(path);
            if was == Some(node) || was.is_some_and(|was| both_folders(node, was)) {
                continue;
            }
            check_place(path, mounts)?;
            let kind = match &node.kind {
                Kind::Folder => {
                    script += &format!("mkdir \"{path}\"\n");
                    FOLDER
                }
                Kind::File { spooled, .. } => {
                    let from = self.tree.content(*spooled);
                    script += &format!("write \"{}\" \"{path}\"\n", from.display());
                    FILE
                }
                Kind::Link { target } => {
                    check_name(target)?;
                    script += &format!("symlink \"{path}\" \"{target}\"\n");
                    LINK
                }
            };
            script += &set_access(path, kind, node.access);
            if node.changed_seconds > 0 {
                script += &format!("sif \"{path}\" mtime @{}\n", node.changed_seconds);
            }
            for (name, value) in &node.attributes {
                check_name(name)?;
                attributes += 1;
                let file = self.work.join(format!("a{attributes}"));
                std::fs::write(&file, value).at(&file)?;
                script += &format!("ea_set -f \"{}\" \"{path}\" {name}\n", file.display());
            }
        }
        if script.is_empty() {
            return Ok(());
        }
        hand_over(&self.work)?;
        self.root.debugfs(true, script, Some(&self.work)).map(drop)
    }

    /// Folder by folder, those of one depth at once.
    fn list(&mut self) -> Result<(), Error> {
        let mut seen = BTreeSet::from([ROOT]);
        let mut folders = vec![(String::new(), ROOT)];
        let mut numbers = BTreeMap::new();
        let mut links = Vec::new();
        let mut count = 0;
        while !folders.is_empty() {
            let mut below = Vec::new();
            for entry in self.entries(&folders)? {
                count += 1;
                if count > MOST_FILES {
                    let why = format!("more than {MOST_FILES} files");
                    return Err(Error::refused("the root file system", why));
                }
                let kind = match entry.mode & TYPE {
                    FOLDER => {
                        if !seen.insert(entry.inode) {
                            return Err(Error::refused(&entry.path, "its folders go round"));
                        }
                        below.push((entry.path.clone(), entry.inode));
                        Kind::Folder
                    }
                    LINK => {
                        links.push(entry);
                        continue;
                    }
                    // What is no file has no contents that anybody would ask for.
                    _ => {
                        let number = numbers.entry(entry.inode);
                        let spooled = *number.or_insert_with(|| self.tree.number());
                        if entry.mode & TYPE == FILE {
                            self.inodes.insert(spooled, entry.inode);
                        }
                        let bytes = entry.bytes;
                        Kind::File { spooled, bytes }
                    }
                };
                self.tree.note(entry.path, node(kind, entry.access));
            }
            folders = below;
        }
        self.follow(links)
    }

    fn entries(&self, folders: &[(String, u64)]) -> Result<Vec<Entry>, Error> {
        let questions = folders.iter().map(|(_, inode)| format!("ls -p <{inode}>"));
        let answers = self.ask(questions)?;
        let mut entries = Vec::new();
        for ((folder, _), answer) in folders.iter().zip(answers) {
            let lines = answer.lines().filter(|line| !line.is_empty());
            for line in lines {
                let entry = entry(folder, line);
                let entry = entry.ok_or_else(|| Error::refused(line, "no entry of a folder"))?;
                entries.extend(Some(entry).filter(|entry| {
                    let name = entry.path.rsplit('/').next();
                    !matches!(name, Some("." | "..")) && entry.inode > 0
                }));
            }
        }
        Ok(entries)
    }

    /// Where links point: short targets lie in the inode, others in a block.
    fn follow(&mut self, links: Vec<Entry>) -> Result<(), Error> {
        let answers = self.ask(links.iter().map(|link| format!("stat <{}>", link.inode)))?;
        let mut long = Vec::new();
        for (link, answer) in links.into_iter().zip(answers) {
            let target = answer
                .split_once("Fast link dest: \"")
                .and_then(|(_, rest)| rest.rsplit_once('"'));
            match target {
                Some((target, _)) => self.note_link(link, target.to_owned()),
                None => long.push(link),
            }
        }
        let answers = self.ask(long.iter().map(|link| format!("cat <{}>", link.inode)))?;
        for (link, answer) in long.into_iter().zip(answers) {
            self.note_link(link, answer);
        }
        Ok(())
    }

    fn note_link(&mut self, link: Entry, target: String) {
        let kind = Kind::Link { target };
        self.tree.note(link.path, node(kind, link.access));
    }

    /// Asks debugfs; each answer follows the echo of its question.
    fn ask(&self, questions: impl Iterator<Item = String>) -> Result<Vec<String>, Error> {
        let questions: Vec<String> = questions.collect();
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let script = questions.join("\n") + "\n";
        let said = self.root.debugfs(false, script, None)?;
        let said = String::from_utf8_lossy(&said);
        let mut left = said.as_ref();
        let mut answers = Vec::new();
        for (at, question) in questions.iter().enumerate() {
            let malformed = || Error::refused(question, "debugfs does not answer");
            let echo = format!("debugfs: {question}\n");
            let (_, rest) = left.split_once(&echo).ok_or_else(malformed)?;
            let next = questions.get(at + 1);
            let end = next.and_then(|next| rest.find(&format!("debugfs: {next}\n")));
            let end = end.unwrap_or(rest.len());
            answers.push(rest[..end].to_owned());
            left = &rest[end..];
        }
        Ok(answers)
    }
}

/// `/INODE/MODE/USER/GROUP/NAME/SIZE/`; a name has no slash.
fn entry(folder: &str, line: &str) -> Option<Entry> {
    let mut parts = line.strip_prefix('/')?.splitn(5, '/');
    let mut part = || parts.next();
    let inode = part()?.parse().ok()?;
    let mode = u32::from_str_radix(part()?, 8).ok()?;
    let (uid, gid) = (part()?.parse().ok()?, part()?.parse().ok()?);
    let (name, size) = part()?.strip_suffix('/')?.rsplit_once('/')?;
    Some(Entry {
        path: format!("{folder}/{name}"),
        inode,
        mode,
        access: Access {
            mode: mode & 0o7777,
            uid,
            gid,
        },
        bytes: size.parse().unwrap_or(0),
    })
}

fn node(kind: Kind, access: Access) -> Node {
    Node {
        kind,
        access,
        changed_seconds: 0,
        attributes: Vec::new(),
    }
}

fn both_folders(one: &Node, other: &Node) -> bool {
    one.kind == Kind::Folder && other.kind == Kind::Folder
}

/// That a path lies in this file system and can be named to debugfs.
fn check_place(path: &str, mounts: &[String]) -> Result<(), Error> {
    let beneath = |mount: &&String| path.starts_with(&format!("{}/", mount.trim_end_matches('/')));
    if let Some(mount) = mounts.iter().find(beneath) {
        let why = format!("it lies in the partition of {mount}");
        return Err(Error::refused(path, why));
    }
    check_name(path)
}

fn check_name(text: &str) -> Result<(), Error> {
    match text.contains(|c: char| c == '"' || c.is_control()) {
        true => Err(Error::refused(
            text,
            "a quote or a control character in its name",
        )),
        false => Ok(()),
    }
}
