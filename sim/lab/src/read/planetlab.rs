//! A day of PlanetLab's CPU use (Beloglazov and Buyya 2012): a folder, or a tar archive of one, with a file for every VM.
//!
//! A file has 288 whole numbers, the CPU use in per cent every 300 seconds. The data know no sizes; as in CloudSim's
//! experiments the first quarter of the VMs gets the first of its four types and so on, in the order of the upper-cased
//! file names in which the published figures were made (`Constants.java`, `Helper.java` of CloudSim 3.0.3), a thousand
//! MIPS counting as one core:
//!
//! | Quarter | cpu_milli | mem_mib |
//! |---|---|---|
//! | first | 2500 | 870 |
//! | second | 2000 | 1740 |
//! | third | 1000 | 1740 |
//! | last | 500 | 613 |
//!
//! Every VM is alive at the start and lives for the whole day, 86,400 seconds. Its mean use, in whole per cents, is its
//! expected load; the series itself is not kept.

use super::builder::Builder;
use super::error::{ReadError, fault, fault_of, shown};
use super::source::Source;
use capacity::trace::{Trace, VmRequest};
use engine::watch::Watch;
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::VmSpec;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Samples of a day: one every 300 seconds.
const SAMPLES: usize = 288;
const DAY: Span = Span(86_400_000);
/// A file of 288 numbers of three digits and a line end; larger ones are something else.
const MOST_BYTES: u64 = 4096;
const TYPES: [Resources; 4] = [
    Resources::cpu_mem(2_500, 870),
    Resources::cpu_mem(2_000, 1_740),
    Resources::cpu_mem(1_000, 1_740),
    Resources::cpu_mem(500, 613),
];

/// Whether a head is that of a tar archive.
pub(crate) fn knows(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Reads a folder, or the only one in it, as an archive unpacks to.
pub(crate) fn read_folder(folder: &Path, watch: &dyn Watch) -> Result<Trace, ReadError> {
    let mut inside = Inside::of(folder)?;
    if let (true, [only]) = (inside.files.is_empty(), &inside.folders[..]) {
        inside = Inside::of(only)?;
    }
    let mut paths = inside.files;
    if let (true, [first, ..]) = (paths.is_empty(), &inside.folders[..]) {
        let found = format!("{} folders", inside.folders.len());
        let expected = format!("one file a VM, as {} may hold", shown(first));
        return Err(fault_of(&shown(folder), 0, "", found, expected));
    }
    paths.sort();
    let mut vms = Vec::with_capacity(paths.len());
    for (place, path) in paths.iter().enumerate() {
        watch
            .progress(place as u64, paths.len() as u64)
            .map_err(ReadError::Cancelled)?;
        let file = shown(path);
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text))
            .map_err(|error| ReadError::io(&file, 0, error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        vms.push((name.into_owned(), mean_percent(&file, &text)?));
    }
    assign(&shown(folder), vms)
}

/// What is in a folder.
#[derive(Default)]
struct Inside {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Inside {
    fn of(folder: &Path) -> Result<Self, ReadError> {
        let failed = |error| ReadError::io(&shown(folder), 0, error);
        let mut inside = Self::default();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_file() {
                inside.files.push(entry.path());
            } else if kind.is_dir() {
                inside.folders.push(entry.path());
            }
        }
        inside.folders.sort();
        Ok(inside)
    }
}

/// Reads a tar archive, compressed or not.
pub(crate) fn read_archive(source: Source<'_>) -> Result<Trace, ReadError> {
    let file = shown(source.path());
    let failed = |error| ReadError::io(&file, 0, error);
    let mut archive = tar::Archive::new(source);
    let mut vms = Vec::new();
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inside = entry.path().map_err(failed)?.into_owned();
        let name = inside.file_name().unwrap_or_default().to_string_lossy();
        let mut text = Vec::new();
        entry
            .by_ref()
            .take(MOST_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(failed)?;
        let place = format!("{file}/{}", shown(&inside));
        vms.push((name.into_owned(), mean_percent(&place, &text)?));
    }
    assign(&file, vms)
}

/// The mean of a day's use.
fn mean_percent(file: &str, text: &[u8]) -> Result<u32, ReadError> {
    let (mut sum, mut count, mut lines) = (0, 0, 0);
    for (place, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = line.trim_ascii();
        lines = place as u64 + 1;
        if line.is_empty() && count == SAMPLES {
            continue;
        }
        let number = std::str::from_utf8(line).ok().and_then(|l| l.parse().ok());
        let Some(percent @ 0..=100_u32) = number else {
            let expected = "a whole number of per cent, 0 to 100";
            return Err(fault(file, lines, "", line, expected));
        };
        if count == SAMPLES {
            let expected = format!("an end after {SAMPLES} lines");
            return Err(fault(file, lines, "", line, &expected));
        }
        sum += percent;
        count += 1;
    }
    if count < SAMPLES {
        let found = format!("{count} lines");
        return Err(fault_of(file, lines, "", found, format!("{SAMPLES}")));
    }
    Ok((sum + SAMPLES as u32 / 2) / SAMPLES as u32)
}

/// Gives the VMs their types.
fn assign(file: &str, mut vms: Vec<(String, u32)>) -> Result<Trace, ReadError> {
    if vms.is_empty() {
        return Err(fault_of(file, 0, "", "no file", "one file a VM"));
    }
    vms.sort_by_cached_key(|(name, _)| (name.to_uppercase(), name.clone()));
    let mut builder = Builder::new(file);
    let quarter = vms.len().div_ceil(TYPES.len());
    for (place, (name, percent)) in vms.iter().enumerate() {
        let mut spec = VmSpec::plain(TYPES[place / quarter]);
        spec.expected_load_milli = percent * 10;
        let request = VmRequest {
            arrival: Time::ZERO,
            duration: Some(DAY),
            shape: builder.shape(spec),
            tenant: 0,
            priority: 0,
            group: None,
        };
        builder.push(Some(name), request);
    }
    builder.note("the data know no sizes: VMs have CloudSim's four types, a quarter each");
    builder.finish()
}
