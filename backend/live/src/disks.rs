//! The hand on disks and images: steps carried out by the crate `image`.

mod bases;
mod kernel;
mod modified;
pub(crate) mod outcome;
mod sealing;
mod size;
mod sweep;
mod whole;

use self::bases::{Bases, Own};
use self::kernel::take_kernel;
use self::modified::rename;
use self::outcome::{done, failed, failure, gone};
use crate::hands::{Hand, broken, refused};
use agent::build::{BuildStep, plan};
use agent::machine::{AttachedDisk, DiskFormat};
use agent::secret::Keys;
use agent::step::{Failure, Gained, Place, Step};
use agent::watch::Watch;
use ed25519_dalek::SigningKey;
use image::base;
use image::build::{Built, Workshop, build_disk, build_root};
use image::error::Error;
use image::folder::{compare_roots, replicate_root};
use image::luks;
use image::replicate::{compare, replicate};
use image::sandbox::let_through;
use image::store::Store;
use image::unpacked::unpack_root;
use image::view::Shape;
use image::wipe::{Pattern, wipe_and_remove, wipe_data_and_remove};
use model::blueprint::Blueprint;
use model::hypervisor::Virtualisation;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Where images come from that are not in the node's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A server that has a store's folder under this address.
    Server(String),
    /// The folder of a store.
    Folder(PathBuf),
}

/// Disks as files, built of images.
#[derive(Debug)]
pub struct Disks {
    root: PathBuf,
    store: Store,
    source: Option<Source>,
    /// Two VMs of one image ask for it at once; the second finds what the first has brought.
    fetching: Mutex<()>,
    bases: Bases,
    signing_key: Option<SigningKey>,
}

impl Hand for Disks {
    fn perform(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        if let Step::Store { .. } = step {
            let image = self.store(step, watch)?;
            return Ok(Gained {
                image: Some(image),
                ..Gained::default()
            });
        }
        self.carry_out(step, keys, watch)
            .map(|()| Gained::default())
    }
}

impl Disks {
    fn carry_out(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
        match step {
            Step::Reserve { folders, mib, .. } => self.reserve(folders, *mib),
            Step::Fetch { image } => self.fetch(image, watch),
            Step::Build {
                blueprint,
                disk,
                at,
                base,
                kernel,
            } => {
                let own = Own {
                    blueprint,
                    disk,
                    at,
                };
                if let Some(base) = base {
                    return self.build_own(own, base, kernel.as_ref(), keys, watch);
                }
                let index = index_of(blueprint, disk)?;
                if let Some(image) = self.whole_image(blueprint, index, watch)? {
                    return self.build_whole(&image, own, keys, watch);
                }
                let steps = steps_of(blueprint, disk)?;
                if is_root(blueprint, disk) {
                    return done(build_root(&steps, at, self.workshop(&steps, keys, watch)?));
                }
                let built = self.build(&steps, at, keys, watch)?;
                let kernel = kernel.as_ref();
                kernel.map_or(Ok(()), |files| take_kernel(&built, files))
            }
            Step::BuildBase {
                blueprint,
                disk,
                at,
            } => self.build_base(
                Own {
                    blueprint,
                    disk,
                    at,
                },
                keys,
                watch,
            ),
            Step::CheckBases { vm } => self.check_bases(*vm, watch),
            Step::LeaveBases { vm } => self.leave_bases(*vm, watch),
            Step::Kernel { blueprint, files } => self.kernel(blueprint, files, keys, watch),
            Step::Replicate {
                from,
                to: Place::Folder { path },
            } => done(replicate_root(from, path, watch)),
            Step::Verify {
                built,
                place: Place::Folder { path },
            } => done(compare_roots(built, path, watch)),
            Step::Replicate { from, to } => done(replicate(from, file(to)?, watch)),
            Step::Verify { built, place } => verify(built, place, watch),
            Step::Unpack { from, to } => done(unpack_root(from, to, watch)),
            Step::CopyFile { from, to } => copy(from, to),
            Step::Blank { disk } => self.blank(disk, keys, watch),
            Step::Resize { disk } => size::change(disk, keys, watch),
            Step::AddKey { disk, key } => sealing::add_key(disk, *key, keys, watch),
            Step::KeepKey { disk } => sealing::keep_key(disk, keys, watch),
            Step::Modify {
                from,
                at,
                disk,
                before,
                after,
            } => self.modify((from, at), disk, (before, after), keys, watch),
            Step::Rename { from, to } => rename(from, to),
            Step::Wipe { path } => wipe(path, wipe_and_remove, watch),
            Step::Clear { path } => wipe(path, wipe_data_and_remove, watch),
            Step::Release { folders, .. } => folders.iter().try_for_each(|folder| {
                gone(fs::remove_dir(folder)).map_err(failed("remove", folder))
            }),
            _ => Err(refused(&format!("no disk can {step}"))),
        }
    }
}

impl Disks {
    /// The disks of the node with this folder.
    pub fn new(root: &Path, store: Store, source: Option<Source>) -> Self {
        Self {
            root: root.to_owned(),
            store,
            source,
            fetching: Mutex::new(()),
            bases: Bases::new(root),
            signing_key: None,
        }
    }

    /// Lets it make images of disks, signed by this key.
    #[must_use]
    pub fn signing(mut self, key: SigningKey) -> Self {
        self.store = self.store.keeping(key.verifying_key());
        self.signing_key = Some(key);
        self
    }

    /// The tools' user reaches the disks through all folders above them.
    fn reserve(&self, folders: &[PathBuf], mib: u64) -> Result<(), Failure> {
        for folder in folders {
            fs::create_dir_all(folder).map_err(failed("make", folder))?;
            let ours = folder.ancestors();
            ours.take_while(|above| *above != self.root && above.starts_with(&self.root))
                .try_for_each(|folder| done(let_through(folder)))?;
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

    fn fetch(&self, id: &str, watch: &dyn Watch) -> Result<(), Failure> {
        let _turn = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &self.source {
            Some(Source::Server(address)) => self.store.fetch(address, id, watch),
            Some(Source::Folder(folder)) => self.store.take(folder, id, watch),
            None => self.store.image(id),
        };
        done(found.map(drop))
    }

    fn build(
        &self,
        steps: &[BuildStep],
        at: &Path,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Built, Failure> {
        build_disk(steps, at, self.workshop(steps, keys, watch)?).map_err(failure)
    }

    /// What these steps draw on, all images of them at hand.
    fn workshop<'a>(
        &'a self,
        steps: &[BuildStep],
        keys: &'a Keys,
        watch: &'a dyn Watch,
    ) -> Result<Workshop<'a>, Failure> {
        for step in steps {
            // Another VM's images may have taken its room since it was fetched.
            if let BuildStep::Unpack { image } | BuildStep::Add { image } = step {
                self.fetch(image, watch)?;
            }
        }
        Ok(Workshop {
            store: &self.store,
            keys,
            watch,
        })
    }

    fn blank(&self, disk: &AttachedDisk, keys: &Keys, watch: &dyn Watch) -> Result<(), Failure> {
        let bytes = disk.size_mib * MIB;
        let create = |bytes| {
            let made = File::create(&disk.path).and_then(|file| {
                file.set_len(bytes)?;
                file.sync_all()
            });
            made.map_err(failed("make", &disk.path))
        };
        match shape(disk, keys)? {
            Shape::Raw => create(bytes),
            Shape::Sealed { key } => {
                create(luks::HEADER_BYTES + bytes)?;
                done(luks::format(&disk.path, key, watch))
            }
            Shape::Overlay { base: Some(base) } => {
                self.overlay(base, &disk.path, disk.size_mib, watch)
            }
            Shape::Overlay { base: None } => Err(unknown(disk)),
        }
    }
}

/// Whether a disk of a VM is the root folder of a container.
fn is_root(blueprint: &Blueprint, disk: &str) -> bool {
    let first = blueprint.disks.first();
    blueprint.virtualisation == Virtualisation::Container && first.is_some_and(|d| d.name == disk)
}

/// The steps that build a disk of a VM.
fn steps_of(blueprint: &Blueprint, disk: &str) -> Result<Vec<BuildStep>, Failure> {
    let index = index_of(blueprint, disk)?;
    plan(blueprint, index).map_err(|error| refused(&error.to_string()))
}

fn index_of(blueprint: &Blueprint, disk: &str) -> Result<usize, Failure> {
    let index = blueprint.disks.iter().position(|found| found.name == disk);
    let Some(index) = index else {
        let told = format!("{} has no disk {disk}", blueprint.name);
        return Err(refused(&told));
    };
    Ok(index)
}

/// What stands on a base names that base and no other file.
fn verify(built: &Path, place: &Place, watch: &dyn Watch) -> Result<(), Failure> {
    done(compare(built, file(place)?, watch))?;
    match place {
        Place::Disk { disk } if disk.format == DiskFormat::Qcow2 => {
            done(base::refuse_foreign(&disk.path, disk.base.as_deref()))
        }
        Place::Disk { .. } | Place::Folder { .. } => Ok(()),
    }
}

/// How a disk's bytes lie in its file.
fn shape<'d>(disk: &'d AttachedDisk, keys: &'d Keys) -> Result<Shape<'d>, Failure> {
    let base = disk.base.as_deref();
    Ok(match disk.format {
        DiskFormat::Raw => Shape::Raw,
        DiskFormat::Qcow2 => Shape::Overlay { base },
        DiskFormat::Luks => {
            let key = disk.key;
            let key = key.ok_or_else(|| refused("an encrypted disk without a key"))?;
            let passphrase = keys.passphrase(key);
            let key = passphrase.ok_or(Error::NoKey(key)).map_err(failure)?;
            Shape::Sealed { key }
        }
    })
}

/// How one file is wiped: all of it, or what it holds.
type WipeFile = fn(&Path, Pattern, &dyn Watch) -> Result<(), Error>;

/// Wipes a file, or all files below a folder, and removes them; links are not followed. Only what
/// is known to be gone counts as wiped: a disk that cannot be looked at does not.
fn wipe(path: &Path, file: WipeFile, watch: &dyn Watch) -> Result<(), Failure> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(failed("read", path))? {
            wipe(&entry.map_err(failed("read", path))?.path(), file, watch)?;
        }
        return gone(fs::remove_dir(path)).map_err(failed("remove", path));
    }
    if found.is_file() {
        return done(file(path, Pattern::Zero, watch));
    }
    gone(fs::remove_file(path)).map_err(failed("remove", path))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    // A base's kernel is taken out to where it stays, and a copy on to itself would empty it.
    let copied = match from == to {
        true => Ok(0),
        false => fs::copy(from, to),
    };
    let copied = copied.and_then(|_| File::open(to)?.sync_all());
    copied.map_err(failed("copy", from))
}

/// The file that something built becomes.
fn file(place: &Place) -> Result<&Path, Failure> {
    match place {
        Place::Disk { disk } if disk.format == DiskFormat::Qcow2 && disk.base.is_none() => {
            Err(unknown(disk))
        }
        Place::Disk { disk } => Ok(&disk.path),
        Place::Folder { .. } => Err(refused("a root folder is no disk")),
    }
}

fn unknown(disk: &AttachedDisk) -> Failure {
    refused(&format!(
        "cannot do that with {}, it is {}",
        disk.name, disk.format
    ))
}
