//! Reads a small file of every format, then mutilated ones; real traces where `TRACES` names their folder.

mod azure;
mod formats;
mod mutilated;
mod openb;
mod real;
mod synthetic;
mod vm_csv;

use capacity::trace::Trace;
use engine::watch::Unwatched;
use lab::read::{Format, ReadError};
use model::vm::Demand;
use std::path::{Path, PathBuf};

/// A file of `tests/data`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A file of `tests/data`, its format guessed.
fn read_data(name: &str) -> Trace {
    lab::read::trace(&data(name), None, &Unwatched).expect("a sound file")
}

/// Bytes as a file of this name; errors as the user sees them, less the folder.
fn read_bytes(name: &str, bytes: &[u8], format: Option<Format>) -> Result<Trace, String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file in it");
    lab::read::trace(&path, format, &Unwatched).map_err(|error| told(&error, folder.path()))
}

/// An error as the user sees it, less the folder.
fn told(error: &ReadError, folder: &Path) -> String {
    error
        .to_string()
        .replace(&format!("{}/", folder.display()), "")
}

/// A format refuses this text with this error.
fn check_fault(name: &str, format: Format, text: &str, expected: &str) {
    assert_eq!(
        read_bytes(name, text.as_bytes(), Some(format)).map(|trace| trace.vms.len()),
        Err(expected.to_owned()),
        "{text}"
    );
}

/// A VM in short: name, arrival and life in milliseconds, cpu_milli, mem_mib, tenant, priority.
type Short<'a> = (&'a str, i64, Option<i64>, u32, u32, &'a str, u8);

fn check_vms(trace: &Trace, expected: &[Short<'_>]) {
    let short: Vec<Short<'_>> = trace
        .vms
        .iter()
        .zip(&trace.names)
        .map(|(vm, name)| {
            let Demand::Fixed(size) = trace.shapes[vm.shape as usize].demand else {
                panic!("fixed sizes");
            };
            let tenant = trace.tenants[vm.tenant as usize].as_str();
            let life = vm.duration.map(|d| d.0);
            let (cpu, mem) = (size.cpu_milli.0, size.mem_mib.0);
            (&**name, vm.arrival.0, life, cpu, mem, tenant, vm.priority)
        })
        .collect();
    assert_eq!(short, expected);
}
