//! A root folder with one of everything that a file system holds.

use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

/// Bytes of a file that is a hole but for one word.
const HOLED_BYTES: u64 = 8 << 20;

/// Attributes of files: capabilities with the byte of a new line, a list of who may read it, and any
/// bytes. One a file, as their order is the file system's.
const ATTRIBUTES: [(&str, &[u8]); 3] = [
    (
        "security.capability",
        &[1, 0, 0, 2, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    (
        "system.posix_acl_access",
        b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x06\0\x0a\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
          \x10\0\x06\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff",
    ),
    ("trusted.any", b"\n\n20 path=elsewhere\n\0\xff"),
];

/// Puts it beneath a folder, all of it changed at one whole second.
pub fn plant(root: &Path) {
    let at = |name: &str| root.join("srv").join(name);
    fs::create_dir_all(at("open")).expect("a folder");
    fs::write(at("privileged"), "program").expect("a file");
    chown(at("privileged"), Some(12), Some(34)).expect("an owner");
    let privileged = Permissions::from_mode(0o6755);
    fs::set_permissions(at("privileged"), privileged).expect("a mode");
    fs::hard_link(at("privileged"), at("second-name")).expect("a second name");
    fs::set_permissions(at("open"), Permissions::from_mode(0o1777)).expect("a mode");
    symlink("/etc/passwd", at("absolute")).expect("a link");
    symlink("../../../../../outside", at("climbing")).expect("a link");
    let mode = Mode::from_raw_mode(0o640);
    for (name, kind, device) in [
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("loop", FileType::BlockDevice, makedev(7, 1)),
        ("pipe", FileType::Fifo, 0),
    ] {
        mknodat(CWD, at(name), kind, mode, device).expect("a device");
    }
    fs::write(root.join("srv").join(OsStr::from_bytes(b"no\xfftext")), "x").expect("a file");
    let long = at(&"folder".repeat(30)).join("inner".repeat(40));
    fs::create_dir_all(&long).expect("a folder");
    fs::write(long.join("n".repeat(200)), "a long name").expect("a file");
    for (name, value) in ATTRIBUTES {
        fs::write(at(name), vec![0; 16 << 10]).expect("a file");
        lsetxattr(at(name), name, value, XattrFlags::empty()).expect(name);
    }
    let holed = File::create(at("holed")).expect("a file");
    holed.set_len(HOLED_BYTES).expect("a hole");
    holed
        .write_all_at(b"word", HOLED_BYTES / 2)
        .expect("a word");
    let mut touch = Command::new("find");
    touch.arg(root).args(["-depth", "-exec"]);
    touch.args(["touch", "-h", "-d", "@1500000000", "{}", "+"]);
    assert!(touch.status().expect("find and touch").success());
}

/// All that a root folder holds, but not where its holes are, as one archive.
pub fn held(root: &Path) -> Vec<u8> {
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--sort=name",
        "--format=posix",
        "--numeric-owner",
    ]);
    tar.args(["--xattrs", "--pax-option=delete=atime,delete=ctime"]);
    let told = tar.arg("--directory").arg(root).arg(".").output();
    let told = told.expect("tar");
    assert!(told.status.success() && told.stderr.is_empty(), "{told:?}");
    for (name, _) in ATTRIBUTES {
        let record = format!("SCHILY.xattr.{name}=");
        let mut parts = told.stdout.windows(record.len());
        assert!(parts.any(|part| part == record.as_bytes()), "no {name}");
    }
    told.stdout
}

/// Whether the hole is one still.
pub fn is_holed(root: &Path) -> bool {
    let about = fs::metadata(root.join("srv/holed")).expect("a file");
    about.len() == HOLED_BYTES && about.blocks() * 512 < HOLED_BYTES / 8
}
