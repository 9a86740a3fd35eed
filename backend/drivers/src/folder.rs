//! What a driver must remember of its VMs, in files that survive it: one folder a VM, written whole
//! or not at all.

use agent::driver::DriverError;
use model::id::VmId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The folder of one driver on one node.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens the folder, making it where it is not there.
    ///
    /// # Errors
    /// Where it can neither be made nor read.
    pub fn open(root: &Path) -> Result<Self, DriverError> {
        fs::create_dir_all(root).map_err(failed("make", root))?;
        let root = root.canonicalize().map_err(failed("find", root))?;
        Ok(Self { root })
    }

    /// Where the folders of all VMs lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a VM, there or not; sockets and logs of its hypervisor lie in it.
    pub fn of(&self, vm: VmId) -> PathBuf {
        self.root.join(format!("vm-{}", vm.0))
    }

    /// Writes one record of a VM, whole or not at all, and to the disk before it returns.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn save<T: Serialize>(&self, vm: VmId, record: &str, value: &T) -> Result<(), DriverError> {
        save(&self.of(vm).join(record), value)
    }

    /// As [`Self::save`], of the driver itself.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn save_own<T: Serialize>(&self, record: &str, value: &T) -> Result<(), DriverError> {
        save(&self.root.join(record), value)
    }

    /// Reads one record of a VM; `None`: there is none.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn load<T: DeserializeOwned>(
        &self,
        vm: VmId,
        record: &str,
    ) -> Result<Option<T>, DriverError> {
        load(&self.of(vm).join(record))
    }

    /// As [`Self::load`], of the driver itself.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn load_own<T: DeserializeOwned>(&self, record: &str) -> Result<Option<T>, DriverError> {
        load(&self.root.join(record))
    }

    /// Removes one record of a VM, there or not.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn forget(&self, vm: VmId, record: &str) -> Result<(), DriverError> {
        let path = self.of(vm).join(record);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Forgets a VM; its record goes first, so that a half-removed folder holds no VM.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remove(&self, vm: VmId, record: &str) -> Result<(), DriverError> {
        let folder = self.of(vm);
        for result in [
            fs::remove_file(folder.join(record)),
            fs::remove_dir_all(&folder),
        ] {
            match result {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &folder)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// VMs that have this record, by id.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn vms(&self, record: &str) -> Result<Vec<VmId>, DriverError> {
        let mut vms = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed("read", &self.root))? {
            let entry = entry.map_err(failed("read", &self.root))?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix("vm-"));
            if let Some(id) = id.and_then(|id| id.parse().ok())
                && entry.path().join(record).exists()
            {
                vms.push(VmId(id));
            }
        }
        vms.sort_unstable();
        Ok(vms)
    }
}

/// Writes a file whole or not at all, and to the disk before it returns; its owner alone may open it.
///
/// # Errors
/// Where the disk refuses; what was there before is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), DriverError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let text = serde_json::to_vec_pretty(value).map_err(|error| DriverError::Hypervisor {
        doing: format!("write {}", path.display()),
        said: error.to_string(),
    })?;
    replace(path, &text).map_err(failed("write", path))
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DriverError> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| DriverError::Hypervisor {
                    doing: format!("read {}", path.display()),
                    said: error.to_string(),
                })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// The error of a failed file operation, for `map_err`.
pub fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> DriverError + 'a {
    move |error| DriverError::Hypervisor {
        doing: format!("{doing} {}", path.display()),
        said: error.to_string(),
    }
}
