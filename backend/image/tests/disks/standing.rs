//! Disks on a shared base, disks from elsewhere, and disks of another size.

use crate::scratch::{at, cat, folder, guest_behind, run, small_guest};
use agent::watch::Unwatched;
use image::base::{backing, check, keep, overlay, refuse_foreign, seen_bytes};
use image::resize::{bytes_seen, resize};
use image::view::{Shape, View};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Two VMs stand on one base, which neither changes and nobody else can; one that was changed all the
/// same is refused; once it is removed nothing is left of it.
#[test]
fn a_base_is_never_changed() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let base = folder.path().join("it.raw");
    keep(&guest, &base, &Unwatched).expect("kept");
    check(&base, &Unwatched).expect("as it was");
    let about = base.metadata().expect("it");
    assert_eq!(about.permissions().mode() & 0o777, 0o444);
    std::fs::write(&base, "root's").expect_err("not even by root");
    for name in ["one", "two"] {
        let disk = folder.path().join(name);
        overlay(&base, &disk, 64, &Unwatched).expect("an overlay");
        refuse_foreign(&disk, Some(&base)).expect("its own base");
        assert_eq!(seen_bytes(&disk).expect("told"), 64 << 20);
        let name = disk.to_str().expect("plain");
        run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 1M", name]);
    }
    check(&base, &Unwatched).expect("as it was");

    let name = base.to_str().expect("plain");
    run("chattr", &["-i", name]);
    let mode = |mode| std::fs::set_permissions(&base, std::fs::Permissions::from_mode(mode));
    mode(0o644).expect("ours");
    let told = check(&base, &Unwatched).expect_err("writable").to_string();
    assert!(told.ends_with("its mode lets somebody write"), "{told}");
    mode(0o444).expect("ours");
    check(&base, &Unwatched).expect("touched, and the same");
    run("chattr", &["-i", name]);
    let mut bytes = std::fs::read(&base).expect("it");
    bytes[4_096] ^= 1;
    std::fs::write(&base, bytes).expect("root writes everywhere");
    let error = overlay(&base, &folder.path().join("three"), 64, &Unwatched).expect_err("changed");
    let told = error.to_string();
    assert!(
        told.ends_with("it was changed under the VMs that stand on it"),
        "{told}"
    );
    for _ in 0..2 {
        image::base::remove(&base, &Unwatched).expect("removed");
    }
    assert!(!base.exists() && !base.with_extension("note").exists());
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

/// A disk grows and shrinks with its last file system, alone and behind either kind of table; one
/// that would be too small for its files stays as it is.
#[test]
fn a_disk_takes_another_size() {
    for table in ["", "dos", "gpt"] {
        let folder = folder();
        let guest = guest_behind(folder.path(), table);
        check_sizes(&guest, Shape::Raw);
    }
}

/// So does one that is encrypted, without its key being asked for anything else, and one on a base.
#[test]
fn a_disk_takes_another_size_whatever_its_shape() {
    for table in ["", "gpt"] {
        let folder = folder();
        let guest = guest_behind(folder.path(), table);
        let sealed = folder.path().join("sealed");
        image::luks::encrypt(&guest, &sealed, b"key", &Unwatched).expect("encrypted");
        check_sizes(&sealed, Shape::Sealed { key: b"key" });
        let base = folder.path().join("it.raw");
        keep(&guest, &base, &Unwatched).expect("kept");
        let disk = folder.path().join("disk");
        overlay(&base, &disk, 36, &Unwatched).expect("an overlay");
        check_sizes(&disk, Shape::Overlay { base: Some(&base) });
        check(&base, &Unwatched).expect("as it was");
        image::base::remove(&base, &Unwatched).expect("removed");
    }
}

fn check_sizes(disk: &Path, shape: Shape<'_>) {
    let look = |size_mib: u64| {
        assert_eq!(bytes_seen(disk, shape).expect("told"), size_mib << 20);
        let view = View::open(disk, shape, None, &Unwatched).expect("shown");
        let name = view.path().to_str().expect("plain").to_owned();
        let behind = run(
            "sh",
            &["-c", &format!("sfdisk --verify {name} 2>&1 || true")],
        );
        let table = behind.contains("No errors detected");
        let offset = if table { "offset=1048576" } else { "offset=0" };
        let inside = at(view.path(), offset);
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
            "{bytes} of {size_mib} MiB"
        );
        if table {
            let told = run(
                "sfdisk",
                &["--list-free", "--output", "Size", "--bytes", &name],
            );
            assert!(!told.contains("backup"), "{told}");
        }
        view.close().expect("closed");
    };
    for size_mib in [80, 24] {
        resize(disk, shape, size_mib, &Unwatched).expect("it fits");
        look(size_mib);
    }
    resize(disk, shape, 2, &Unwatched).expect_err("too small");
    look(24);
}
