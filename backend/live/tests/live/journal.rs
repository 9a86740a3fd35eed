//! The journal on disk: what a kill leaves of it, and what it refuses.

use agent::journal::Entry;
use live::journal::{Journal, JournalError};
use model::id::Generation;
use std::fs;
use std::path::PathBuf;

fn entry(generation: u64) -> Entry {
    Entry::Newest {
        generation: Generation(generation),
    }
}

/// A journal of three entries in a folder of its own.
fn three() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path).expect("a new journal").journal;
    journal
        .append(&[entry(1), entry(2)])
        .expect("it is written");
    journal.append(&[entry(3)]).expect("it is written");
    journal.sync().expect("it is synced");
    (folder, path)
}

/// Cut off at any byte, the journal gives all whole lines before the cut, says how much it dropped,
/// and can be written on.
#[test]
fn a_torn_end_is_cut_off() {
    let (_folder, path) = three();
    let whole = fs::read(&path).expect("a journal");
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).expect("a torn journal");
        let lines = whole[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let mut found = Journal::open(&path).expect("a torn end is no fault");
        assert_eq!(found.entries.len(), lines, "{length} bytes");
        let kept: usize = whole[..length]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        assert_eq!(found.torn_bytes, (length - kept) as u64, "{length} bytes");
        found.journal.append(&[entry(9)]).expect("it is written");
        let entries = Journal::open(&path).expect("it is whole").entries;
        assert_eq!(entries.last(), Some(&entry(9)), "{length} bytes");
        assert_eq!(entries.len(), lines + 1, "{length} bytes");
    }
}

/// A line that is damaged before good ones is told by its number, and the journal is left as it is.
#[test]
fn damage_in_the_middle_is_told() {
    let (_folder, path) = three();
    let mut bytes = fs::read(&path).expect("a journal");
    let second = bytes.iter().position(|byte| *byte == b'\n').expect("lines") + 20;
    bytes[second] ^= 1;
    fs::write(&path, &bytes).expect("a damaged journal");
    match Journal::open(&path) {
        Err(JournalError::Damaged { line, .. }) => assert_eq!(line, 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&path).expect("a journal"), bytes);
}

/// A rewritten journal holds the new entries alone, and what is appended afterwards.
#[test]
fn a_journal_is_rewritten_whole() {
    let (_folder, path) = three();
    let mut journal = Journal::open(&path).expect("a journal").journal;
    journal.rewrite(&[entry(7)]).expect("it is rewritten");
    journal.append(&[entry(8)]).expect("it is written");
    let entries = Journal::open(&path).expect("a journal").entries;
    assert_eq!(entries, [entry(7), entry(8)]);
}
