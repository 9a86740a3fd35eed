//! A folder that appears whole or not at all.

use super::StoreError;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Between the name of a folder and the process that writes it.
const PARTIAL: &str = ".partial-";

/// Where a folder that is being written will be; `None` where it is no such folder.
pub(crate) fn target_of(partial: &Path) -> Option<PathBuf> {
    let name = partial.file_name()?.to_str()?.strip_prefix('.')?;
    let (name, _process) = name.rsplit_once(PARTIAL)?;
    Some(partial.with_file_name(name))
}

/// Creates a file that is not there yet.
pub(crate) fn create(path: &Path) -> Result<File, StoreError> {
    File::create_new(path).map_err(|error| StoreError::writing(path, error))
}

/// A folder beside its final place; removed again unless [`Partial::commit`] put it there.
#[derive(Debug)]
pub(crate) struct Partial {
    target: PathBuf,
    partial: PathBuf,
    /// Folders above the target that were made for it, outermost first.
    made: Vec<PathBuf>,
    committed: bool,
}

impl Partial {
    /// Makes the folder, and whatever is missing above it.
    ///
    /// # Errors
    /// Where `target` is no folder, or holds something `may_replace` does not know, or where nothing
    /// can be made beside it.
    pub(crate) fn prepare(
        target: &Path,
        may_replace: impl Fn(&OsStr) -> bool,
    ) -> Result<Self, StoreError> {
        let target =
            std::path::absolute(target).map_err(|error| StoreError::writing(target, error))?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(StoreError::InUse { path: target });
        };
        check_target(&target, may_replace)?;
        let mut hidden = OsStr::new(".").to_owned();
        hidden.push(name);
        hidden.push(format!("{PARTIAL}{}", std::process::id()));
        let mut partial = Self {
            partial: parent.join(hidden),
            made: Vec::new(),
            committed: false,
            target: target.clone(),
        };
        partial.make_parents(parent)?;
        fs::create_dir(&partial.partial).map_err(|error| StoreError::writing(&target, error))?;
        Ok(partial)
    }

    /// Where files go until all of them are whole.
    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the folder into its place, in the stead of a former one.
    pub(crate) fn commit(mut self) -> Result<(), StoreError> {
        let failed = |error| StoreError::writing(&self.target, error);
        sync(&self.partial).map_err(failed)?;
        let former = self
            .partial
            .with_extension(format!("former-{}", std::process::id()));
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &former).map_err(failed)?;
        }
        if let Err(error) = fs::rename(&self.partial, &self.target) {
            if replaces {
                // The former results are whole and go back; the first error is the one to tell.
                let _ = fs::rename(&former, &self.target);
            }
            return Err(failed(error));
        }
        self.committed = true;
        if let Some(parent) = self.target.parent() {
            sync(parent).map_err(|error| StoreError::writing(&self.target, error))?;
        }
        if replaces {
            fs::remove_dir_all(&former).map_err(|error| StoreError::writing(&former, error))?;
        }
        Ok(())
    }

    fn make_parents(&mut self, parent: &Path) -> Result<(), StoreError> {
        let missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|path| !path.exists())
            .collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path).map_err(|error| StoreError::writing(path, error))?;
            self.made.push(path.to_owned());
        }
        Ok(())
    }
}

impl Drop for Partial {
    /// What was begun and not committed goes; an error here would only hide the one that led here.
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        let _ = fs::remove_dir_all(&self.partial);
        for path in self.made.iter().rev() {
            // Only while empty: somebody else may have put something there.
            let _ = fs::remove_dir(path);
        }
    }
}

fn check_target(target: &Path, may_replace: impl Fn(&OsStr) -> bool) -> Result<(), StoreError> {
    let failed = |error| StoreError::writing(target, error);
    let metadata = match fs::metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let path = target.to_owned();
    if !metadata.is_dir() || is_mount_point(target, &metadata) {
        return Err(StoreError::InUse { path });
    }
    for entry in fs::read_dir(target).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !may_replace(&name) {
            let found = name.to_string_lossy().into_owned();
            return Err(StoreError::NotEmpty { path, found });
        }
    }
    Ok(())
}

/// Nothing can be renamed on to a mount point.
#[cfg(unix)]
fn is_mount_point(target: &Path, metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let above = target.parent().and_then(|parent| fs::metadata(parent).ok());
    above.is_some_and(|above| above.dev() != metadata.dev())
}

#[cfg(not(unix))]
fn is_mount_point(_target: &Path, _metadata: &fs::Metadata) -> bool {
    false
}

/// Makes a folder's names durable; where folders cannot be opened, the system does so by itself.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
