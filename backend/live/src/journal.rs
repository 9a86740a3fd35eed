//! The agent's journal on disk: a line an entry, each behind its checksum.
//!
//! ```text
//! 1f2e3d4c {"entry":"newest","generation":7}
//! ```
//! What a kill or a lost power supply left of the last lines is cut off when it is opened: nothing
//! was done yet for what had not reached the disk. A damaged line before good ones is damage.

use agent::journal::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refuses.
    #[error("{path}: {source}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line in the middle is damaged.
    #[error(
        "{path}: line {line} is damaged and good ones follow; hint: restore the file, or move it \
         away and let the controller compare what it knows with the VMs that are found"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The first damaged line, from 1.
        line: usize,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

/// A journal as it was found.
#[derive(Debug)]
pub struct Found {
    /// The journal, to be written on.
    pub journal: Journal,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Bytes of a torn end that were cut off.
    pub torn_bytes: u64,
}

impl Journal {
    /// Opens a journal, making it where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is damaged before its end.
    pub fn open(path: &Path) -> Result<Found, JournalError> {
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)
            .map_err(failed)?;
        let bytes = fs::read(path).map_err(failed)?;
        let (entries, good) = read(path, &bytes)?;
        let torn_bytes = (bytes.len() - good) as u64;
        if torn_bytes > 0 {
            file.set_len(good as u64).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        sync_folder(path).map_err(failed)?;
        let journal = Self {
            path: path.to_owned(),
            file,
        };
        Ok(Found {
            journal,
            entries,
            torn_bytes,
        })
    }

    /// Appends entries; they outlive this process, and after [`Self::sync`] a lost power supply.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let text: String = entries.iter().map(line).collect();
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| self.failed(source))
    }

    /// Waits until all that was appended is on the disk.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let synced = self.file.sync_data();
        synced.map_err(|source| self.failed(source))
    }

    /// Puts entries in place of all that is there, at once.
    ///
    /// # Errors
    /// Where the disk refuses; the old journal is then as it was.
    pub fn rewrite(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let text: String = entries.iter().map(line).collect();
        self.file = replace(&self.path, text.as_bytes()).map_err(|source| self.failed(source))?;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// Writes a file whole or not at all, and to the disk; open for appending.
///
/// # Errors
/// Where the disk refuses; what was there before is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    drivers::folder::replace(path, bytes)?;
    OpenOptions::new().append(true).open(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn line(entry: &Entry) -> String {
    let json = serde_json::to_string(entry).expect("entries have string keys and finite numbers");
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

/// The entries, and how many bytes of good lines there are.
fn read(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize), JournalError> {
    let mut entries = Vec::new();
    let mut good = 0;
    let mut first_bad = None;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match (entry(line), first_bad) {
            (Some(entry), None) => {
                entries.push(entry);
                good += line.len();
            }
            (Some(_), Some(line)) => {
                let path = path.to_owned();
                return Err(JournalError::Damaged { path, line });
            }
            (None, None) => first_bad = Some(index + 1),
            (None, Some(_)) => {}
        }
    }
    Ok((entries, good))
}

fn entry(line: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, json) = text.split_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(json.as_bytes()))
        .then(|| serde_json::from_str(json).ok())
        .flatten()
}
