//! One VM, held by whoever acts on it: two agents, or a killed one's last act and its successor's
//! first, never meet.

use crate::folder::{Folder, failed};
use agent::driver::DriverError;
use agent::watch::Watch;
use model::id::VmId;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whoever acts on the VM holds it locked.
const LOCK: &str = "lock";

/// One VM, held by whoever acts on it, and by the processes to which it is given on.
#[derive(Debug)]
pub struct Hold {
    file: File,
    folder: PathBuf,
    record: &'static str,
}

impl Hold {
    /// Waits for the VM and takes it; `record`: the file whose presence makes it one, without which
    /// nothing of it stays when it is let go.
    ///
    /// # Errors
    /// Where the wait was called off or the disk refuses.
    pub fn take(
        folder: &Folder,
        vm: VmId,
        record: &'static str,
        watch: &dyn Watch,
    ) -> Result<Self, DriverError> {
        let folder = folder.of(vm);
        let path = folder.join(LOCK);
        loop {
            fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let file = match opened {
                // Whoever held the VM removes its folder with it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(failed("open", &path))?,
            };
            match file.try_lock() {
                Ok(()) if still_there(&file, &path) => {
                    return Ok(Self {
                        file,
                        folder,
                        record,
                    });
                }
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
            }
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("wait for the VM", why))?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The lock for a process that is being started.
    ///
    /// # Errors
    /// Where the node has no more files.
    pub fn share(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.folder.join(self.record).exists() {
            // There is no such VM, or no more. What cannot be removed is found and removed by the
            // next who acts on it.
            let _ = fs::remove_file(self.folder.join(LOCK));
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

fn still_there(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => held.ino() == named.ino(),
        _ => false,
    }
}
