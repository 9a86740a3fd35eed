//! Where a sparse file holds data.

use crate::error::{At, Error};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// The ranges of bytes that hold data, in order; what lies between them reads as zero.
///
/// # Errors
/// Where the file cannot be asked.
pub fn data(file: &File, path: &Path) -> Result<Vec<Range<u64>>, Error> {
    let len = file.metadata().at(path)?.len();
    let mut extents = Vec::new();
    let mut at = 0;
    while at < len {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Beyond the last data.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error).at(path),
        };
        let end = seek(file, SeekFrom::Hole(start)).at(path)?;
        extents.push(start..end);
        at = end;
    }
    Ok(extents)
}

/// Cuts ranges into pieces of at most this many bytes.
pub fn pieces(extents: &[Range<u64>], most: u64) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    for extent in extents {
        let mut at = extent.start;
        while at < extent.end {
            let end = extent.end.min(at + most);
            pieces.push(at..end);
            at = end;
        }
    }
    pieces
}
