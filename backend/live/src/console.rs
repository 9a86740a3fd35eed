//! Logs of consoles, kept from filling the node: a guest may say what it likes for as long as it lives.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A log may grow to this many bytes.
pub const MOST_BYTES: u64 = 16 << 20;

/// The end of a log that had grown beyond, in bytes: hours of a guest that has lost its wits.
pub const KEPT_BYTES: u64 = 1 << 20;

/// Cuts a log down to the end of it where it has grown beyond [`MOST_BYTES`]. Its writer appends; what
/// it says meanwhile may come to stand before that end, or be lost.
///
/// # Errors
/// Where the log cannot be read or written; one that is not there is short.
pub fn bound(log: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).append(true).open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let len = file.metadata()?.len();
    if len <= MOST_BYTES {
        return Ok(());
    }
    let mut end = vec![0; KEPT_BYTES as usize];
    file.read_exact_at(&mut end, len - KEPT_BYTES)?;
    file.set_len(0)?;
    let line = end.iter().position(|&byte| byte == b'\n');
    (&file).write_all(&end[line.map_or(0, |line| line + 1)..])
}
