//! Logs of consoles stay bounded while guests write them.

use live::console::{KEPT_BYTES, MOST_BYTES, bound};
use std::fs::{self, OpenOptions};
use std::io::Write;

/// One that has grown too long keeps its last whole lines, and its writer goes on behind them.
#[test]
fn a_long_log_keeps_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("console.log");
    bound(&log).expect("none is short");
    let line = "said by a guest that does not stop\n";
    let long = line.repeat(usize::try_from(MOST_BYTES).expect("small") / line.len());
    let opened = OpenOptions::new().create(true).append(true).open(&log);
    let mut guest = opened.expect("a log");
    guest.write_all(long.as_bytes()).expect("room");
    bound(&log).expect("it is short enough");
    assert_eq!(fs::read_to_string(&log).expect("a log"), long);
    guest.write_all(line.repeat(2).as_bytes()).expect("room");
    bound(&log).expect("it is cut down");
    guest.write_all(b"last\n").expect("room");
    let left = fs::read_to_string(&log).expect("a log");
    let (before, last) = left.split_at(left.len() - 5);
    assert_eq!(last, "last\n");
    assert!(left.len() as u64 <= KEPT_BYTES, "{}", left.len());
    assert!(left.len() as u64 > KEPT_BYTES - 100, "{}", left.len());
    assert_eq!(before, line.repeat(before.len() / line.len()));
}
