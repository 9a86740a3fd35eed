//! Kernels of guests that their hypervisor loads itself.

use super::outcome::{done, failed, failure};
use super::{Disks, copy, steps_of};
use crate::hands::{broken, refused};
use agent::build::BuildStepKind;
use agent::secret::Keys;
use agent::step::{Failure, KernelFiles};
use agent::watch::Watch;
use image::build::Built;
use image::sandbox::let_through;
use image::work::Work;
use model::blueprint::Blueprint;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

impl Disks {
    /// Puts the guest's files together as a build would, and of them keeps the kernel alone.
    pub(super) fn kernel(
        &self,
        blueprint: &Blueprint,
        files: &KernelFiles,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<(), Failure> {
        let Some(disk) = blueprint.disks.first() else {
            return Err(refused("a VM without a disk has no kernel"));
        };
        let mut steps = steps_of(blueprint, &disk.name)?;
        let boot = steps
            .iter()
            .position(|step| BuildStepKind::from(step) == BuildStepKind::Boot);
        steps.truncate(boot.map_or(0, |at| at + 1));
        let work = Work::beside(&files.kernel).map_err(failure)?;
        done(let_through(work.path()))?;
        let built = self.build(&steps, &work.path().join("disk"), keys, watch)?;
        take_kernel(&built, files)
    }
}

/// Puts the kernel that a build has taken out of the guest to where the hypervisor loads it.
pub(super) fn take_kernel(built: &Built, files: &KernelFiles) -> Result<(), Failure> {
    let Some(found) = &built.kernel else {
        return Err(broken(
            "the image has no kernel in /boot\nhint: add an image with one",
        ));
    };
    copy(&found.kernel, &files.kernel)?;
    // A kernel may itself be a program.
    let program = Permissions::from_mode(0o755);
    fs::set_permissions(&files.kernel, program).map_err(failed("let run", &files.kernel))?;
    match &found.initrd {
        Some(initrd) => copy(initrd, &files.initrd),
        None => File::create(&files.initrd)
            .map(drop)
            .map_err(failed("make", &files.initrd)),
    }
}
