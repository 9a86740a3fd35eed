//! File systems made together with their content, and checked.

use crate::error::{At, Error};
use crate::sandbox::{Limits, hand_over};
use crate::tool::Tool;
use crate::tree::{Kind, Node, Tree, written_mode};
use crate::work::Work;
use agent::layout::{Place, SECTOR_BYTES, label};
use agent::watch::Watch;
use model::blueprint::Format;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What goes into a file system.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    /// The files of the whole guest.
    pub(crate) tree: &'a Tree,
    /// All mount points, so that each file system gets its own part.
    pub(crate) mounts: &'a BTreeSet<String>,
    /// Whether extlinux is to read it.
    pub(crate) for_extlinux: bool,
}

/// Makes the file system of one partition as a file of its own.
pub(crate) fn format(
    place: &Place,
    filling: Filling<'_>,
    file: &Path,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let target = crate::replicate::create(file)?;
    target.set_len(place.sectors * SECTOR_BYTES).at(file)?;
    hand_over(file)?;
    let work = Work::beside(file)?;
    let content = work.path().join("content");
    std::fs::create_dir(&content).at(&content)?;
    let mount = place.partition.mount.as_deref();
    if let Some(mount) = mount.filter(|_| place.partition.format != Format::Xfs) {
        filling.tree.write_out(mount, filling.mounts, &content)?;
    }
    hand_over(work.path())?;
    let maker = Maker {
        place,
        filling,
        file,
        content: &content,
        work: work.path(),
        watch,
    };
    match place.partition.format {
        Format::Ext4 => maker.ext4(),
        Format::Xfs => maker.xfs(),
        Format::Btrfs => maker.btrfs(),
        Format::Fat32 => maker.fat(&["-F", "32"]),
        // Small ones are FAT12: mkfs.vfat decides.
        Format::Seed => maker.fat(&[]),
        Format::Ntfs => maker.ntfs(),
        Format::Swap => {
            let tool = Tool::new("mkswap").args(["-L", label(&place.partition)]);
            tool.args([file]).writes(file).run(watch).map(drop)
        }
        Format::Unformatted => Ok(()),
    }
}

/// Checks the file system that a file holds, without changing it.
pub(crate) fn check(format: Format, file: &Path, watch: &dyn Watch) -> Result<(), Error> {
    let tool = match format {
        Format::Ext4 => Tool::new("e2fsck").args(["-f", "-n"]),
        Format::Xfs => {
            // It lifts the limit by itself, and fails where it may not.
            let limits = Limits {
                file_bytes: None,
                ..Limits::default()
            };
            Tool::new("xfs_repair").args(["-n", "-f"]).within(limits)
        }
        Format::Btrfs => Tool::new("btrfs").args(["check", "--readonly"]),
        Format::Fat32 | Format::Seed => Tool::new("fsck.fat").args(["-n"]),
        Format::Ntfs => Tool::new("ntfsfix").args(["-n"]),
        // Fails unless the file begins as swap space does.
        Format::Swap => Tool::new("swaplabel"),
        Format::Unformatted => return Ok(()),
    };
    // ntfsfix opens for writing even where it writes nothing.
    let tool = match format {
        Format::Ntfs => tool.writes(file),
        _ => tool.reads(file),
    };
    tool.args([file]).run(watch).map(drop)
}

struct Maker<'a> {
    place: &'a Place,
    filling: Filling<'a>,
    file: &'a Path,
    content: &'a Path,
    work: &'a Path,
    watch: &'a dyn Watch,
}

impl Maker<'_> {
    fn label(&self) -> &str {
        label(&self.place.partition)
    }

    fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        let mount = self.place.partition.mount.as_deref();
        let nodes = mount.map(|mount| self.filling.tree.beneath(mount, self.filling.mounts));
        nodes.into_iter().flatten()
    }

    /// Makes it from the folder, whose files are all root's to the tool; owners that differ, bits of
    /// privilege and attributes are set afterwards.
    fn ext4(&self) -> Result<(), Error> {
        let mut tool = Tool::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-L", self.label()]);
        // mke2fs would give a small file system blocks of 1 KiB, too small for the notes that
        // extlinux keeps behind its loader.
        let default_bytes = self.filling.for_extlinux.then_some(4_096);
        if let Some(bytes) = self.place.partition.block_bytes.or(default_bytes) {
            tool = tool.args(["-b", &bytes.to_string()]);
        }
        if self.filling.for_extlinux {
            // extlinux 6.04 reads neither.
            tool = tool.args(["-O", "^64bit,^metadata_csum"]);
        }
        let tool = tool.args(["-E", "root_owner=0:0", "-d"]);
        tool.args([self.content, self.file])
            .reads(self.content)
            .writes(self.file)
            .run(self.watch)?;
        let script = self.ext4_rest()?;
        if script.is_empty() {
            return Ok(());
        }
        hand_over(self.work)?;
        let tool = Tool::new("debugfs")
            .args(["-w", "-f", "-"])
            .args([self.file]);
        let tool = tool
            .input(script.as_bytes())
            .reads(self.work)
            .writes(self.file);
        let said = tool.run(self.watch)?;
        match said
            .err
            .lines()
            .skip(1)
            .find(|line| !line.trim().is_empty())
        {
            None => Ok(()),
            Some(line) => Err(Error::refused(self.label(), line)),
        }
    }

    fn ext4_rest(&self) -> Result<String, Error> {
        let mut script = String::new();
        let mut attributes = 0;
        for (path, node) in self.nodes() {
            let access = node.access;
            let (kind, written) = match node.kind {
                Kind::Link { .. } => (0o120_000, access.mode),
                Kind::Folder => (0o040_000, written_mode(node)),
                Kind::File { .. } => (0o100_000, written_mode(node)),
            };
            let mut says = Vec::new();
            if access.mode != written {
                says.push(format!("sif \"{path}\" mode 0{:o}", kind | access.mode));
            }
            if access.uid != 0 {
                says.push(format!("sif \"{path}\" uid {}", access.uid));
            }
            if access.gid != 0 {
                says.push(format!("sif \"{path}\" gid {}", access.gid));
            }
            for (name, value) in &node.attributes {
                attributes += 1;
                let file = self.work.join(format!("a{attributes}"));
                std::fs::write(&file, value).at(&file)?;
                says.push(format!(
                    "ea_set -f \"{}\" \"{path}\" {name}",
                    file.display()
                ));
            }
            if !says.is_empty() && path.contains('"') {
                return Err(Error::refused(
                    path,
                    "a quote in the name of a file that is not root's",
                ));
            }
            for line in says {
                script += &line;
                script.push('\n');
            }
        }
        Ok(script)
    }

    /// Makes it from a list, which names owners and modes.
    fn xfs(&self) -> Result<(), Error> {
        let list = self.work.join("list");
        std::fs::write(&list, self.xfs_list()?).at(&list)?;
        hand_over(self.work)?;
        let mut tool = Tool::new("mkfs.xfs").args(["-q", "-f", "-L", self.label()]);
        if let Some(bytes) = self.place.partition.block_bytes {
            tool = tool.args(["-b", &format!("size={bytes}")]);
        }
        let spool = self.filling.tree.spool_folder();
        hand_over(spool)?;
        let tool = tool.args(["-p"]).args([&list, self.file]);
        tool.reads(spool)
            .reads(self.work)
            .writes(self.file)
            .run(self.watch)?;
        // Its list has no sticky bit.
        let sticky = self
            .nodes()
            .filter(|(_, node)| node.access.mode & 0o1000 != 0);
        for (path, node) in sticky {
            let mode = 0o040_000 | node.access.mode;
            let tool = Tool::new("xfs_db").args(["-x", "-c", &format!("path {path}")]);
            let tool = tool.args(["-c", &format!("write core.mode 0{mode:o}")]);
            tool.args([self.file]).writes(self.file).run(self.watch)?;
        }
        Ok(())
    }

    fn xfs_list(&self) -> Result<String, Error> {
        let mut folders: BTreeMap<&str, Vec<(&str, &Node)>> = BTreeMap::new();
        for (path, node) in self.nodes() {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            if name.contains(char::is_whitespace) {
                return Err(Error::refused(
                    path,
                    "a space in a name, which XFS's list cannot hold",
                ));
            }
            folders.entry(folder).or_default().push((name, node));
        }
        let mut list = String::from("/\n0 0\nd--755 0 0\n");
        self.xfs_folder("", &folders, &mut list);
        Ok(list + "$\n")
    }

    fn xfs_folder(
        &self,
        folder: &str,
        folders: &BTreeMap<&str, Vec<(&str, &Node)>>,
        list: &mut String,
    ) {
        for (name, node) in folders.get(folder).into_iter().flatten() {
            let access = node.access;
            let setuid = if access.mode & 0o4000 != 0 { 'u' } else { '-' };
            let setgid = if access.mode & 0o2000 != 0 { 'g' } else { '-' };
            let kind = match node.kind {
                Kind::Folder => 'd',
                Kind::File { .. } => '-',
                Kind::Link { .. } => 'l',
            };
            let (mode, uid, gid) = (access.mode & 0o777, access.uid, access.gid);
            *list += &format!("{name} {kind}{setuid}{setgid}{mode:03o} {uid} {gid}");
            match &node.kind {
                Kind::Folder => {
                    *list += "\n";
                    self.xfs_folder(&format!("{folder}/{name}"), folders, list);
                    *list += "$\n";
                }
                Kind::File { spooled, .. } => {
                    *list += &format!(" {}\n", self.filling.tree.content(*spooled).display());
                }
                Kind::Link { target } => *list += &format!(" {target}\n"),
            }
        }
    }

    /// Made from the folder alone, so that it holds no owners but root.
    fn btrfs(&self) -> Result<(), Error> {
        let special = self.nodes().find(|(_, node)| {
            (node.access.uid, node.access.gid) != (0, 0)
                || node.access.mode & 0o7000 != 0
                || !node.attributes.is_empty()
        });
        if let Some((path, _)) = special {
            let why = "its owner, mode or attributes cannot be put into btrfs without mounting it\nhint: take ext4 or xfs";
            return Err(Error::refused(path, why));
        }
        let tool = Tool::new("mkfs.btrfs").args(["-q", "-f", "-L", self.label(), "--rootdir"]);
        let tool = tool.args([self.content, self.file]);
        tool.reads(self.content)
            .writes(self.file)
            .run(self.watch)
            .map(drop)
    }

    fn fat(&self, words: &[&str]) -> Result<(), Error> {
        let label = self.label().to_uppercase();
        let tool = Tool::new("mkfs.vfat")
            .args(words)
            .args(["-n", &label])
            .args([self.file]);
        tool.writes(self.file).run(self.watch)?;
        self.only_plain("FAT")?;
        let mut tops: Vec<_> = Vec::new();
        for entry in self.content.read_dir().at(self.content)? {
            tops.push(entry.at(self.content)?.path());
        }
        if tops.is_empty() {
            return Ok(());
        }
        let tool = Tool::new("mcopy")
            .args(["-s", "-Q", "-i"])
            .args([self.file])
            .args(&tops);
        let tool = tool.args(["::/"]).reads(self.content).writes(self.file);
        tool.run(self.watch).map(drop)
    }

    fn ntfs(&self) -> Result<(), Error> {
        let mut tool = Tool::new("mkntfs").args(["-F", "-Q", "-q", "-L", self.label()]);
        if let Some(bytes) = self.place.partition.block_bytes {
            tool = tool.args(["-c", &bytes.to_string()]);
        }
        tool.args([self.file]).writes(self.file).run(self.watch)?;
        self.only_plain("NTFS")?;
        for (path, node) in self.nodes() {
            if node.kind == Kind::Folder || path[1..].contains('/') {
                return Err(Error::refused(path, "NTFS takes files in its root only"));
            }
            let from = self.content.join(&path[1..]);
            let tool = Tool::new("ntfscp")
                .args(["-f", "-q"])
                .args([self.file, &from]);
            let tool = tool.args([path]).reads(self.content).writes(self.file);
            tool.run(self.watch)?;
        }
        Ok(())
    }

    fn only_plain(&self, format: &str) -> Result<(), Error> {
        let link = |(_, node): &(&str, &Node)| matches!(node.kind, Kind::Link { .. });
        match self.nodes().find(link) {
            None => Ok(()),
            Some((path, _)) => Err(Error::refused(path, format!("{format} holds no links"))),
        }
    }
}
