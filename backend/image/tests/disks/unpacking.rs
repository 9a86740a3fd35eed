//! Root folders out of archives: exactly as they were, and nothing beside them.

use crate::planted::{held, is_holed, plant};
use crate::scratch::folder;
use agent::watch::Unwatched;
use image::unpacked::unpack_root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn pack(root: &Path, to: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--format=posix", "--xattrs", "--create", "--file"]);
    let packed = tar.arg(to).arg("--directory").arg(root).arg(".").status();
    assert!(packed.expect("tar").success());
}

/// A root has its owners, modes, times, attributes, second names, devices and holes again, and nobody but
/// its owner comes near its programs; a former try of it is gone.
#[test]
fn a_root_is_what_it_was() {
    let folder = folder();
    let [root, archive] = ["root", "archive"].map(|name| folder.path().join(name));
    plant(&root);
    pack(&root, &archive);
    let above = folder.path().join("above");
    let unpacked = above.join("root");
    fs::create_dir_all(unpacked.join("former")).expect("a folder");
    unpack_root(&archive, &unpacked, &Unwatched).expect("it is unpacked");
    assert!(held(&root) == held(&unpacked), "another root");
    assert!(is_holed(&unpacked));
    let mode = above.metadata().expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let left = above.read_dir().expect("a folder").count();
    assert_eq!(left, 1);
}

/// An archive that is cut is refused, and one that leads elsewhere leads nowhere.
#[test]
fn nothing_else_is_written() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    plant(&at("root"));
    pack(&at("root"), &at("archive"));
    let whole = fs::read(at("archive")).expect("an archive");
    fs::write(at("cut"), &whole[..whole.len() / 2]).expect("a file");
    fs::create_dir(at("made")).expect("a folder");
    unpack_root(&at("cut"), &at("made/root"), &Unwatched).expect_err("it is cut");
    assert!(!at("made/root").exists());

    fs::create_dir(at("outside")).expect("a folder");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    let led = builder.append_link(&mut header, "out", at("outside"));
    led.expect("a link");
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(1);
    let led = builder.append_data(&mut header, "out/file", &b"x"[..]);
    led.expect("a file");
    fs::write(at("leading"), builder.into_inner().expect("an archive")).expect("a file");
    // Refused, or unpacked somewhere within.
    unpack_root(&at("leading"), &at("made/root"), &Unwatched).ok();
    let outside = at("outside").read_dir().expect("a folder").count();
    assert_eq!(outside, 0);
}
