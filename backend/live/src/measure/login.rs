//! Who is logged in, and how often the node went up and down, from utmp and wtmp (utmp(5)).

use super::node;
use agent::driver::Reading;
use model::sample::{Metric, Subject};

/// Bytes of a record of the GNU C library; on aarch64 alone its times have 64 bits.
const RECORD_BYTES: usize = if cfg!(target_arch = "aarch64") {
    400
} else {
    384
};

/// A change of the run level; the system's going down is written so too, by the user `shutdown`.
const RUN_LEVEL: i16 = 1;
/// The system came up.
const BOOT_TIME: i16 = 2;
/// Somebody logged in and is still there, where the file is utmp.
const USER_PROCESS: i16 = 7;

/// Users logged in, by utmp.
pub fn logins(utmp: &[u8]) -> Reading {
    let users = records(utmp).filter(|record| kind(record) == USER_PROCESS);
    node(Subject::Whole, Metric::Logins, users.count() as f64)
}

/// Boots after the first and shutdowns in order, by wtmp; an empty one tells nothing.
pub fn ups_and_downs(wtmp: &[u8]) -> Vec<Reading> {
    if records(wtmp).next().is_none() {
        return Vec::new();
    }
    let boots = records(wtmp)
        .filter(|record| kind(record) == BOOT_TIME)
        .count();
    let down = |record: &&[u8]| kind(record) == RUN_LEVEL && user(record) == b"shutdown";
    let mut readings = vec![node(
        Subject::Whole,
        Metric::Stops,
        records(wtmp).filter(down).count() as f64,
    )];
    // A file begun since the boot does not tell of it.
    if let Some(reboots) = boots.checked_sub(1) {
        readings.push(node(Subject::Whole, Metric::Reboots, reboots as f64));
    }
    readings
}

/// Whole records; a last one cut short is being written.
fn records(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.chunks_exact(RECORD_BYTES)
}

fn kind(record: &[u8]) -> i16 {
    i16::from_ne_bytes([record[0], record[1]])
}

/// The user's name: 32 bytes, ended by a zero where shorter, behind kind, process, line and id.
fn user(record: &[u8]) -> &[u8] {
    let name = &record[44..76];
    let end = name.iter().position(|byte| *byte == 0);
    &name[..end.unwrap_or(name.len())]
}
