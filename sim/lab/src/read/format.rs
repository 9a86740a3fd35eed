//! The formats of traces, and how one is guessed.

use super::error::{ReadError, fault_of, quoted, shown};
use super::table;
use super::vm_csv;
use std::path::Path;
use strum::VariantArray;

/// A format of traces.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Format {
    /// One line a VM; a header names the columns. See [`vm_csv`].
    VmCsv,
}

/// A format, and why it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) format: Format,
    pub(crate) because: &'static str,
}

impl Guess {
    /// What a file is, from its first bytes after decompression.
    pub(crate) fn of(head: &[u8], path: &Path) -> Result<Self, ReadError> {
        let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
        let header = table::header_of(line);
        if vm_csv::knows(&header) {
            return Ok(Self {
                format: Format::VmCsv,
                because: "its header names a start and processors",
            });
        }
        let found = quoted(line.trim_ascii());
        let mut error = fault_of(&shown(path), 1, "", found, "the start of a known trace");
        if let ReadError::Fault(fault) = &mut error {
            let names: Vec<&str> = Format::VARIANTS.iter().map(|f| f.into()).collect();
            fault.hint = format!("name the format, one of {}", names.join(", "));
        }
        Err(error)
    }
}
