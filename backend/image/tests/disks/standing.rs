//! Disks on a shared base, disks from elsewhere, and disks of another size.

use crate::scratch::{at, cat, folder, run, small_guest};
use agent::watch::Unwatched;
use image::base::{backing, check, keep, overlay, refuse_foreign};
use image::resize::resize;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Two VMs stand on one base, which neither changes; a base that was changed is refused.
#[test]
fn a_base_is_never_changed() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let base = keep(&guest, folder.path(), &Unwatched).expect("kept");
    assert_eq!(keep(&guest, folder.path(), &Unwatched).expect("kept"), base);
    assert_eq!(
        base.metadata().expect("it").permissions().mode() & 0o777,
        0o444
    );
    for name in ["one", "two"] {
        let disk = folder.path().join(name);
        overlay(&base, &disk, 64, &Unwatched).expect("an overlay");
        refuse_foreign(&disk, Some(&base)).expect("its own base");
        let name = disk.to_str().expect("plain");
        run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 1M", name]);
    }
    check(&base, &Unwatched).expect("as it was");

    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&base, open).expect("ours");
    let error = check(&base, &Unwatched).expect_err("writable");
    assert!(
        error.to_string().ends_with("its mode lets somebody write"),
        "{error}"
    );
    let mut bytes = std::fs::read(&base).expect("it");
    bytes[4_096] ^= 1;
    std::fs::write(&base, bytes).expect("ours");
    let shut = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(&base, shut).expect("ours");
    let error = overlay(&base, &folder.path().join("three"), 64, &Unwatched).expect_err("changed");
    assert!(
        error
            .to_string()
            .ends_with("it was changed under the VMs that stand on it"),
        "{error}"
    );
}

/// A disk from elsewhere that would open another file of the node is refused, and so is a cut one.
#[test]
fn foreign_backing_files_are_refused() {
    let folder = folder();
    let disk = folder.path().join("disk");
    let name = disk.to_str().expect("plain");
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-u",
            "-b",
            "/etc/shadow",
            "-F",
            "raw",
            name,
            "1M",
        ],
    );
    let error = refuse_foreign(&disk, None).expect_err("foreign");
    assert!(
        error.to_string().ends_with("it stands on \"/etc/shadow\""),
        "{error}"
    );
    run("qemu-img", &["create", "-q", "-f", "qcow2", name, "1M"]);
    refuse_foreign(&disk, None).expect("its own");
    std::fs::write(&disk, b"QFI\xFB").expect("ours");
    let error = backing(&disk).expect_err("cut");
    assert!(
        error.to_string().ends_with("it is cut in its header"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any header is read or refused: nothing panics, and no name is longer than the format allows.
    #[test]
    fn any_header_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = folder();
        let disk = folder.path().join("disk");
        let with_magic = [b"QFI\xFB".as_slice(), &bytes].concat();
        std::fs::write(&disk, with_magic).expect("ours");
        if let Ok(Some(path)) = backing(&disk) {
            assert!(path.as_os_str().len() <= 1_023);
        }
    }
}

/// A disk grows and shrinks with its last file system, alone and behind a table; one that would be
/// too small for its files stays as it is.
#[test]
fn a_disk_takes_another_size() {
    let check = |guest: &Path, offset: &str| {
        for size_mib in [80, 24] {
            resize(guest, size_mib, &Unwatched).expect("it fits");
            assert_eq!(guest.metadata().expect("it").len(), size_mib << 20);
            let inside = at(guest, offset);
            run("e2fsck", &["-fn", &inside]);
            assert_eq!(cat(&inside, "/etc/hostname"), "before\n");
            let blocks = run("dumpe2fs", &["-h", &inside]);
            let count = |key: &str| -> u64 {
                let line = blocks.lines().find_map(|line| line.strip_prefix(key));
                line.expect("told").trim().parse().expect("a number")
            };
            let bytes = count("Block count:") * count("Block size:");
            assert!(
                bytes > (size_mib - 3) << 20 && bytes <= size_mib << 20,
                "{bytes}"
            );
        }
        resize(guest, 2, &Unwatched).expect_err("too small");
        assert_eq!(guest.metadata().expect("it").len(), 24 << 20);
        run("e2fsck", &["-fn", &at(guest, offset)]);
    };
    let alone = folder();
    check(&small_guest(alone.path(), 0), "offset=0");
    let behind = folder();
    let guest = small_guest(behind.path(), 1 << 20);
    let name = guest.to_str().expect("plain");
    run(
        "sh",
        &[
            "-c",
            &format!("echo 2048,65536,83,* | sfdisk -q --no-reread {name}"),
        ],
    );
    check(&guest, "offset=1048576");
}
