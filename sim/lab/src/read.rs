//! Everything that comes in: traces, grids and policies, from the files in which the world keeps them.
//!
//! In reading order:
//!
//! - [`format`]: the formats of traces, and how one is guessed
//! - [`error`]: what may be wrong with a file
//! - `source`, `lines`, `table`, `builder`: what the readers share
//! - one module a format: [`vm_csv`], [`azure_packing`], [`huawei_csv`], [`openb_csv`], [`planetlab`], [`swf`]
//! - [`mod@grid`], [`openb_nodes`], [`mod@chain`]: grids and rule chains

pub mod azure_packing;
pub(crate) mod builder;
pub mod chain;
pub mod error;
pub mod format;
pub mod grid;
pub mod huawei_csv;
pub(crate) mod lines;
pub mod openb_csv;
pub mod openb_nodes;
pub mod planetlab;
pub(crate) mod source;
pub mod swf;
pub(crate) mod table;
pub mod vm_csv;

pub use chain::chain;
pub use error::ReadError;
pub use format::Format;
pub use grid::grid;

use crate::synthetic;
use capacity::trace::Trace;
use engine::watch::{Unwatched, Watch};
use error::{fault_of, shown};
use format::Guess;
use source::Source;
use std::io::Read;
use std::path::Path;

/// Reads a trace; where no format is named it is guessed from the first bytes of the file.
///
/// A path such as `synthetic:azure2019?vms=100000` is none, but the parameters of a synthetic trace; see
/// [`crate::synthetic::text`]. Files may be compressed with gzip; none is ever whole in memory. `watch` is told the bytes read of the file.
///
/// # Errors
/// What is wrong with the file, and where: one error, that of the first malformed line; or that `watch` has had enough.
pub fn trace(path: &Path, format: Option<Format>, watch: &dyn Watch) -> Result<Trace, ReadError> {
    let line = path
        .to_str()
        .filter(|path| path.starts_with(synthetic::text::PREFIX));
    if let Some(line) = line.filter(|_| matches!(format, None | Some(Format::Synthetic))) {
        let parameters = synthetic::text::read_line(line);
        let parameters = parameters.map_err(ReadError::Fault)?;
        return synthetic::generate(&parameters, watch).map_err(ReadError::Cancelled);
    }
    if path.is_dir() {
        return match format {
            None | Some(Format::Planetlab) => planetlab::read_folder(path, watch),
            Some(other) => Err(fault_of(
                &shown(path),
                0,
                "",
                "a folder",
                format!("a file in {other}"),
            )),
        };
    }
    let source = Source::open(path, watch)?;
    if let Some(format) = format {
        return read(source, format, watch);
    }
    let guess = Guess::of(source.head(), path)?;
    read(source, guess.format, watch).map_err(|error| error.guessed(&guess))
}

/// The text of a file that a person wrote, and the file's name; `expected` says what it is to hold.
///
/// # Errors
/// Where it cannot be read, is too large to be written by a person, or is no UTF-8.
pub fn text(path: &Path, expected: &str) -> Result<(String, String), ReadError> {
    Source::open(path, &Unwatched)?.into_text(expected)
}

/// The first plain bytes of a file, enough to tell what it is whatever comments come first.
///
/// # Errors
/// Where it cannot be read.
pub fn start(path: &Path) -> Result<Vec<u8>, ReadError> {
    /// A trace of millions of lines, or a file without line ends, is not worth more.
    const MOST_BYTES: u64 = 1 << 20;
    let mut start = Vec::new();
    Source::open(path, &Unwatched)?
        .take(MOST_BYTES)
        .read_to_end(&mut start)
        .map_err(|error| ReadError::io(&shown(path), 0, error))?;
    Ok(start)
}

/// Whether a file is a CSV that is a grid: see [`openb_nodes`].
///
/// # Errors
/// Where it cannot be read.
pub fn is_node_list(path: &Path) -> Result<bool, ReadError> {
    let source = Source::open(path, &Unwatched)?;
    Ok(openb_nodes::knows_head(source.head()))
}

fn read(source: Source<'_>, format: Format, watch: &dyn Watch) -> Result<Trace, ReadError> {
    match format {
        Format::VmCsv => vm_csv::read(source),
        Format::AzurePacking => azure_packing::read(source.path(), watch),
        Format::HuaweiCsv => huawei_csv::read(source),
        Format::OpenbCsv => openb_csv::read(source),
        Format::Planetlab => planetlab::read_archive(source),
        Format::Swf => swf::read(source),
        Format::Synthetic => {
            let (file, text) = source.into_text("parameters of a synthetic trace in TOML")?;
            let parameters = synthetic::text::read_toml(&file, &text).map_err(ReadError::Faults)?;
            synthetic::generate(&parameters, watch).map_err(ReadError::Cancelled)
        }
    }
}
