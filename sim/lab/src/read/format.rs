//! The formats of traces, and how one is guessed.

use super::error::{ReadError, fault_of, quoted, shown};
use super::{azure_packing, huawei_csv, openb_csv, planetlab, swf, table, vm_csv};
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
    /// The Azure packing trace of 2020, an SQLite file. See [`azure_packing`].
    AzurePacking,
    /// Huawei-East-1: one line an event. See [`huawei_csv`].
    HuaweiCsv,
    /// Tasks of Alibaba's GPU cluster. See [`openb_csv`].
    OpenbCsv,
    /// A folder or tar archive, one file a VM. See [`planetlab`].
    Planetlab,
    /// The Standard Workload Format. See [`swf`].
    Swf,
    /// Parameters of a synthetic trace. See [`crate::synthetic::text`].
    Synthetic,
}

/// First bytes of files in which traces come, and which are to be unpacked first.
const PACKED: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
];

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
        let guess = |format, because| Ok(Self { format, because });
        if azure_packing::knows(head) {
            return guess(Format::AzurePacking, "it is an SQLite file");
        }
        if planetlab::knows(head) {
            return guess(Format::Planetlab, "it is a tar archive");
        }
        if huawei_csv::knows(&header) {
            return guess(Format::HuaweiCsv, "its header names vmid, time and type");
        }
        if openb_csv::knows(&header) {
            return guess(Format::OpenbCsv, "its header names num_gpu and gpu_milli");
        }
        if vm_csv::knows(&header) {
            return guess(Format::VmCsv, "its header names a start and processors");
        }
        if vm_csv::knows_nearly(&header) {
            return guess(Format::VmCsv, "its header names some of its columns");
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            return guess(Format::Synthetic, "its name ends in .toml");
        }
        if swf::knows(head) {
            return guess(Format::Swf, "it starts with a semicolon or 18 numbers");
        }
        if let Some((_, packed)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
            let expected = "a trace, as it is or compressed with gzip";
            return Err(fault_of(&shown(path), 0, "", *packed, expected));
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
