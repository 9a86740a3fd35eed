//! What can go wrong with disks and images.

use agent::build::BuildError;
use agent::edit::EditError;
use agent::watch::CalledOff;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong. No variant ever holds a key, nor what a tool was told on its input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody called it off; what was begun under a temporary name is left to the next try.
    #[error(transparent)]
    CalledOff(#[from] CalledOff),
    /// A file could not be read, written or found.
    #[error("{}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A tool is not installed.
    #[error("{program} is not installed\nhint: it is in the Debian package {package}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
    },
    /// A tool failed.
    #[error("{program} ended with {status}: {told}")]
    Tool {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: String,
        /// The last lines that it said.
        told: String,
    },
    /// An image or a file system is not what it should be, by malice or by accident.
    #[error("refused {what}: {why}")]
    Refused {
        /// Its name, as far as known.
        what: String,
        /// One reason.
        why: String,
    },
    /// The image store has no such image.
    #[error("no image {0} in the store")]
    NoImage(String),
    /// A server did not send what was asked of it.
    #[error("{url}: {why}")]
    Fetch {
        /// Where.
        url: String,
        /// Why not.
        why: String,
    },
    /// The order brought no key of this id.
    #[error("no {0} came with the order")]
    NoKey(model::id::KeyId),
    /// The disk cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An edit cannot be done.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// What was written is not what was read back.
    #[error("{} differs from what was written at byte {at}", .path.display())]
    Differs {
        /// Which file.
        path: PathBuf,
        /// The first byte of the piece that differs.
        at: u64,
    },
}

impl Error {
    /// Refuses something for one reason.
    pub(crate) fn refused(what: impl Into<String>, why: impl Into<String>) -> Self {
        let (what, why) = (what.into(), why.into());
        Self::Refused { what, why }
    }
}

/// Names the file that an input or output error is about.
pub(crate) trait At<T> {
    /// Adds the path.
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
