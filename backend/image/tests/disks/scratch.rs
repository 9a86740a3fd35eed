//! Folders in memory, where disks are small and quick, and plain calls of tools to look at results.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder that is gone when dropped, in memory where the machine has such a place.
pub fn folder() -> TempDir {
    let shm = Path::new("/dev/shm");
    let place = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let folder = tempfile::Builder::new()
        .prefix("disks-")
        .tempdir_in(place)
        .expect("a folder");
    // The tools' own user must find its way.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), open).expect("our folder");
    folder
}

/// Runs a tool that must succeed; what it said.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a file of this size that is one hole.
pub fn hole(path: &Path, bytes: u64) {
    std::fs::File::create(path)
        .and_then(|file| file.set_len(bytes))
        .expect("a sparse file");
}

/// An ext4 image with the folders and files of a small guest, at a byte of a larger file.
pub fn small_guest(folder: &Path, offset: u64) -> PathBuf {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("etc")).expect("a folder");
    for (name, text) in [
        ("hostname", "before\n"),
        ("hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tbefore\n"),
        (
            "passwd",
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
        ),
        ("group", "root:x:0:\nann:x:1000:\n"),
        ("shadow", "root:*:::::::\nann:*:::::::\n"),
    ] {
        std::fs::write(root.join("etc").join(name), text).expect("a file");
    }
    let image = folder.join("guest.raw");
    hole(&image, offset + (32 << 20));
    let (offset, name) = (
        format!("offset={offset}"),
        image.to_str().expect("a plain path"),
    );
    let root = root.to_str().expect("a plain path");
    run(
        "mke2fs",
        &["-q", "-t", "ext4", "-d", root, "-E", &offset, name, "32M"],
    );
    run(
        "debugfs",
        &[
            "-w",
            "-R",
            "sif /etc/shadow mode 0100640",
            &at(&image, &offset),
        ],
    );
    run(
        "debugfs",
        &["-w", "-R", "sif /etc/shadow gid 42", &at(&image, &offset)],
    );
    image
}

/// A guest's disk of 36 MiB behind a table of that kind; empty: behind none.
pub fn guest_behind(folder: &Path, table: &str) -> PathBuf {
    if table.is_empty() {
        return small_guest(folder, 0);
    }
    let guest = small_guest(folder, 1 << 20);
    let file = std::fs::OpenOptions::new().write(true).open(&guest);
    file.and_then(|file| file.set_len(36 << 20)).expect("ours");
    let script = format!("label: {table}\\nstart=2048, size=65536");
    let name = guest.to_str().expect("plain");
    run(
        "sh",
        &["-c", &format!("printf '{script}' | sfdisk -q {name}")],
    );
    guest
}

/// A file system inside a file, as the tools of e2fsprogs name it.
pub fn at(image: &Path, offset: &str) -> String {
    format!("{}?{offset}", image.display())
}

/// The text of a file in an ext4 image.
pub fn cat(image: &str, path: &str) -> String {
    run("debugfs", &["-R", &format!("cat {path}"), image])
}
