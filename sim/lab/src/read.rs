//! Everything that comes in: traces, grids and policies, from the files in which the world keeps them.
//!
//! In reading order:
//!
//! - [`format`]: the formats of traces, and how one is guessed
//! - [`error`]: what may be wrong with a file
//! - `source`, `table`, `builder`: what the readers share
//! - one module a format: `vm_csv`
//! - [`mod@grid`]: grids

pub(crate) mod builder;
pub mod error;
pub mod format;
pub mod grid;
pub(crate) mod source;
pub(crate) mod table;
pub mod vm_csv;

pub use error::ReadError;
pub use format::Format;
pub use grid::grid;

use capacity::trace::Trace;
use engine::watch::Watch;
use format::Guess;
use source::Source;
use std::path::Path;

/// Reads a trace; where no format is named it is guessed from the first bytes of the file.
///
/// Files may be compressed with gzip; none is ever whole in memory. `watch` is told the bytes read of the file.
///
/// # Errors
/// What is wrong with the file, and where: one error, that of the first malformed line; or that `watch` has had enough.
pub fn trace(path: &Path, format: Option<Format>, watch: &dyn Watch) -> Result<Trace, ReadError> {
    let source = Source::open(path, watch)?;
    if let Some(format) = format {
        return read(source, format);
    }
    let guess = Guess::of(source.head(), path)?;
    read(source, guess.format).map_err(|error| error.guessed(&guess))
}

fn read(source: Source<'_>, format: Format) -> Result<Trace, ReadError> {
    match format {
        Format::VmCsv => vm_csv::read(source),
    }
}
