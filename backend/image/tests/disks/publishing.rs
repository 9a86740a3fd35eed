//! Disks that others publish: what their guest sees becomes an image, and what leads elsewhere does not.

use crate::scratch::{at, cat, folder, guest_behind, hole, run};
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::error::Error;
use image::manifest::Content;
use image::publish::{Published, publish};
use image::store::{Image, Store};
use image::whole::unpack;
use model::hypervisor::{Arch, Guest};
use std::path::{Path, PathBuf};

fn take(folder: &Path, disk: &Path) -> Result<(Store, Image), Error> {
    let key = SigningKey::from_bytes(&[6; 32]);
    let store = Store::open(&folder.join("store"), vec![key.verifying_key()], u64::MAX);
    let store = store.expect("a store");
    let published = Published {
        name: "it".to_owned(),
        version: "1".to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        cloud_init: true,
        most_bytes: 64 << 20,
    };
    let image = publish(disk, &published, folder, (&store, &key), &Unwatched)?;
    Ok((store, image))
}

fn name(path: &Path) -> &str {
    path.to_str().expect("plain")
}

/// As raw or qcow2, compressed or not: the image that it becomes unpacks to what its guest sees.
#[test]
fn a_published_disk_becomes_an_image() {
    let folder = folder();
    let guest = guest_behind(folder.path(), "gpt");
    let qcow2 = folder.path().join("it.qcow2");
    let words = ["convert", "-c", "-O", "qcow2", name(&guest), name(&qcow2)];
    run("qemu-img", &words);
    let packed = |disk: &Path, tool: &str, ending: &str| -> PathBuf {
        run(tool, &["-q", "-k", "-1", name(disk)]);
        format!("{}.{ending}", disk.display()).into()
    };
    let (xz, zstd) = (packed(&guest, "xz", "xz"), packed(&qcow2, "zstd", "zst"));
    for disk in [&guest, &qcow2, &xz, &zstd] {
        let (store, image) = take(folder.path(), disk).expect("a good disk");
        let manifest = &image.manifest;
        assert_eq!(manifest.content, Content::Disk);
        assert_eq!((manifest.disk_bytes, manifest.cloud_init), (36 << 20, true));
        let made = folder.path().join("made");
        let stream = store.stream(&image).expect("a stream");
        unpack(stream, manifest, &made, &Unwatched).expect("what was packed");
        let table = |disk| run("sfdisk", &["--json", name(disk)]).replace(name(disk), "");
        assert_eq!(table(&made), table(&guest));
        let inside = at(&made, "offset=1048576");
        run("e2fsck", &["-fn", &inside]);
        assert_eq!(cat(&inside, "/etc/hostname"), "before\n");
    }
    let left = folder.path().read_dir().expect("ours").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".work-"));
    assert_eq!(left.count(), 0);
}

/// One that stands on another file, keeps its data in one, needs a key, is too large or is nothing
/// that we know is refused with one clear error, and nothing is in the store.
#[test]
fn what_leads_elsewhere_is_refused() {
    let folder = folder();
    let disk = folder.path().join("it.qcow2");
    let other = folder.path().join("other");
    let check = |words: &[&str], size: &str, expected: &str| {
        hole(&other, 1 << 20);
        let words = [&["create", "-q"], words, &[name(&disk), size]].concat();
        run("qemu-img", &words);
        let error = take(folder.path(), &disk).expect_err(expected);
        assert_eq!(error.to_string(), format!("refused it: {expected}"));
    };
    let standing = format!("it stands on {:?}", name(&other));
    let words = ["-f", "qcow2", "-F", "raw", "-b", name(&other)];
    check(&words, "1M", &standing);
    let data = format!("data_file={},data_file_raw=on", name(&other));
    let elsewhere = "it keeps its data in another file";
    check(&["-f", "qcow2", "-o", &data], "1M", elsewhere);
    let secret = ["--object", "secret,id=k,data=word"];
    let sealed = [
        "-f",
        "qcow2",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=k",
    ];
    let encrypted = "it is encrypted by qcow2's own means";
    check(&[&secret[..], &sealed].concat(), "1M", encrypted);
    let large = format!("{} bytes, of {} at most", 1_u64 << 50, 64 << 20);
    check(&["-f", "qcow2", "-o", "cluster_size=2M"], "1P", &large);
    let unknown = "it is no disk that we know\n\
                   hint: raw and qcow2 are taken, as they are or compressed by zstd or xz";
    check(&["-f", "qcow2"], "1M", unknown);
    for format in ["vmdk", "vdi", "vhdx"] {
        check(&["-f", format], "1M", unknown);
    }
    hole(&disk, 1 << 30);
    run("zstd", &["-q", "-f", "-1", name(&disk)]);
    let bomb = folder.path().join("it.qcow2.zst");
    let error = take(folder.path(), &bomb).expect_err("a bomb");
    let told = format!("refused it: it unpacks to more than {} bytes", 64 << 20);
    assert_eq!(error.to_string(), told);
    let store = folder.path().join("store");
    assert_eq!(store.read_dir().expect("ours").count(), 0);
}
