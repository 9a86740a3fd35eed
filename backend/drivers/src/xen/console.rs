//! Where guests' consoles are written: by `xenconsoled`, which Xen's nodes run anyway, once it is
//! told to keep logs of guests.

use super::config::name;
use model::id::VmId;
use std::fs;
use std::path::PathBuf;

/// Where it writes unless it is told; `XEN_LOG_DIR/console` of Xen's build.
const USUAL_FOLDER: &str = "/var/log/xen/console";

/// The log of a VM's console, there or not; `None`: no logs are kept.
pub fn file(vm: VmId) -> Option<PathBuf> {
    Some(folder()?.join(format!("guest-{}.log", name(vm))))
}

/// The folder of the logs; `None`: none are kept.
fn folder() -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let folder = lines.find_map(|line| folder_of(&line))?;
    folder.is_dir().then_some(folder) // xenconsoled does not make it
}

/// The folder that a command line, its words ended by zeros, names as that of guests' logs.
pub fn folder_of(line: &[u8]) -> Option<PathBuf> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split('\0');
    let program = words.next()?;
    if program.rsplit('/').next()? != "xenconsoled" {
        return None;
    }
    let mut keeps = false;
    let mut folder = PathBuf::from(USUAL_FOLDER);
    for word in words {
        match word.split_once('=') {
            Some(("--log", what)) => keeps = what == "guest" || what == "all",
            Some(("--log-dir", path)) => folder = path.into(),
            _ => {}
        }
    }
    keeps.then_some(folder)
}
