//! What a driver program says on its standard error, kept in a file that does not grow without end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// The log, in the program's folder; the one before it has `.old` behind its name.
pub const LOG: &str = "driver.log";

/// The longest log; two of them hold a day of a talkative driver.
const MAX_BYTES: u64 = 1 << 20;

/// Copies until the program ends. A full disk loses what is said and does not stop the program.
pub fn keep(mut stderr: impl Read + Send + 'static, folder: &Path) {
    let path = folder.join(LOG);
    thread::spawn(move || {
        let mut log = open(&path);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            if log.as_ref().is_some_and(is_full) {
                // Where it cannot be put aside, the next look finds it full again.
                let _kept = fs::rename(&path, old(&path));
                log = open(&path);
            }
            if let Some(file) = &mut log {
                let _lost = file.write_all(&buffer[..count]);
            }
        }
    });
}

/// Where a full log goes.
pub fn old(path: &Path) -> PathBuf {
    path.with_extension("log.old")
}

fn open(path: &Path) -> Option<File> {
    File::options().create(true).append(true).open(path).ok()
}

fn is_full(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.len() >= MAX_BYTES)
}
