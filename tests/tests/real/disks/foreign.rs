//! FAT32 and NTFS, read back by their own tools.

use super::{Shop, blueprint};
use crate::guest::run;
use agent::build::plan;
use agent::secret::Keys;
use image::build::build_disk;
use model::blueprint::{BootLoader, Format, GuestFile, Partition, PartitionTable};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Partitions that other systems read hold the files that the blueprint put there, by the tools of
/// those file systems; what they cannot hold is refused by its path.
#[test]
fn foreign_file_systems_hold_their_files() {
    let shop = Shop::new();
    let (system, linux) = (shop.make("busybox"), shop.make("linux"));
    let images = (&system, &linux);
    let (boot, table) = (BootLoader::Direct, PartitionTable::Gpt);
    let mut blueprint = blueprint("shares", images, boot, table, Format::Ext4, 200);
    let shares = [("fat", Format::Fat32), ("ntfs", Format::Ntfs)].map(|(name, format)| Partition {
        name: name.to_owned(),
        size_mib: Some(48),
        format,
        block_bytes: None,
        mount: Some(format!("/srv/{name}")),
        bootable: false,
    });
    blueprint.disks[0].partitions.splice(0..0, shares);
    let mut put = |path: &str| {
        let (text, mode) = (format!("this is {path}\n"), 0o644);
        let file = GuestFile { text, mode };
        blueprint.customisation.files.insert(path.to_owned(), file);
        blueprint.clone()
    };
    put("/srv/fat/shared/A long name.txt");
    let (disk, _, _) = shop.build(&put("/srv/ntfs/A long name.txt"));
    let [fat, ntfs] = [1, 2].map(|number| partition(&disk, number));
    let told = run(Command::new("mtype")
        .arg("-i")
        .arg(&fat)
        .arg("::/shared/A long name.txt"));
    assert_eq!(told, "this is /srv/fat/shared/A long name.txt\n");
    run(Command::new("fsck.fat").arg("-n").arg(&fat));
    assert_eq!(&std::fs::read(&fat).expect("a file")[0x52..0x57], b"FAT32");
    let told = run(Command::new("ntfscat").arg(&ntfs).arg("/A long name.txt"));
    assert_eq!(told, "this is /srv/ntfs/A long name.txt\n");
    run(Command::new("ntfsfix").arg("-n").arg(&ntfs));

    let steps = plan(&put("/srv/ntfs/folder/file"), 0).expect("a good blueprint");
    let keys = Keys::default();
    let refused = build_disk(&steps, &disk, shop.workshop(&keys));
    let told = refused.expect_err("a folder in NTFS").to_string();
    assert!(
        told.contains("/folder: NTFS takes files in its root only"),
        "{told}"
    );
}

/// A partition of a disk, from 1, as a file.
fn partition(disk: &Path, number: usize) -> PathBuf {
    let mut command = Command::new("partx");
    command.args([
        "--noheadings",
        "--output",
        "START,SECTORS",
        "--nr",
        &number.to_string(),
    ]);
    let place = run(command.arg(disk));
    let place: Vec<usize> = place
        .split_whitespace()
        .map(|n| n.parse().expect("a sector"))
        .collect();
    let [start, sectors] = place[..] else {
        panic!("partition {number}: {place:?}");
    };
    let bytes = std::fs::read(disk).expect("a disk");
    let file = disk.with_extension(number.to_string());
    std::fs::write(&file, &bytes[start * 512..][..sectors * 512]).expect("room");
    file
}
