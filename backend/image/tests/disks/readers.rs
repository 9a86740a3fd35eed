//! Readers of what comes from elsewhere, each given what nobody would write: read or refused.

use crate::scratch::{folder, small_guest};
use agent::edit::Edit;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::base::{backing, refuse_foreign, seen_bytes};
use image::customise::customise;
use image::manifest::{Compression, Content, Manifest, Signed, Template, is_digest, signer};
use image::recipe::Recipe;
use image::store::Store;
use image::whole::{pack, unpack};
use model::hypervisor::{Arch, Guest};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::sample::Index;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use tar::{Builder, EntryType, Header};

const DISK_BYTES: u64 = 1 << 20;

fn manifest(compression: Compression, bounds: Bounds) -> Manifest {
    Manifest {
        name: "it".to_owned(),
        version: "1".to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        content: Content::Disk,
        applications: Vec::new(),
        compression,
        stream: String::new(),
        stream_bytes: 0,
        bounds,
        disk_bytes: DISK_BYTES,
        templates: Vec::new(),
        parameters: [].into(),
        cloud_init: false,
    }
}

const ROOM: Bounds = Bounds {
    entries: 3,
    bytes: 16 << 10,
};

fn extents(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, bytes) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        // By hand, since the writer refuses what the reader must.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

fn changed(bytes: &[u8], changes: &[(Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

/// The streams of a small disk, packed as either kind.
static PACKED: LazyLock<[(Compression, Bounds, Vec<u8>); 2]> = LazyLock::new(|| {
    let folder = folder();
    let (disk, stream) = (folder.path().join("disk"), folder.path().join("stream"));
    let file = File::create(&disk).expect("room");
    file.set_len(DISK_BYTES).expect("room");
    file.write_all_at(&[0x55, 0xAA], 510).expect("room");
    file.write_all_at(&[9; 5_000], 70_000).expect("room");
    [Compression::Xz, Compression::Zstd].map(|compression| {
        let bounds = pack(&disk, &stream, compression, &Unwatched).expect("packed");
        (compression, bounds, std::fs::read(&stream).expect("it"))
    })
});

/// Each way in which the stream of a disk can be none.
#[test]
fn what_is_no_disk_is_refused() {
    use EntryType::{Char, GNUSparse, Regular, Symlink};
    let folder = folder();
    let disk = folder.path().join("disk");
    let check = |entries: &[(EntryType, &str, &[u8])], expected: &str| {
        let manifest = manifest(Compression::None, ROOM);
        let bytes = extents(entries);
        let error = unpack(bytes.as_slice(), &manifest, &disk, &Unwatched).expect_err(expected);
        assert_eq!(error.to_string(), format!("refused it: {expected}"));
    };
    let zero = "0000000000000000";
    let extent = |name| (Regular, name, b"x".as_slice());
    check(&[extent("../disk")], "\"../disk\": no place on a disk");
    check(&[extent("0")], "\"0\": no place on a disk");
    check(
        &[extent("+00000000000000a")],
        "\"+00000000000000a\": no place on a disk",
    );
    check(
        &[extent("0000000000100000")],
        "\"0000000000100000\": it ends beyond the disk's 1048576 bytes",
    );
    check(
        &[extent("ffffffffffffffff")],
        "\"ffffffffffffffff\": it ends beyond the disk's 1048576 bytes",
    );
    check(
        &[extent("0000000000000002"), extent("0000000000000001")],
        "\"0000000000000001\": it lies before the end of another",
    );
    check(
        &[extent(zero), extent(zero)],
        "\"0000000000000000\": it lies before the end of another",
    );
    for kind in [Char, Symlink, GNUSparse] {
        let bytes = extents(&[(kind, zero, b"")]);
        let manifest = manifest(Compression::None, ROOM);
        unpack(bytes.as_slice(), &manifest, &disk, &Unwatched).expect_err("no extent");
    }
    let names = ["0", "1", "2", "3"].map(|digit| format!("{digit:0>16}"));
    let many: Vec<_> = names.iter().map(|name| extent(name)).collect();
    check(&many, "more than the 3 entries promised");
    check(
        &[(Regular, zero, &[7; 17 << 10])],
        "more than the 16384 bytes promised",
    );
    let whole = extents(&[(Regular, zero, &[7; 4_096])]);
    let error = unpack(
        &whole[..2_000],
        &manifest(Compression::None, ROOM),
        &disk,
        &Unwatched,
    );
    let error = error.expect_err("cut");
    assert_eq!(error.to_string(), "refused it: it is cut within an extent");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is changed in the stream of a disk, the disk is never larger than promised and nothing
    /// else is written.
    #[test]
    fn mutated_disks_do_no_harm(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..24),
        cut in any::<Index>(),
    ) {
        let mut bytes = extents(&[
            (EntryType::Regular, "0000000000000000", &[1; 700]),
            (EntryType::Regular, "0000000000001000", &[2; 700]),
        ]);
        bytes = changed(&bytes, &changes);
        bytes.truncate(cut.index(bytes.len()));
        let folder = folder();
        let disk = folder.path().join("disk");
        drop(unpack(bytes.as_slice(), &manifest(Compression::None, ROOM), &disk, &Unwatched));
        assert_eq!(disk.metadata().expect("made first").len(), DISK_BYTES);
        assert_eq!(folder.path().read_dir().expect("ours").count(), 1);
    }

    /// Nor of a compressed one: it ends, within its bounds.
    #[test]
    fn mutated_compression_does_no_harm(
        zstd in any::<bool>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        cut in any::<Index>(),
    ) {
        let folder = folder();
        let stream = folder.path().join("stream");
        let (compression, bounds, bytes) = &PACKED[usize::from(zstd)];
        let mut bytes = changed(bytes, &changes);
        bytes.truncate(cut.index(bytes.len()));
        std::fs::write(&stream, bytes).expect("room");
        let key = SigningKey::from_bytes(&[8; 32]);
        let store = Store::open(&folder.path().join("store"), vec![key.verifying_key()], u64::MAX);
        let store = store.expect("a store");
        let image = store.add(manifest(*compression, *bounds), &stream, &key, &Unwatched);
        let image = image.expect("its digest is what it is");
        let made = folder.path().join("made");
        if let Ok(stream) = store.stream(&image) {
            drop(unpack(stream, &image.manifest, &made, &Unwatched));
            assert_eq!(made.metadata().expect("made first").len(), DISK_BYTES);
        }
    }

    /// Any header of a qcow2 disk is read or refused: nothing panics, no name is longer than the format
    /// allows, and one that names a file is never taken for one that does not.
    #[test]
    fn any_header_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = folder();
        let disk = folder.path().join("disk");
        std::fs::write(&disk, [b"QFI\xFB".as_slice(), &bytes].concat()).expect("ours");
        let found = backing(&disk);
        if let Ok(Some(path)) = &found {
            assert!(path.as_os_str().len() <= 1_023);
        }
        drop(seen_bytes(&disk));
        if refuse_foreign(&disk, None).is_ok() {
            assert_eq!(found.expect("it was read"), None);
        }
    }

    /// A manifest is what somebody trusted has signed, byte for byte, or it is refused.
    #[test]
    fn a_changed_manifest_is_refused(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        in_text in any::<bool>(),
    ) {
        let key = SigningKey::from_bytes(&[8; 32]);
        let signed = Signed::new(&manifest(Compression::Zstd, ROOM), &key);
        let (mut text, mut signature) = (signed.text.clone(), signed.signature.clone());
        let changed = if in_text { &mut text } else { &mut signature };
        let bytes = self::changed(changed.as_bytes(), &changes);
        *changed = String::from_utf8_lossy(&bytes).into_owned();
        let other = Signed { text, signature };
        let opened = other.open(&other.id(), &[key.verifying_key()]);
        let same = other.text == signed.text
            && other.signature.trim().eq_ignore_ascii_case(&signed.signature);
        assert_eq!(opened.is_ok(), same);
    }

    /// Whatever a signed manifest, a recipe, a template or a name of either says, it is read or refused.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}", value in ".{0,20}") {
        let key = SigningKey::from_bytes(&[8; 32]);
        let signature = ed25519_dalek::Signer::sign(&key, text.as_bytes());
        let signature = image::manifest::hex(&signature.to_bytes());
        let signed = Signed { text: text.clone(), signature };
        signed.open(&signed.id(), &[key.verifying_key()]).expect_err("no manifest is that short");
        drop(Recipe::read(&text));
        drop(signer(&text));
        assert!(!is_digest(&text) || text.len() == 64);
        let template = Template { path: "/it".to_owned(), mode: 0o644, text: text.clone() };
        let filled = template.fill(&[("name".to_owned(), value)].into());
        if !text.contains("{{") {
            assert_eq!(filled.expect("nothing to fill"), text);
        }
    }
}

proptest! {
    // Each runs the file system's own tools.
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file system whose structures are anything at all is edited or refused: the copy is there whole
    /// and without a fault, or not at all.
    #[test]
    fn a_damaged_file_system_is_edited_or_refused(
        changes in prop::collection::vec((0..400_000_u64, any::<[u8; 8]>()), 1..40),
    ) {
        let folder = folder();
        let guest = small_guest(folder.path(), 0);
        let file = std::fs::OpenOptions::new().write(true).open(&guest).expect("ours");
        for (at, bytes) in changes {
            // Its superblock, descriptors, bitmaps and first inodes, but not what says that it is ext4.
            file.write_all_at(&bytes, 1_100 + at).expect("ours");
        }
        let copy = folder.path().join("copy");
        let edit = Edit::file("/etc/hostname", "after\n", 0o644);
        match customise(&guest, &copy, &[edit], &Unwatched) {
            Ok(()) => {
                crate::scratch::run("e2fsck", &["-fn", copy.to_str().expect("plain")]);
            }
            Err(_) => assert!(!copy.exists()),
        }
    }
}
