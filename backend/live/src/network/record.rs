//! What is wanted, in files that survive the agent: one for each port, written whole or not at all.

use super::NetworkError;
use super::name::Device;
use super::port::Port;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// All ports of a folder, which is made where it is not there.
///
/// # Errors
/// Where the folder or a record cannot be read.
pub fn load(folder: &Path) -> Result<BTreeMap<Device, Port>, NetworkError> {
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let mut ports = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let device = name.and_then(|name| Device::of(name.strip_suffix(".json")?));
        if let Some(device) = device {
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            let port = serde_json::from_slice(&bytes)
                .map_err(|error| failed("read", &path)(error.into()))?;
            ports.insert(device, port);
        }
    }
    Ok(ports)
}

/// Writes a record, to the disk before it returns.
///
/// # Errors
/// Where the disk refuses.
pub fn save(folder: &Path, device: Device, port: &Port) -> Result<(), NetworkError> {
    let path = path(folder, device);
    let text =
        serde_json::to_vec_pretty(port).map_err(|error| failed("write", &path)(error.into()))?;
    drivers::folder::replace(&path, &text).map_err(failed("write", &path))
}

/// Removes a record, where it is there.
///
/// # Errors
/// Where the disk refuses.
pub fn remove(folder: &Path, device: Device) -> Result<(), NetworkError> {
    let path = path(folder, device);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &path)(error)),
        _ => Ok(()),
    }
}

fn path(folder: &Path, device: Device) -> PathBuf {
    folder.join(format!("{}.json", device.name()))
}

/// The error of a failed file operation, for `map_err`.
fn failed<'a>(doing: &'static str, path: &'a Path) -> impl Fn(Error) -> NetworkError + 'a {
    move |source| NetworkError::File {
        doing,
        path: path.to_owned(),
        source,
    }
}
