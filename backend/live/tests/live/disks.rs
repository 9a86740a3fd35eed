//! Hands on plain disks: built, checked, wiped, and each step repeatable.

use agent::machine::{AttachedDisk, DiskFormat};
use agent::secret::Keys;
use agent::step::{FailureKind, Place, Step};
use agent::watch::{CalledOff, Unwatched, Watch};
use live::hands::Hand;
use live::plain::PlainDisks;
use model::id::VmId;
use std::fs;
use std::path::{Path, PathBuf};

fn disks() -> (tempfile::TempDir, PlainDisks) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_owned();
    (folder, PlainDisks { root })
}

fn perform(disks: &PlainDisks, step: &Step) -> Result<(), (FailureKind, String)> {
    let done = disks.perform(step, &Keys::default(), &Unwatched);
    done.map_err(|failure| (failure.kind, failure.reason))
}

fn disk(path: PathBuf, size_mib: u64) -> AttachedDisk {
    AttachedDisk {
        name: "root".to_owned(),
        path,
        format: DiskFormat::Raw,
        size_mib,
        base: None,
        key: None,
        read_only: false,
        iops: None,
        mibps: None,
    }
}

/// A disk with data at both ends, holes between, replicated: equal, and as sparse.
#[test]
fn a_replica_is_equal_and_keeps_its_holes() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let (_folder, disks) = disks();
    let (from, path) = (disks.root.join("built"), disks.root.join("root.raw"));
    let file = fs::File::create(&from).expect("a file");
    file.set_len(64 << 20).expect("a size");
    file.write_all_at(b"begin", 0).expect("data");
    file.write_all_at(b"end", (64 << 20) - 3).expect("data");
    let place = Place::Disk {
        disk: disk(path.clone(), 64),
    };
    let replicate = Step::Replicate {
        from: from.clone(),
        to: place.clone(),
    };
    let verify = Step::Verify { built: from, place };
    for _ in 0..2 {
        assert_eq!(perform(&disks, &replicate), Ok(()));
        assert_eq!(perform(&disks, &verify), Ok(()));
    }
    let allocated = fs::metadata(&path).expect("a file").blocks() * 512;
    assert!(allocated <= 4 << 20, "{allocated} bytes of 64 MiB");
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.expect("a file")
        .write_all_at(b"x", 1 << 20)
        .expect("data");
    let (kind, reason) = perform(&disks, &verify).expect_err("it differs");
    assert_eq!(kind, FailureKind::Broken);
    assert!(reason.contains("differs from"), "{reason}");
}

/// Wiping takes a folder with all that is in it, links not followed, and may be repeated; only then
/// can the folder be released.
#[test]
fn a_wiped_folder_is_gone() {
    let (_folder, disks) = disks();
    let folder = disks.root.join("vms/vm-7");
    let folders = vec![folder.clone()];
    let vm = VmId(7);
    let reserve = Step::Reserve {
        vm,
        folders: folders.clone(),
        mib: 1,
    };
    assert_eq!(perform(&disks, &reserve), Ok(()));
    let outside = disks.root.join("outside");
    fs::write(&outside, b"somebody else's").expect("a file");
    fs::create_dir(folder.join("snapshots")).expect("a folder");
    fs::write(folder.join("snapshots/before"), vec![7; 3 << 20]).expect("a file");
    std::os::unix::fs::symlink(&outside, folder.join("link")).expect("a link");
    let release = Step::Release { vm, folders };
    assert!(perform(&disks, &release).is_err(), "it is not empty");
    let wipe = Step::Wipe { path: folder };
    for _ in 0..2 {
        assert_eq!(perform(&disks, &wipe), Ok(()));
        assert_eq!(perform(&disks, &release), Ok(()));
    }
    let kept = fs::read(&outside).expect("it is still there");
    assert_eq!(kept, b"somebody else's");
}

/// What a smaller disk lets go of is wiped in its file before it is cut off, so that a longer one
/// made of it shows zeros.
#[test]
fn a_smaller_disk_keeps_its_data() {
    let (_folder, disks) = disks();
    let path = disks.root.join("root.raw");
    fs::write(&path, vec![7; 2 << 20]).expect("a disk");
    for size_mib in [1, 3, 3] {
        let disk = disk(path.clone(), size_mib);
        assert_eq!(perform(&disks, &Step::Resize { disk }), Ok(()));
    }
    let bytes = fs::read(&path).expect("a disk");
    assert_eq!(bytes.len(), 3 << 20);
    assert!(bytes[..1 << 20].iter().all(|byte| *byte == 7));
    assert!(bytes[1 << 20..].iter().all(|byte| *byte == 0));
}

/// More space than the file system has is refused in figures, and a step that is called off stops.
#[test]
fn space_and_patience_end() {
    struct Cancelled;
    impl Watch for Cancelled {
        fn progressed(&self, _done_milli: u16) {}
        fn calling(&self, _call: &agent::driver::NativeCall) {}
        fn checkpoint(&self) -> Result<(), CalledOff> {
            Err(CalledOff::Cancelled)
        }
    }
    let (_folder, disks) = disks();
    let reserve = Step::Reserve {
        vm: VmId(7),
        folders: Vec::new(),
        mib: u64::MAX >> 21,
    };
    let (_, reason) = perform(&disks, &reserve).expect_err("nobody has that much");
    assert!(reason.contains("MiB free"), "{reason}");
    let path = disks.root.join("root.raw");
    fs::write(&path, [1]).expect("a file");
    let wipe = Step::Wipe { path: path.clone() };
    let failure = disks.perform(&wipe, &Keys::default(), &Cancelled);
    let failure = failure.expect_err("it was called off");
    assert_eq!(failure.kind, FailureKind::CalledOff);
    assert!(Path::new(&path).exists());
}
