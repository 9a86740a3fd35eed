//! Hands for nodes that take whole disks as they are: images are folders that an admin has put into
//! the store, nothing is customised, and VMs reach the network by their hypervisor alone.
//!
//! ```text
//! ROOT/images/SHA/disk.raw   what a disk begins as
//! ROOT/images/SHA/kernel     for a hypervisor that loads it itself
//! ROOT/images/SHA/initrd
//! ```

use crate::hands::{Hand, broken, refused};
use agent::machine::{AttachedDisk, DiskFormat, Plug};
use agent::secret::Keys;
use agent::step::{Failure, FailureKind, KernelFiles, Place, Step};
use agent::watch::Watch;
use model::blueprint::{Blueprint, Customisation};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Disks as plain files.
#[derive(Clone, Debug)]
pub struct PlainDisks {
    /// The node's folder.
    pub root: PathBuf,
}

impl Hand for PlainDisks {
    fn perform(&self, step: &Step, _keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
        match step {
            Step::Reserve { folders, mib, .. } => self.reserve(folders, *mib),
            Step::Fetch { image } => {
                let folder = self.image(image);
                if folder.is_dir() {
                    return Ok(());
                }
                Err(broken(&format!("there is no image {}", folder.display())))
            }
            Step::Build {
                blueprint,
                disk,
                at,
                base: None,
                kernel,
            } => self.build(blueprint, disk, at, kernel.as_ref(), watch),
            Step::Kernel { blueprint, files } => self.kernel(blueprint, files),
            Step::Replicate { from, to } => copy(from, raw(to)?, watch),
            Step::Verify { built, place } => compare(built, raw(place)?, watch),
            Step::CopyFile { from, to } => copy(from, to, watch),
            Step::Blank { disk } => blank(plain(disk)?, disk.size_mib),
            Step::Resize { disk } => resize(plain(disk)?, disk.size_mib, watch),
            Step::Wipe { path } => wipe(path, watch),
            Step::Release { folders, .. } => folders.iter().try_for_each(|folder| {
                gone(fs::remove_dir(folder)).map_err(failed("remove", folder))
            }),
            Step::Store { file, name } => self.store(file, name, watch),
            _ => Err(refused(&format!("this node has no hand to {step}"))),
        }
    }
}

impl PlainDisks {
    fn image(&self, image: &str) -> PathBuf {
        self.root.join("images").join(image)
    }

    fn reserve(&self, folders: &[PathBuf], mib: u64) -> Result<(), Failure> {
        for folder in folders {
            fs::create_dir_all(folder).map_err(failed("make", folder))?;
        }
        let found = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("ask for the space of", &self.root)(io::Error::from(error)))?;
        let free_mib = found.f_bavail * found.f_frsize / MIB;
        if free_mib < mib {
            let told = format!("{mib} MiB asked, the file system has {free_mib} MiB free");
            return Err(broken(&told));
        }
        Ok(())
    }

    fn build(
        &self,
        blueprint: &Blueprint,
        disk: &str,
        at: &Path,
        kernel: Option<&KernelFiles>,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let found = blueprint.disks.iter().find(|found| found.name == disk);
        let image = found.and_then(|found| Some((found, found.image.as_ref()?)));
        let Some((found, image)) = image else {
            return Err(refused(&format!("{disk} begins as no image")));
        };
        if blueprint.customisation != Customisation::default() || !found.partitions.is_empty() {
            return Err(refused("this node takes images as they are, unchanged"));
        }
        copy(&self.image(image).join("disk.raw"), at, watch)?;
        let file = OpenOptions::new().write(true).open(at);
        let sized = file.and_then(|file| {
            let bytes = file.metadata()?.len().max(found.size_mib * MIB);
            file.set_len(bytes)?;
            file.sync_all()
        });
        sized.map_err(failed("size", at))?;
        kernel.map_or(Ok(()), |files| self.kernel(blueprint, files))
    }

    fn kernel(&self, blueprint: &Blueprint, files: &KernelFiles) -> Result<(), Failure> {
        let image = blueprint.disks.first().and_then(|disk| disk.image.as_ref());
        let Some(image) = image else {
            return Err(refused("a disk that begins as no image has no kernel"));
        };
        for (name, to) in [("kernel", &files.kernel), ("initrd", &files.initrd)] {
            let from = self.image(image).join(name);
            // With its mode: a kernel may itself be a program.
            fs::copy(&from, to).map_err(failed("copy", &from))?;
        }
        Ok(())
    }

    /// An image takes the name by which it was saved.
    fn store(&self, file: &Path, name: &str, watch: &dyn Watch) -> Result<(), Failure> {
        let folder = self.image(name);
        if folder.is_dir() {
            return Ok(());
        }
        let partial = folder.with_extension("partial");
        gone(fs::remove_dir_all(&partial)).map_err(failed("remove", &partial))?;
        fs::create_dir_all(&partial).map_err(failed("make", &partial))?;
        copy(file, &partial.join("disk.raw"), watch)?;
        fs::rename(&partial, &folder).map_err(failed("rename", &partial))
    }
}

/// A network that the hypervisor makes by itself.
#[derive(Clone, Copy, Debug)]
pub struct UserNetwork;

impl Hand for UserNetwork {
    fn perform(&self, step: &Step, _keys: &Keys, _watch: &dyn Watch) -> Result<(), Failure> {
        match step {
            Step::Plug { plug, .. } | Step::Unplug { plug, .. }
                if matches!(plug, Plug::User { .. }) =>
            {
                Ok(())
            }
            _ => Err(refused(&format!("this node has no network to {step}"))),
        }
    }
}

fn raw(place: &Place) -> Result<&Path, Failure> {
    match place {
        Place::Disk { disk } => plain(disk),
        Place::Folder { path } => Ok(path),
    }
}

fn plain(disk: &AttachedDisk) -> Result<&Path, Failure> {
    if disk.format == DiskFormat::Raw {
        return Ok(&disk.path);
    }
    let told = format!("{} is {}, this node has raw disks", disk.name, disk.format);
    Err(refused(&told))
}

fn blank(path: &Path, size_mib: u64) -> Result<(), Failure> {
    let made = File::create(path).and_then(|file| {
        file.set_len(size_mib * MIB)?;
        file.sync_all()
    });
    made.map_err(failed("make", path))
}

fn resize(path: &Path, size_mib: u64, watch: &dyn Watch) -> Result<(), Failure> {
    let bytes = size_mib * MIB;
    let file = OpenOptions::new().write(true).read(true).open(path);
    let file = file.map_err(failed("open", path))?;
    let old = file.metadata().map_err(failed("measure", path))?.len();
    if bytes < old {
        overwrite(&file, bytes, old, path, watch)?;
    }
    let sized = file.set_len(bytes).and_then(|()| file.sync_all());
    sized.map_err(failed("size", path))
}

/// Wipes a file, or all files below a folder, and removes them.
fn wipe(path: &Path, watch: &dyn Watch) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            wipe(&entry.map_err(failed("read", path))?.path(), watch)?;
        }
        return gone(fs::remove_dir(path)).map_err(failed("remove", path));
    }
    if found.is_file() {
        let file = OpenOptions::new().write(true).read(true).open(path);
        let file = file.map_err(failed("open", path))?;
        overwrite(&file, 0, found.len(), path, watch)?;
    }
    gone(fs::remove_file(path)).map_err(failed("remove", path))
}

/// Writes zeros over a range, holes included, and reads them back from the disk.
fn overwrite(
    file: &File,
    from: u64,
    to: u64,
    path: &Path,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    let zeros = vec![0; MIB as usize];
    let mut buffer = vec![0; MIB as usize];
    for piece in pieces(from, to) {
        go_on(watch)?;
        let length = (piece.1 - piece.0) as usize;
        let written = file.write_all_at(&zeros[..length], piece.0);
        written.map_err(failed("wipe", path))?;
    }
    file.sync_all().map_err(failed("wipe", path))?;
    for piece in pieces(from, to) {
        go_on(watch)?;
        let read = &mut buffer[..(piece.1 - piece.0) as usize];
        file.read_exact_at(read, piece.0)
            .map_err(failed("read", path))?;
        if read.iter().any(|byte| *byte != 0) {
            let told = format!("{} reads otherwise than wiped", path.display());
            return Err(broken(&told));
        }
    }
    Ok(())
}

fn pieces(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let starts = (from..to).step_by(MIB as usize);
    starts.map(move |start| (start, to.min(start + MIB)))
}

/// Copies a file, its mode too; pieces of zeros become holes.
fn copy(from: &Path, to: &Path, watch: &dyn Watch) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(failed("open", from))?;
    let target = File::create(to).map_err(failed("make", to))?;
    let length = source.metadata().map_err(failed("measure", from))?.len();
    target.set_len(length).map_err(failed("size", to))?;
    let mut buffer = vec![0; MIB as usize];
    let mut at = 0;
    while at < length {
        go_on(watch)?;
        watch.progressed((at * 1_000 / length) as u16);
        let read = source.read(&mut buffer).map_err(failed("read", from))?;
        if read == 0 {
            return Err(broken(&format!("{} has shrunk", from.display())));
        }
        if buffer[..read].iter().any(|byte| *byte != 0) {
            let written = target.write_all_at(&buffer[..read], at);
            written.map_err(failed("write", to))?;
        }
        at += read as u64;
    }
    let mode = source.metadata().map(|found| found.permissions());
    let finished = mode.and_then(|mode| {
        target.set_permissions(mode)?;
        (&target).flush()?;
        target.sync_all()
    });
    finished.map_err(failed("finish", to))
}

fn compare(one: &Path, other: &Path, watch: &dyn Watch) -> Result<(), Failure> {
    let mut files = [one, other].map(|path| (path, File::open(path)));
    let mut buffers = [vec![0; MIB as usize], vec![0; MIB as usize]];
    loop {
        go_on(watch)?;
        let mut counts = [0; 2];
        for (index, (path, file)) in files.iter_mut().enumerate() {
            let file = file.as_mut().map_err(|error| broken(&error.to_string()))?;
            counts[index] = fill(file, &mut buffers[index]).map_err(failed("read", path))?;
        }
        if counts[0] != counts[1] || buffers[0][..counts[0]] != buffers[1][..counts[1]] {
            let told = format!("{} differs from {}", other.display(), one.display());
            return Err(broken(&told));
        }
        if counts[0] == 0 {
            return Ok(());
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn go_on(watch: &dyn Watch) -> Result<(), Failure> {
    watch.checkpoint().map_err(|why| Failure {
        kind: FailureKind::CalledOff,
        reason: why.to_string(),
    })
}

/// Removing what is gone already is no error.
fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |error| broken(&format!("{doing} {}: {error}", path.display()))
}
