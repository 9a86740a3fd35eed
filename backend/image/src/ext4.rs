//! ext4 file systems inside images: changed in place, checked, grown and shrunk, never mounted.
//!
//! debugfs takes a script; one call reads what the edits ask for, one writes all changes. It reports
//! faults on its error output alone, so that any line there fails the call.

use crate::error::{At, Error};
use crate::sandbox::hand_over;
use crate::tool::Tool;
use crate::view::{Shape, View};
use agent::edit::{Access, Change, Edit, resolve, wanted};
use agent::watch::Watch;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where an ext4 file system says that it is one: the magic number of its superblock.
/// Source: the kernel's `Documentation/filesystems/ext4/super.rst`.
const MAGIC_AT: u64 = 1024 + 0x38;
const MAGIC: [u8; 2] = 0xEF53_u16.to_le_bytes();
/// Incompatible features, and the one that a journal waits to be replayed.
const INCOMPATIBLE_AT: u64 = 1024 + 0x60;
const NEEDS_RECOVERY: u8 = 0x4;

/// How debugfs says that there is nothing at a path.
const NOTHING_THERE: [&str; 2] = ["File not found by ext2_lookup", "inode is not a directory"];

/// An ext4 file system that begins at a byte of an image.
#[derive(Clone, Copy)]
pub struct Ext4<'a> {
    image: &'a Path,
    offset: u64,
    watch: &'a dyn Watch,
}

/// What is at a path of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Folder,
    File { access: Access },
    Other,
    Nothing,
}

impl<'a> Ext4<'a> {
    /// The file system at this byte.
    ///
    /// # Errors
    /// Where there is none.
    pub fn at(image: &'a Path, offset: u64, watch: &'a dyn Watch) -> Result<Self, Error> {
        if !is_ext4(&File::open(image).at(image)?, offset) {
            let why = format!("no ext4 file system at byte {offset}");
            return Err(Error::refused(image.display().to_string(), why));
        }
        Ok(Self {
            image,
            offset,
            watch,
        })
    }

    /// Makes the edits. Nothing is written unless all of them can be made, short of room for them.
    ///
    /// # Errors
    /// Where an edit cannot be made.
    pub fn edit(self, edits: &[Edit]) -> Result<(), Error> {
        let texts = wanted(edits)?;
        self.recover()?;
        let work = crate::work::Work::beside(self.image)?;
        let mut found = BTreeMap::new();
        self.survey(&with_parents(edits.iter().map(path_of)), &mut found)?;
        self.survey(&with_parents(texts.iter().map(String::as_str)), &mut found)?;
        let texts = self.read(texts, &found, work.path())?;
        let changes = resolve(edits, texts)?;
        self.survey(&with_parents(changes.iter().map(Change::path)), &mut found)?;
        let script = self.script(&changes, &mut found, work.path())?;
        hand_over(work.path())?;
        self.debugfs(true, script, Some(work.path())).map(drop)
    }

    /// The blocks of a file in order, and the size of one in bytes.
    ///
    /// # Errors
    /// Where there is no such file.
    pub(crate) fn blocks(self, path: &str) -> Result<(Vec<u64>, u64), Error> {
        let said = self.debugfs(false, format!("blocks \"{path}\"\nstats -h\n"), None)?;
        let said = String::from_utf8_lossy(&said);
        let malformed = || Error::refused(path, "its blocks are not told");
        let mut lines = said.lines().skip(1);
        let blocks = lines.next().ok_or_else(malformed)?.split_whitespace();
        let blocks = blocks.map(|block| block.parse().map_err(|_| malformed()));
        let blocks = blocks.collect::<Result<Vec<u64>, Error>>()?;
        let size = said
            .split_once("Block size:")
            .and_then(|(_, rest)| rest.lines().next());
        let size = size
            .and_then(|size| size.trim().parse().ok())
            .ok_or_else(malformed)?;
        Ok((blocks, size))
    }

    /// Checks the file system without changing it.
    ///
    /// # Errors
    /// Where it has a fault.
    pub fn check(self) -> Result<(), Error> {
        let tool = Tool::new("e2fsck").args(["-f", "-n"]).args([self.name()]);
        tool.reads(self.image).foreign().run(self.watch).map(drop)
    }

    /// Replays the journal of a file system that was not unmounted.
    pub(crate) fn recover(self) -> Result<(), Error> {
        let mut flags = [0];
        let file = File::open(self.image).at(self.image)?;
        file.read_exact_at(&mut flags, self.offset + INCOMPATIBLE_AT)
            .at(self.image)?;
        if flags[0] & NEEDS_RECOVERY == 0 {
            return Ok(());
        }
        // Having replayed it, e2fsck opens the file system again and forgets where that begins, so
        // that it is shown it alone.
        let range = self.offset..file.metadata().at(self.image)?.len();
        let view = View::open(self.image, Shape::Raw, Some(range), self.watch)?;
        let tool = Tool::new("e2fsck").args(["-f", "-p"]).args([view.path()]);
        // 1: faults were found and put right.
        let tool = tool.accept(&[0, 1]).writes(view.path());
        tool.foreign().run(self.watch)?;
        view.close()
    }

    /// Looks at paths that were not looked at before.
    fn survey(
        self,
        paths: &BTreeSet<String>,
        found: &mut BTreeMap<String, Found>,
    ) -> Result<(), Error> {
        let new: Vec<&String> = paths
            .iter()
            .filter(|path| !found.contains_key(*path))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let script: String = new
            .iter()
            .map(|path| format!("stat \"{path}\"\n"))
            .collect();
        let said = self.debugfs(false, script, None)?;
        let said = String::from_utf8_lossy(&said);
        // Each answer follows the echo of its question.
        let answers = said.split("debugfs: stat ").skip(1);
        for (path, answer) in new.into_iter().zip(answers) {
            found.insert(path.clone(), parse_stat(answer));
        }
        Ok(())
    }

    fn read(
        self,
        paths: BTreeSet<String>,
        found: &BTreeMap<String, Found>,
        work: &Path,
    ) -> Result<BTreeMap<String, String>, Error> {
        let there = |path: &String| matches!(found.get(path), Some(Found::File { .. }));
        let paths: Vec<String> = paths.into_iter().filter(there).collect();
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let numbered = paths.iter().enumerate();
        let script: String = numbered
            .map(|(at, path)| {
                format!(
                    "dump \"{path}\" \"{}\"\n",
                    work.join(format!("r{at}")).display()
                )
            })
            .collect();
        hand_over(work)?;
        self.debugfs(false, script, Some(work))?;
        let mut texts = BTreeMap::new();
        for (at, path) in paths.into_iter().enumerate() {
            let file = work.join(format!("r{at}"));
            let text = std::fs::read_to_string(&file).at(&file)?;
            texts.insert(path, text);
        }
        Ok(texts)
    }

    fn script(
        self,
        changes: &[Change],
        found: &mut BTreeMap<String, Found>,
        work: &Path,
    ) -> Result<String, Error> {
        let mut script = String::new();
        for (at, change) in changes.iter().enumerate() {
            let path = change.path();
            if !matches!(change, Change::Delete { .. }) {
                for parent in parents(path) {
                    self.folder(&mut script, parent, Access::root(0o755), found)?;
                }
            }
            let before = found.get(path).cloned().unwrap_or(Found::Nothing);
            if let (Found::Folder, Change::File { .. } | Change::Link { .. }) = (&before, change) {
                return Err(Error::refused(path, "there is a folder of that name"));
            }
            let gone = matches!(before, Found::Nothing);
            match change {
                Change::Folder { path, access } => {
                    self.folder(&mut script, path, *access, found)?
                }
                Change::Delete { path } => {
                    match before {
                        Found::Nothing => {}
                        Found::Folder => script += &format!("rmdir \"{path}\"\n"),
                        _ => script += &format!("rm \"{path}\"\n"),
                    }
                    found.insert(path.clone(), Found::Nothing);
                }
                Change::Link { path, target } => {
                    if !gone {
                        script += &format!("rm \"{path}\"\n");
                    }
                    script += &format!("symlink \"{path}\" \"{target}\"\n");
                    found.insert(path.clone(), Found::Other);
                }
                Change::File {
                    path,
                    bytes,
                    access,
                } => {
                    let file = work.join(format!("w{at}"));
                    std::fs::write(&file, bytes).at(&file)?;
                    let old = match before {
                        Found::File { access } => access,
                        _ => Access::root(0o644),
                    };
                    let access = access.unwrap_or(old);
                    if !gone {
                        script += &format!("rm \"{path}\"\n");
                    }
                    script += &format!("write \"{}\" \"{path}\"\n", file.display());
                    script += &set_access(path, 0o100_000, access);
                    found.insert(path.clone(), Found::File { access });
                }
            }
        }
        Ok(script)
    }

    fn folder(
        self,
        script: &mut String,
        path: &str,
        access: Access,
        found: &mut BTreeMap<String, Found>,
    ) -> Result<(), Error> {
        match found.get(path) {
            // A link may lead to a folder; debugfs follows it inside of the image.
            Some(Found::Folder | Found::Other) => Ok(()),
            Some(Found::File { .. }) => Err(Error::refused(path, "there is a file of that name")),
            Some(Found::Nothing) | None => {
                *script += &format!("mkdir \"{path}\"\n");
                *script += &set_access(path, 0o040_000, access);
                found.insert(path.to_owned(), Found::Folder);
                Ok(())
            }
        }
    }

    /// Runs a script; what it says, or an error if it complains.
    pub(crate) fn debugfs(
        self,
        write: bool,
        script: String,
        work: Option<&Path>,
    ) -> Result<Vec<u8>, Error> {
        let options: &[&str] = if write {
            &["-w", "-f", "-"]
        } else {
            &["-f", "-"]
        };
        let mut tool = Tool::new("debugfs").args(options).args([self.name()]);
        tool = match write {
            true => tool.writes(self.image),
            false => tool.reads(self.image),
        };
        if let Some(work) = work {
            tool = tool.writes(work);
        }
        let tool = tool.input(script.as_bytes()).foreign();
        let said = tool.run(self.watch)?;
        // The first line is its version. To look for what is not there is no fault.
        let lines = said.err.lines().skip(1);
        let complaints: Vec<&str> = lines
            .filter(|line| !line.trim().is_empty())
            .filter(|line| write || !NOTHING_THERE.iter().any(|words| line.contains(words)))
            .collect();
        match complaints.first() {
            None => Ok(said.out),
            Some(first) => Err(Error::refused(self.image.display().to_string(), *first)),
        }
    }

    /// The image as the tools of e2fsprogs name a file system inside of a file.
    pub(crate) fn name(self) -> OsString {
        let mut name = self.image.as_os_str().to_owned();
        if self.offset > 0 {
            name.push(format!("?offset={}", self.offset));
        }
        name
    }
}

/// Whether an ext4 file system begins at this byte of a file.
pub(crate) fn is_ext4(file: &File, offset: u64) -> bool {
    let mut magic = [0; 2];
    file.read_exact_at(&mut magic, offset + MAGIC_AT).is_ok() && magic == MAGIC
}

fn parse_stat(answer: &str) -> Found {
    let after = |key: &str| {
        let rest = answer.split_once(key)?.1.trim_start();
        rest.split_whitespace().next()
    };
    let number = |key: &str| after(key).and_then(|word| word.parse().ok());
    match after("Type:") {
        None => Found::Nothing,
        Some("directory") => Found::Folder,
        Some("regular") => Found::File {
            access: Access {
                mode: after("Mode:")
                    .and_then(|m| u32::from_str_radix(m, 8).ok())
                    .unwrap_or(0o600),
                uid: number("User:").unwrap_or(0),
                gid: number("Group:").unwrap_or(0),
            },
        },
        Some(_) => Found::Other,
    }
}

pub(crate) fn set_access(path: &str, kind: u32, access: Access) -> String {
    let Access { mode, uid, gid } = access;
    let mode = kind | mode & 0o7777;
    format!("sif \"{path}\" mode 0{mode:o}\nsif \"{path}\" uid {uid}\nsif \"{path}\" gid {gid}\n")
}

fn path_of(edit: &Edit) -> &str {
    match edit {
        Edit::File { path, .. }
        | Edit::Link { path, .. }
        | Edit::Line { path, .. }
        | Edit::Delete { path } => path,
        Edit::User { .. } => "/etc/passwd",
    }
}

/// The folders above a path, the outermost first, the root left out.
pub(crate) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(at, _)| &path[..at])
}

fn with_parents<'p>(paths: impl Iterator<Item = &'p str>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in paths {
        all.extend(parents(path).map(str::to_owned));
        all.insert(path.to_owned());
    }
    all
}
