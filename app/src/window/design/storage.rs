//! Designs on disk: whole or not at all, and what a session left unsaved.

use super::codec;
use model::design::Design;
use model::fault::Faults;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The longest file that is taken for a design; a thousand components take under a megabyte.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// First words of the line of a recovery file that tells where the design belongs.
const ORIGIN: &str = "# recovered from ";

/// Why a design was not read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; hint: check the path and that you may read it")]
    Read {
        /// As the user named it.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no design.
    #[error(transparent)]
    Faulty(#[from] Faults),
    /// The file cannot be written; what was there before is untouched.
    #[error(
        "cannot save {path}: {source}; hint: what was there before is untouched, choose another place"
    )]
    Write {
        /// As the user named it.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads a design.
///
/// # Errors
/// What the system says, or all faults of the file.
pub fn read(path: &Path) -> Result<Design, StorageError> {
    let text = read_text(path).map_err(|source| StorageError::Read {
        path: path.display().to_string(),
        source,
    })?;
    Ok(codec::from_text(&path.display().to_string(), &text)?)
}

/// Writes a design beside its place and moves it there: a full disk or a crash leaves the old file.
///
/// # Errors
/// What the system says; the old file is untouched then.
pub fn write(path: &Path, design: &Design) -> Result<(), StorageError> {
    write_text(path, &codec::to_text(design)).map_err(|source| StorageError::Write {
        path: path.display().to_string(),
        source,
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {} MiB, no design is",
            MAX_FILE_BYTES >> 20
        )));
    }
    fs::read_to_string(path)
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    // Through a symbolic link, so that the link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("it names no file"))?
        .to_string_lossy()
        .into_owned();
    let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = fs::File::create(&temporary)
        .and_then(|mut file| {
            if let Ok(old) = fs::metadata(&path) {
                file.set_permissions(old.permissions())?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The first error is the one to tell; a file that was never created cannot be removed.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Keeps the unsaved design of one window aside until it is saved or given up.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    file: PathBuf,
}

/// A design that a session left unsaved.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    /// The recovery file.
    pub file: PathBuf,
    /// Where the design belongs; `None`: it was never saved.
    pub origin: Option<PathBuf>,
    /// The design.
    pub design: Design,
}

impl Journal {
    /// A journal in a folder, which is made when first needed. Two windows have two files.
    pub fn new(folder: PathBuf) -> Self {
        let file = folder.join(format!("design-{}.toml", std::process::id()));
        Self { folder, file }
    }

    /// Keeps the design.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&self, design: &Design, origin: Option<&Path>) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let origin =
            origin.map_or_else(String::new, |path| format!("{ORIGIN}{}\n", path.display()));
        write_text(&self.file, &format!("{origin}{}", codec::to_text(design)))
    }

    /// Forgets it: it is saved, or the user gave it up.
    pub fn forget(&self) {
        // There is none while nothing was ever modified.
        let _ = fs::remove_file(&self.file);
    }

    /// What windows that no longer run left unsaved, oldest name first.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        files
            .iter()
            .filter(|file| **file != self.file && is_left(file))
            .filter_map(|file| leftover(file))
            .collect()
    }
}

/// Gives up a leftover, or removes it after it was taken over.
pub fn forget_leftover(leftover: &Leftover) {
    // Another window may have been quicker.
    let _ = fs::remove_file(&leftover.file);
}

/// Whether the window that wrote the file is gone.
fn is_left(file: &Path) -> bool {
    let Some(process) = file
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| {
            name.strip_prefix("design-")?
                .strip_suffix(".toml")?
                .parse::<u32>()
                .ok()
        })
    else {
        return false;
    };
    // Where the system does not tell, a leftover is offered rather than lost.
    !Path::new("/proc")
        .join(process.to_string())
        .join("exe")
        .exists()
        || process == std::process::id()
}

fn leftover(file: &Path) -> Option<Leftover> {
    let text = read_text(file).ok()?;
    let origin = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix(ORIGIN))
        .map(PathBuf::from);
    let design = codec::from_text(&file.display().to_string(), &text).ok()?;
    Some(Leftover {
        file: file.to_owned(),
        origin,
        design,
    })
}
