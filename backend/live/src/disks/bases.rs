//! The bases that VMs share: built once, checked before each use, gone with the last of their users.
//!
//! ```text
//! ROOT/bases/SHA.raw           the base
//! ROOT/bases/SHA.note          its digest
//! ROOT/bases/SHA.kernel        what its guests are started with where no boot loader does it,
//! ROOT/bases/SHA.initrd        copied for each VM
//! ROOT/bases/SHA.users/vm-7    there as long as VM 7 may stand on it
//! ```
//! A user is noted before its base is built and taken away after its disks were wiped, so that a base
//! is there as long as anybody may need it, whatever was killed.

use super::kernel::take_kernel;
use super::outcome::{done, failed, failure, gone};
use super::whole::without_mounts;
use super::{Disks, copy, index_of};
use crate::hands::refused;
use agent::secret::Keys;
use agent::shared::shared;
use agent::step::{Failure, KernelFiles};
use agent::watch::Watch;
use image::base;
use image::build::{Workshop, make_own};
use image::resize::{bytes_seen, resize};
use image::sandbox::let_through;
use image::view::{Shape, View};
use image::wipe::{Pattern, wipe_and_remove};
use model::blueprint::Blueprint;
use model::id::VmId;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the bases of a node are.
#[derive(Debug)]
pub(super) struct Bases {
    folder: PathBuf,
    /// By base: whoever builds one, takes it away or reads all of it does so alone.
    turns: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>>,
}

/// One disk of a VM that shares a base, and a place.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) blueprint: &'a Blueprint,
    pub(super) disk: &'a str,
    /// Of the base, or of the disk that is to be made.
    pub(super) at: &'a Path,
}

impl Bases {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            folder: root.join("bases"),
            turns: Mutex::default(),
        }
    }

    fn turn(&self, base: &Path) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(base.to_owned()).or_default().clone()
    }

    /// All bases that have, or lately had, users.
    fn all(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut bases = Vec::new();
        if !self.folder.exists() {
            return Ok(bases);
        }
        for entry in fs::read_dir(&self.folder).map_err(failed("read", &self.folder))? {
            let path = entry.map_err(failed("read", &self.folder))?.path();
            if path.extension().is_some_and(|ending| ending == "users") {
                bases.push(path.with_extension("raw"));
            }
        }
        bases.sort();
        Ok(bases)
    }
}

impl Disks {
    /// Has a base, as it was built, and notes that its VM is a user of it.
    pub(super) fn build_base(
        &self,
        own: Own<'_>,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let folder = &self.bases.folder;
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        done(let_through(folder))?;
        let turn = self.bases.turn(own.at);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let users = users_of(own.at);
        fs::create_dir_all(&users).map_err(failed("make", &users))?;
        let user = user(&users, own.blueprint.vm);
        let noted = File::create(&user).and_then(|file| file.sync_all());
        noted.map_err(failed("make", &user))?;
        if own.at.exists() {
            return done(base::check(own.at, watch));
        }
        let index = index_of(own.blueprint, own.disk)?;
        let made = own.at.with_extension("new");
        if let Some(image) = self.whole_image(own.blueprint, index, watch)? {
            self.unpack_whole(&image, &made, watch)?;
            return done(base::keep(&made, own.at, watch));
        }
        let steps = shared(own.blueprint, index);
        let steps = steps.map_err(|error| refused(&error.to_string()))?.base;
        let built = self.build(&steps, &made, keys, watch)?;
        if built.kernel.is_some() {
            take_kernel(&built, &kernel_of(own.at))?;
        }
        done(base::keep(&made, own.at, watch))
    }

    /// Makes a VM's own disk on a base.
    pub(super) fn build_own(
        &self,
        own: Own<'_>,
        base: &Path,
        kernel: Option<&KernelFiles>,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let Own {
            blueprint,
            disk,
            at,
        } = own;
        let index = index_of(blueprint, disk)?;
        let steps = shared(blueprint, index);
        let mut steps = steps.map_err(|error| refused(&error.to_string()))?.own;
        if self.whole_image(blueprint, index, watch)?.is_some() {
            steps = without_mounts(steps);
        }
        let size_mib = blueprint.disks[index].size_mib;
        let shape = Shape::Overlay { base: Some(base) };
        let built = bytes_seen(base, Shape::Raw).map_err(failure)? >> 20;
        self.overlay(base, at, built, watch)?;
        if built != size_mib {
            done(resize(at, shape, size_mib, watch))?;
        }
        let images = blueprint.disks[index].image.iter();
        let images: Vec<&String> = images.chain(&blueprint.customisation.add).collect();
        for image in &images {
            self.fetch(image, watch)?;
        }
        let workshop = Workshop {
            store: &self.store,
            keys,
            watch,
        };
        if !steps.is_empty() {
            let view = View::open(at, shape, None, watch).map_err(failure)?;
            done(make_own(&steps, &images, view.path(), workshop))?;
            done(view.close())?;
        }
        let Some(files) = kernel else {
            return Ok(());
        };
        let shared = kernel_of(base);
        copy(&shared.kernel, &files.kernel)?;
        copy(&shared.initrd, &files.initrd)
    }

    /// Makes an empty disk on a base, which is checked in its turn: two checks at once would write the
    /// same note.
    pub(super) fn overlay(
        &self,
        base: &Path,
        disk: &Path,
        size_mib: u64,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let turn = self.bases.turn(base);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        done(base::overlay(base, disk, size_mib, watch))
    }

    /// See that the bases of a VM are as they were built.
    pub(super) fn check_bases(&self, vm: VmId, watch: &dyn Watch) -> Result<(), Failure> {
        for base in self.bases.all()? {
            if user(&users_of(&base), vm).exists() {
                let turn = self.bases.turn(&base);
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                done(base::check(&base, watch))?;
            }
        }
        Ok(())
    }

    /// Takes a VM from the users of all bases, and wipes and removes those that are nobody's.
    pub(super) fn leave_bases(&self, vm: VmId, watch: &dyn Watch) -> Result<(), Failure> {
        for base in self.bases.all()? {
            let turn = self.bases.turn(&base);
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let users = users_of(&base);
            let user = user(&users, vm);
            gone(fs::remove_file(&user)).map_err(failed("remove", &user))?;
            let mut left = match fs::read_dir(&users) {
                Ok(left) => left,
                // Somebody else was the last.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("read", &users)(error)),
            };
            if left.next().is_some() {
                continue;
            }
            done(base::remove(&base, watch))?;
            let KernelFiles { kernel, initrd } = kernel_of(&base);
            for path in [kernel, initrd, base.with_extension("new")] {
                done(wipe_and_remove(&path, Pattern::Zero, watch))?;
            }
            gone(fs::remove_dir(&users)).map_err(failed("remove", &users))?;
        }
        Ok(())
    }
}

fn users_of(base: &Path) -> PathBuf {
    base.with_extension("users")
}

fn user(users: &Path, vm: VmId) -> PathBuf {
    users.join(format!("vm-{}", vm.0))
}

fn kernel_of(base: &Path) -> KernelFiles {
    KernelFiles {
        kernel: base.with_extension("kernel"),
        initrd: base.with_extension("initrd"),
    }
}
