//! Copies files with their holes, so that an empty disk of 100 GiB costs nothing to copy.

use crate::folder::failed;
use agent::driver::DriverError;
use agent::watch::Watch;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Between two looks at the watch at most this is copied: 100 ms at 40 MiB a second.
const CHUNK: usize = 4 << 20;

/// Copies a file; the copy appears under its name once it is whole and on the disk.
///
/// # Errors
/// Where the disk refuses, or the watch calls off; nothing is left under either name.
pub fn copy(from: &Path, to: &Path, watch: &dyn Watch) -> Result<(), DriverError> {
    let mut partial = OsString::from(to);
    partial.push(".partial");
    let partial = Path::new(&partial);
    let copied = fill(from, partial, watch)
        .and_then(|()| fs::rename(partial, to).map_err(failed("write", to)));
    if copied.is_err() {
        // What failed is the news; a file that cannot be removed is overwritten by the next try.
        fs::remove_file(partial).ok();
    }
    copied
}

fn fill(from: &Path, to: &Path, watch: &dyn Watch) -> Result<(), DriverError> {
    let source = File::open(from).map_err(failed("open", from))?;
    let target = File::create(to).map_err(failed("make", to))?;
    let size = source.metadata().map_err(failed("measure", from))?.len();
    target.set_len(size).map_err(failed("size", to))?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while let Some((begin, end)) = next_data(&source, at).map_err(failed("read", from))? {
        at = begin;
        while at < end {
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off(&format!("copy {}", from.display()), why))?;
            let wanted = CHUNK.min(usize::try_from(end - at).unwrap_or(CHUNK));
            let read = source
                .read_at(&mut buffer[..wanted], at)
                .map_err(failed("read", from))?;
            if read == 0 {
                break; // the file has shrunk meanwhile
            }
            target
                .write_all_at(&buffer[..read], at)
                .map_err(failed("write", to))?;
            at += read as u64;
            watch.progressed((at * 1000 / size.max(1)).min(1000) as u16);
        }
        at = end;
    }
    target.sync_all().map_err(failed("write", to))
}

/// Where the next data at or after an offset lies; `None`: only holes follow.
fn next_data(file: &File, from: u64) -> io::Result<Option<(u64, u64)>> {
    match seek(file, SeekFrom::Data(from)) {
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(begin) => Ok(Some((begin, seek(file, SeekFrom::Hole(begin))?))),
    }
}
