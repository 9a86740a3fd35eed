//! What may be wrong with a file that is read.

use super::format::Guess;
use engine::watch::Cancelled;
use model::fault::{Fault, Faults};
use std::path::Path;

/// Why a trace, a grid or a policy could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is not there, not readable, or breaks off inside its compression.
    #[error("{path}{}: cannot read", at(*.line))]
    Io {
        /// The file, as the user named it.
        path: String,
        /// Line that was being read; 0: none yet.
        line: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line or a field is not as its format has it.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// All that is wrong with a file that a person wrote.
    #[error("{0}")]
    Faults(Faults),
    /// The database is broken, or no database.
    #[error("{path}: cannot read the table {table}")]
    Sqlite {
        /// The file, as the user named it.
        path: String,
        /// The table that was being read.
        table: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Whoever watched has had enough.
    #[error("{0}")]
    Cancelled(Cancelled),
}

impl ReadError {
    /// An error of the system, or the wish to stop that came through it.
    pub(crate) fn io(path: &str, line: u64, source: std::io::Error) -> Self {
        match stopped(&source) {
            Some(cancelled) => Self::Cancelled(cancelled),
            None => Self::Io {
                path: path.to_owned(),
                line,
                source,
            },
        }
    }

    /// The same error with the guess that led to it, where another format could help.
    pub(crate) fn guessed(mut self, guess: &Guess) -> Self {
        if let Self::Fault(fault) = &mut self
            && fault.hint.is_empty()
        {
            let Guess { format, because } = guess;
            fault.hint =
                format!("read as {format}, because {because}; name another format if it is one");
        }
        self
    }
}

/// The wish to stop, through however many layers of readers it came.
fn stopped(error: &std::io::Error) -> Option<Cancelled> {
    let mut inner: &(dyn std::error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(cancelled) = inner.downcast_ref() {
            return Some(*cancelled);
        }
        if let Some(error) = inner.downcast_ref() {
            return stopped(error);
        }
        inner = inner.source()?;
    }
}

/// A fault in one place; `found` is shown between quotes and cut where it is long.
pub(crate) fn fault(file: &str, line: u64, field: &str, found: &[u8], expected: &str) -> ReadError {
    fault_of(file, line, field, quoted(found), expected)
}

/// A fault in one place, with words of one's own for what was found.
pub(crate) fn fault_of(
    file: &str,
    line: u64,
    field: &str,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> ReadError {
    ReadError::Fault(Box::new(Fault {
        file: file.to_owned(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        field: field.to_owned(),
        found: found.into(),
        expected: expected.into(),
        hint: String::new(),
    }))
}

/// Bytes of a file as a person can read them.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const LONGEST: usize = 60; // a line of a terminal has room for this and the rest of the message
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    let short: String = text.chars().take(LONGEST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}

/// The file as messages name it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn at(line: u64) -> String {
    if line == 0 {
        String::new()
    } else {
        format!(":{line}")
    }
}
