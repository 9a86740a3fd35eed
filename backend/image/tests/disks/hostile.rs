//! Images from anywhere: what does not belong in one is refused with one clear error.

use crate::scratch::folder;
use agent::watch::Unwatched;
use image::archive::{Bounds, unpack};
use image::error::Error;
use image::tree::Tree;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::path::Path;
use tar::{Builder, EntryType, Header};

const ROOM: Bounds = Bounds {
    entries: 100,
    bytes: 1 << 20,
};

/// One entry: its type, its name as it stands in the header, where it points, what it holds.
type Entry<'a> = (EntryType, &'a str, &'a str, &'a [u8]);

fn stream(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, target, bytes) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        // By hand, since the writer refuses what the reader must.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn read(bytes: &[u8], bounds: Bounds, folder: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new(folder);
    unpack(bytes, "it", bounds, &mut tree, &Unwatched).map(|()| tree)
}

/// Each way out of the image's own root, each thing that is no file, and each broken promise.
#[test]
fn what_does_not_belong_is_refused() {
    use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink};
    let check = |entries: &[Entry<'_>], expected: &str| {
        let folder = folder();
        let error = read(&stream(entries), ROOM, folder.path()).expect_err(expected);
        assert_eq!(error.to_string(), format!("refused it: {expected}"));
    };
    let file = |name| (Regular, name, "", b"x".as_slice());
    check(&[file("../out")], "\"../out\": a name with ..");
    check(&[file("a/../../out")], "\"a/../../out\": a name with ..");
    check(&[file("/etc/passwd")], "\"/etc/passwd\": an absolute name");
    check(&[file("a\nb")], "\"a\\nb\": a control character in a name");
    check(&[file("a"), file("./a")], "/a: the name occurs twice");
    check(
        &[(Symlink, "a", "/etc", b""), file("a/passwd")],
        "/a/passwd: it lies beneath the link /a",
    );
    check(
        &[(Symlink, "b/a", "../../etc", b"")],
        "/b/a: a link out of the root, to ../../etc",
    );
    check(&[(Symlink, "a", "", b"")], "/a: a link to nothing");
    check(
        &[(Link, "a", "../../etc/passwd", b"")],
        "\"../../etc/passwd\": a name with ..",
    );
    check(
        &[(Link, "a", "/etc/passwd", b"")],
        "\"/etc/passwd\": an absolute name",
    );
    check(
        &[(Link, "a", "b", b"")],
        "/a: a hard link to no file of the layer",
    );
    check(
        &[(Directory, "b", "", b""), (Link, "a", "b", b"")],
        "/a: a hard link to what is no file",
    );
    check(&[(Char, "null", "", b"")], "/null: a device");
    check(&[(Block, "disk", "", b"")], "/disk: a device");
    check(&[(Fifo, "pipe", "", b"")], "/pipe: a pipe");
    check(&[file("a"), file("a/b")], "/a/b: /a is no folder");
    let folder = folder();
    let sparse = stream(&[(GNUSparse, "bomb", "", b"")]);
    read(&sparse, ROOM, folder.path()).expect_err("an entry that unpacks to any size");
}

/// More files or more bytes than promised are refused before they are unpacked.
#[test]
fn bombs_are_refused() {
    let folder = folder();
    let bytes = stream(&[(EntryType::Regular, "a", "", &[7; 4_096])]);
    let len = bytes.len() as u64;
    let check = |entries, bytes_most, expected: &str| {
        let bounds = Bounds {
            entries,
            bytes: bytes_most,
        };
        let error = read(&bytes, bounds, folder.path()).expect_err(expected);
        assert_eq!(error.to_string(), format!("refused it: {expected}"));
    };
    read(
        &bytes,
        Bounds {
            entries: 1,
            bytes: len,
        },
        folder.path(),
    )
    .expect("just fits");
    check(0, len, "more than the 0 entries promised");
    check(
        1,
        len - 1,
        &format!("more than the {} bytes promised", len - 1),
    );
}

/// A good layer gives its files, with one file of two names kept one.
#[test]
fn a_good_layer_is_read() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let folder = folder();
    let tree = read(
        &stream(&[
            (Directory, "usr/", "", b""),
            (Regular, "usr/a", "", b"text"),
            (Link, "usr/b", "usr/a", b""),
            (Symlink, "bin", "usr", b""),
        ]),
        ROOM,
        folder.path(),
    )
    .expect("a good layer");
    assert_eq!(
        tree.read("/bin/b").expect("readable").as_deref(),
        Some(b"text".as_slice())
    );
    assert_eq!(
        tree.node("/usr/a").map(|node| &node.kind),
        tree.node("/usr/b").map(|node| &node.kind)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed in a stream, it is read or refused: nothing panics, and nothing is
    /// written but numbered files of the spool.
    #[test]
    fn mutated_streams_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        cut in any::<prop::sample::Index>(),
    ) {
        use EntryType::{Link, Regular, Symlink};
        let mut bytes = stream(&[
            (Regular, "etc/passwd", "", &[b'p'; 700]),
            (Symlink, "bin", "usr/bin", b""),
            (Link, "etc/other", "etc/passwd", b""),
        ]);
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        bytes.truncate(cut.index(bytes.len()).max(512));
        let outer = folder();
        let inner = outer.path().join("spool");
        std::fs::create_dir(&inner).expect("a folder");
        drop(read(&bytes, ROOM, &inner));
        let names: Vec<_> = outer.path().read_dir().expect("ours").collect();
        assert_eq!(names.len(), 1);
        for entry in inner.read_dir().expect("ours") {
            let name = entry.expect("ours").file_name().into_string().expect("a number");
            assert!(name.parse::<u64>().is_ok(), "{name}");
        }
    }
}
