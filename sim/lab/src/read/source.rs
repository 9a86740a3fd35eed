//! A file as a stream of plain bytes: decompressed on the way, its progress told, its cancellation honoured.

use super::error::{ReadError, shown};
use engine::watch::Watch;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Large enough that a call of the system is noise, small enough that progress moves and cancelling is prompt.
const BUFFER_BYTES: usize = 128 * 1024;
/// Enough for a header, and for the first block of a tar archive.
const HEAD_BYTES: usize = 4096;

/// A file being read, from its first plain byte.
pub(crate) struct Source<'w> {
    path: PathBuf,
    head: Vec<u8>,
    given: usize,
    rest: Box<dyn Read + 'w>,
}

impl<'w> Source<'w> {
    /// Opens a file and reads its head.
    pub(crate) fn open(path: &Path, watch: &'w dyn Watch) -> Result<Self, ReadError> {
        let failed = |error| ReadError::io(&shown(path), 0, error);
        let file = File::open(path).map_err(failed)?;
        let counted = Counted {
            total: file.metadata().map_err(failed)?.len(),
            file,
            done: 0,
            watch,
        };
        let mut plain = BufReader::with_capacity(BUFFER_BYTES, counted);
        let gzip = io::BufRead::fill_buf(&mut plain)
            .map_err(failed)?
            .starts_with(&[0x1f, 0x8b]);
        let mut rest: Box<dyn Read + 'w> = if gzip {
            Box::new(MultiGzDecoder::new(plain))
        } else {
            Box::new(plain)
        };
        let mut head = Vec::with_capacity(HEAD_BYTES);
        rest.by_ref()
            .take(HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            head,
            given: 0,
            rest,
        })
    }

    /// The file, as the user named it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first plain bytes.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut left = &self.head[self.given..];
        if left.is_empty() {
            return self.rest.read(buffer);
        }
        let count = left.read(buffer)?;
        self.given += count;
        Ok(count)
    }
}

/// A file that tells its watcher how much of it was read.
struct Counted<'w> {
    file: File,
    done: u64,
    total: u64,
    watch: &'w dyn Watch,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.done += count as u64;
        self.watch
            .progress(self.done, self.total.max(self.done))
            .map_err(io::Error::other)?;
        Ok(count)
    }
}
