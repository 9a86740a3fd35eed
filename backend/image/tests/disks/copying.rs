//! Copies and wipes of sparse disks.

use crate::scratch::{folder, hole};
use agent::driver::NativeCall;
use agent::watch::{CalledOff, Unwatched, Watch};
use image::error::Error;
use image::extent::data;
use image::replicate::{compare, replicate, replicate_into};
use image::wipe::{Pattern, overwrite_only, wipe, wipe_and_remove};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// A disk of 64 MiB with data in three places, the last of them at its end.
fn sparse(path: &Path) -> Vec<Range<u64>> {
    hole(path, 64 * MIB);
    let file = OpenOptions::new().write(true).open(path).expect("the disk");
    let places = [(0, 1), (20, 9), (63, 1)];
    for (at, many) in places {
        let bytes: Vec<u8> = (0..many * MIB).map(|n| (n * 7 + at) as u8 | 1).collect();
        file.write_all_at(&bytes, at * MIB).expect("room");
    }
    places
        .iter()
        .map(|(at, many)| at * MIB..(at + many) * MIB)
        .collect()
}

fn extents(path: &Path) -> Vec<Range<u64>> {
    data(&File::open(path).expect("a disk"), path).expect("extents")
}

/// A copy reads the same and has its holes where the original has them.
#[test]
fn holes_stay_holes() {
    let folder = folder();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let places = sparse(&from);
    assert_eq!(extents(&from), places);
    replicate(&from, &to, &Unwatched).expect("a copy");
    assert_eq!(extents(&to), places);
    assert_eq!(
        std::fs::read(&from).expect("from"),
        std::fs::read(&to).expect("to")
    );
    compare(&from, &to, &Unwatched).expect("equal");
}

/// Copies from memory to the build's disk, there, and back read the same; in each direction other
/// ways of copying are open.
#[test]
fn copies_cross_file_systems() {
    let (memory, target) = (folder(), env!("CARGO_TARGET_TMPDIR"));
    let disk = tempfile::tempdir_in(target).expect("a folder");
    let from = memory.path().join("from");
    sparse(&from);
    let mut last = from.clone();
    for (place, name) in [(&disk, "there"), (&disk, "beside"), (&memory, "back")] {
        let to = place.path().join(name);
        replicate(&last, &to, &Unwatched).expect("a copy");
        assert!(std::fs::read(&from).expect("from") == std::fs::read(&to).expect("to"));
        last = to;
    }
}

/// A partition brought into a disk replaces what was there, its holes included, and nothing beside.
#[test]
fn a_partition_replaces_its_place_only() {
    let folder = folder();
    let (from, disk) = (folder.path().join("from"), folder.path().join("disk"));
    sparse(&from);
    std::fs::write(&disk, vec![0xAA; 80 * MIB as usize]).expect("a full disk");
    replicate_into(&from, &disk, 8 * MIB, &Unwatched).expect("brought in");
    let disk = std::fs::read(&disk).expect("disk");
    let (place, rest) = (8 * MIB as usize, 72 * MIB as usize);
    assert!(disk[place..rest] == std::fs::read(&from).expect("from"));
    assert!(
        disk[..place]
            .iter()
            .chain(&disk[rest..])
            .all(|&byte| byte == 0xAA)
    );
}

/// A single changed byte is found, also where the other disk has a hole.
#[test]
fn a_difference_is_found() {
    let folder = folder();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    sparse(&one);
    for at in [0, 21 * MIB + 5, 40 * MIB, 64 * MIB - 1] {
        replicate(&one, &other, &Unwatched).expect("a copy");
        let file = OpenOptions::new()
            .write(true)
            .open(&other)
            .expect("the copy");
        file.write_all_at(&[0xFE], at).expect("room");
        let error = compare(&one, &other, &Unwatched).expect_err("they differ");
        assert!(
            matches!(error, Error::Differs { at: told, .. } if told <= at),
            "{at}: {error}"
        );
    }
}

/// After a wipe no byte of the old data is where it was, nothing is a hole, and zeros are zeros.
#[test]
fn a_wipe_covers_everything() {
    let folder = folder();
    let disk = folder.path().join("disk");
    sparse(&disk);
    wipe(&disk, Pattern::Random, &Unwatched).expect("wiped");
    let first = std::fs::read(&disk).expect("disk");
    assert_eq!(
        extents(&disk),
        [Range {
            start: 0,
            end: 64 * MIB
        }]
    );
    // A keystream has every byte about equally often: 262,144 times here, with 511 standard
    // deviation.
    let mut counts = [0_u32; 256];
    first
        .iter()
        .for_each(|&byte| counts[usize::from(byte)] += 1);
    assert!(
        counts
            .iter()
            .all(|count| (258_000..266_000).contains(count)),
        "{counts:?}"
    );

    overwrite_only(&disk, Pattern::Random, &Unwatched).expect("again");
    assert!(
        std::fs::read(&disk).expect("disk") != first,
        "the key was drawn again"
    );
    wipe(&disk, Pattern::Zero, &Unwatched).expect("wiped");
    assert!(
        std::fs::read(&disk)
            .expect("disk")
            .iter()
            .all(|&byte| byte == 0)
    );
    assert_eq!(
        extents(&disk),
        [Range {
            start: 0,
            end: 64 * MIB
        }]
    );
}

/// To wipe what is gone succeeds: that is how a wipe resumes after a crash.
#[test]
fn a_wipe_may_be_repeated() {
    let folder = folder();
    let disk = folder.path().join("disk");
    sparse(&disk);
    for _ in 0..2 {
        wipe_and_remove(&disk, Pattern::Zero, &Unwatched).expect("gone");
        assert!(!disk.exists());
    }
}

/// A copy that is called off leaves the former target, and can be made again.
#[test]
fn a_copy_is_called_off() {
    struct Cancelled;
    impl Watch for Cancelled {
        fn progressed(&self, _done_milli: u16) {}
        fn calling(&self, _call: &NativeCall) {}
        fn checkpoint(&self) -> Result<(), CalledOff> {
            Err(CalledOff::Cancelled)
        }
    }
    let folder = folder();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    sparse(&from);
    std::fs::write(&to, "former").expect("a file");
    let error = replicate(&from, &to, &Cancelled).expect_err("called off");
    assert!(matches!(error, Error::CalledOff(CalledOff::Cancelled)));
    assert_eq!(std::fs::read(&to).expect("to"), b"former");
    replicate(&from, &to, &Unwatched).expect("a copy");
    compare(&from, &to, &Unwatched).expect("equal");
}
