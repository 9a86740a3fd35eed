//! Folders for what a task makes on its way: wiped when it is over, however it ends.

use crate::error::{At, Error};
use crate::wipe::clear;
use std::path::{Path, PathBuf};

/// A folder of this process's own. What it holds is wiped and removed when it is dropped; what cannot
/// be stays, and an agent that starts wipes all folders of such names.
#[derive(Debug)]
pub struct Work(PathBuf);

impl Work {
    /// A new one in the folder of a file.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn beside(file: &Path) -> Result<Self, Error> {
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let made = tempfile::Builder::new().prefix(".work-").tempdir_in(folder);
        Ok(Self(made.at(folder)?.keep()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // As said above: it stays for the next sweep.
        drop(clear(&self.0));
    }
}
