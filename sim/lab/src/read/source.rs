//! A file as a stream of plain bytes: decompressed on the way, its progress told, its cancellation honoured.

use super::error::{ReadError, fault_of, shown};
use engine::watch::Watch;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Large enough that a call of the system is noise, small enough that progress moves and cancelling is prompt.
const BUFFER_BYTES: usize = 128 * 1024;
/// The longest text that a person wrote: a grid of a hundred thousand single nodes with every key takes half of it.
const MOST_TEXT_BYTES: u64 = 64 * 1024 * 1024;
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

    /// The whole of a file that a person wrote, and its name.
    pub(crate) fn into_text(mut self, expected: &str) -> Result<(String, String), ReadError> {
        let file = shown(&self.path);
        let mut bytes = Vec::new();
        self.by_ref()
            .take(MOST_TEXT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| ReadError::io(&file, 0, error))?;
        if bytes.len() as u64 > MOST_TEXT_BYTES {
            let found = format!("more than {MOST_TEXT_BYTES} bytes");
            return Err(fault_of(&file, 0, "", found, expected));
        }
        String::from_utf8(bytes)
            .map(|text| (file.clone(), text))
            .map_err(|error| {
                let sound = error.utf8_error().valid_up_to();
                let before = &error.as_bytes()[..sound];
                let line = 1 + before.iter().filter(|&&b| b == b'\n').count() as u64;
                let found = format!(
                    "the byte {:#04x}, which is no UTF-8",
                    error.as_bytes()[sound]
                );
                fault_of(&file, line, "", found, expected)
            })
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
