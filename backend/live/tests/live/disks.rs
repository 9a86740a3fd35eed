//! The hand on disks: copied, checked, resized, wiped, and each step repeatable.

use agent::machine::{AttachedDisk, DiskFormat};
use agent::secret::Keys;
use agent::step::{FailureKind, Place, Step};
use agent::watch::{CalledOff, Unwatched, Watch};
use image::store::Store;
use live::disks::Disks;
use live::hands::Hand;
use model::blueprint::Blueprint;
use model::id::VmId;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// A node's folder, which the tools' user may go through.
struct Node {
    root: PathBuf,
    disks: Disks,
    _folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().to_owned();
        image::sandbox::let_through(&root).expect("our folder");
        let store = Store::open(&root.join("images"), Vec::new(), 1 << 20).expect("a store");
        Self {
            disks: Disks::new(&root, store, None),
            root,
            _folder: folder,
        }
    }

    fn perform(&self, step: &Step) -> Result<(), (FailureKind, String)> {
        let done = self.disks.perform(step, &Keys::default(), &Unwatched);
        let done = done.map_err(|failure| (failure.kind, failure.reason));
        done.map(drop)
    }

    /// Waits until nothing is left to wipe.
    fn is_swept(&self) {
        let begun = Instant::now();
        while self.root.join("swept").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
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
        extents: Vec::new(),
    }
}

/// A disk with data at both ends, holes between, replicated: equal, and as sparse.
#[test]
fn a_replica_is_equal_and_keeps_its_holes() {
    let node = Node::new();
    let (from, path) = (node.root.join("built"), node.root.join("root.raw"));
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
        assert_eq!(node.perform(&replicate), Ok(()));
        assert_eq!(node.perform(&verify), Ok(()));
    }
    let allocated = fs::metadata(&path).expect("a file").blocks() * 512;
    assert!(allocated <= 4 << 20, "{allocated} bytes of 64 MiB");
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.expect("a file")
        .write_all_at(b"x", 1 << 20)
        .expect("data");
    let (kind, reason) = node.perform(&verify).expect_err("it differs");
    assert_eq!(kind, FailureKind::Broken);
    assert!(reason.contains("differs from"), "{reason}");
}

/// A file system on a disk that is larger than the node is made in holes, takes no more room than is
/// promised for it, and is wiped without filling them.
#[test]
fn a_disk_larger_than_its_node_is_made_in_holes() {
    let node = Node::new();
    let blueprint = serde_json::json!({
        "vm": 7, "tenant": 1, "name": "web", "arch": "x86_64", "guest": "linux",
        "virtualisation": "full", "cpus": 1, "max_cpus": 1, "mem_mib": 64, "max_mem_mib": 64,
        "boot": "direct",
        "disks": [
            { "name": "root", "size_mib": 1, "table": "none" },
            { "name": "wide", "size_mib": 1 << 20, "table": "gpt", "partitions": [
                { "name": "wide", "format": "btrfs", "mount": "/srv" }] },
        ],
    });
    let blueprint: Blueprint = serde_json::from_value(blueprint).expect("a blueprint");
    let at = node.root.join("built");
    let build = Step::Build {
        blueprint: Box::new(blueprint),
        disk: "wide".to_owned(),
        at: at.clone(),
        base: None,
        kernel: None,
    };
    assert_eq!(node.perform(&build), Ok(()));
    let about = fs::metadata(&at).expect("a disk");
    assert_eq!(about.len(), 1 << 40);
    let promised_mib = (1 << 20) / 128 + 128;
    let takes_mib = (about.blocks() * 512) >> 20;
    assert!(takes_mib <= promised_mib, "{takes_mib} MiB");
    for _ in 0..2 {
        assert_eq!(node.perform(&Step::Clear { path: at.clone() }), Ok(()));
        assert!(!at.exists());
    }
}

/// Wiping takes a folder with all that is in it, links not followed, and may be repeated; only then
/// can the folder be released.
#[test]
fn a_wiped_folder_is_gone() {
    let node = Node::new();
    let folder = node.root.join("vms/vm-7");
    let folders = vec![folder.clone()];
    let vm = VmId(7);
    let reserve = Step::Reserve {
        vm,
        folders: folders.clone(),
        mib: 1,
    };
    assert_eq!(node.perform(&reserve), Ok(()));
    let outside = node.root.join("outside");
    fs::write(&outside, b"somebody else's").expect("a file");
    fs::create_dir(folder.join("snapshots")).expect("a folder");
    fs::write(folder.join("snapshots/before"), vec![7; 3 << 20]).expect("a file");
    std::os::unix::fs::symlink(&outside, folder.join("link")).expect("a link");
    let release = Step::Release { vm, folders };
    assert!(node.perform(&release).is_err(), "it is not empty");
    let wipe = Step::Wipe { path: folder };
    for _ in 0..2 {
        assert_eq!(node.perform(&wipe), Ok(()));
        assert_eq!(node.perform(&release), Ok(()));
    }
    let kept = fs::read(&outside).expect("it is still there");
    assert_eq!(kept, b"somebody else's");
}

/// A smaller disk keeps its files and leaves no longer one behind; a larger one has room for more.
#[test]
fn a_smaller_disk_keeps_its_files() {
    let node = Node::new();
    let path = node.root.join("root.raw");
    let files = node.root.join("files");
    fs::create_dir(&files).expect("a folder");
    fs::write(files.join("kept"), "what the guest has").expect("a file");
    let run = |program: &str, words: &[&Path]| {
        let run = Command::new(program).args(words).output();
        let run = run.expect("e2fsprogs is installed");
        assert!(run.status.success(), "{run:?}");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let words = ["-q", "-t", "ext4", "-d"].map(Path::new);
    let words: Vec<&Path> = words
        .into_iter()
        .chain([&*files, &*path, "64M".as_ref()])
        .collect();
    run("mke2fs", &words);
    for size_mib in [32, 96, 96] {
        let disk = disk(path.clone(), size_mib);
        assert_eq!(node.perform(&Step::Resize { disk }), Ok(()));
        assert_eq!(fs::metadata(&path).expect("a disk").len(), size_mib << 20);
        let said = run("debugfs", &["-R".as_ref(), "cat /kept".as_ref(), &path]);
        assert_eq!(said, "what the guest has");
        assert!(!node.root.join("root.raw.before").exists());
    }
}

/// What nobody knows how to make smaller is not cut off; it grows.
#[test]
fn unknown_data_is_not_cut_off() {
    let node = Node::new();
    let path = node.root.join("data.raw");
    let data = vec![7; 2 << 20];
    fs::write(&path, &data).expect("a disk");
    let resize = |size_mib| {
        let disk = disk(path.clone(), size_mib);
        node.perform(&Step::Resize { disk })
    };
    assert!(resize(1).is_err(), "it would be cut off");
    assert_eq!(fs::read(&path).expect("a disk"), data);
    assert!(!node.root.join("data.raw.before").exists());
    assert_eq!(resize(3), Ok(()));
    let bytes = fs::read(&path).expect("a disk");
    assert_eq!(bytes[..2 << 20], data);
    assert!(bytes[2 << 20..].iter().all(|byte| *byte == 0) && bytes.len() == 3 << 20);
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
    let node = Node::new();
    let reserve = Step::Reserve {
        vm: VmId(7),
        folders: Vec::new(),
        mib: u64::MAX >> 21,
    };
    let (_, reason) = node.perform(&reserve).expect_err("nobody has that much");
    assert!(reason.contains("MiB free"), "{reason}");
    let path = node.root.join("root.raw");
    fs::write(&path, [1]).expect("a file");
    let wipe = Step::Wipe { path: path.clone() };
    let failure = node.disks.perform(&wipe, &Keys::default(), &Cancelled);
    let failure = failure.expect_err("it was called off");
    assert_eq!(failure.kind, FailureKind::CalledOff);
    assert!(Path::new(&path).exists());
}

/// What cannot be looked at is not wiped; what is gone is.
#[test]
fn only_what_is_gone_counts_as_wiped() {
    let node = Node::new();
    std::os::unix::fs::symlink("loop", node.root.join("loop")).expect("a link to itself");
    let path = node.root.join("loop/root.raw");
    let (kind, reason) = node.perform(&Step::Wipe { path }).expect_err("no look");
    assert_eq!(kind, FailureKind::Broken, "{reason}");
    let path = node.root.join("vms/vm-1/root.raw");
    node.perform(&Step::Wipe { path }).expect("nothing there");
}

/// Whatever a killed agent had on its way is wiped by the next one, by whatever name it was made; what
/// is finished stays.
#[test]
fn what_was_on_its_way_is_wiped() {
    let node = Node::new();
    let left = [
        "vms/vm-7/root.raw.part",
        "build/vm-7/root.clear",
        "build/vm-7/.work-x/spool/1",
        "bases/sha.new",
        "saved/vm-7-golden/image.used",
        "saved/vm-7-golden/image.stream",
    ];
    let kept = [
        "vms/vm-7/root.raw",
        "saved/vm-7-golden/image",
        "bases/sha.raw",
    ];
    for name in left.iter().chain(&kept) {
        let path = node.root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "a customer's bytes").expect("room");
    }
    let open = |name: &&str| fs::File::open(node.root.join(name)).expect("it is there");
    let files: Vec<fs::File> = left.iter().map(open).collect();
    node.disks.sweep().expect("it begins");
    node.is_swept();
    for (name, mut file) in left.iter().zip(files) {
        assert!(!node.root.join(name).exists(), "{name}");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("it is open");
        assert!(bytes.iter().all(|byte| *byte == 0), "{name} is not wiped");
    }
    for name in kept {
        let text = fs::read_to_string(node.root.join(name)).expect("it stays");
        assert_eq!(text, "a customer's bytes");
    }
}

/// What a killed agent left is wiped once its tools, which end a moment after it, write no more there.
#[test]
fn what_is_still_written_is_wiped_afterwards() {
    let node = Node::new();
    let left = node.root.join("build/vm-7/.work-x/spool");
    fs::create_dir_all(left.parent().expect("a folder")).expect("a folder");
    fs::write(&left, "a customer's bytes").expect("room");
    let mut file = fs::File::open(&left).expect("it is there");
    let mut command = Command::new("sh");
    let late = command.args(["-c", "exec 3<> \"$0\"; echo; read go; echo late >&3"]);
    let late = late.arg(&left).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut late = late.spawn().expect("a shell");
    let mut opened = [0];
    let mut said = late.stdout.take().expect("its output");
    said.read_exact(&mut opened).expect("it has opened it");
    node.disks.sweep().expect("it begins");
    thread::sleep(Duration::from_millis(300));
    assert!(node.root.join("swept").exists(), "somebody writes there");
    let mut go = late.stdin.take().expect("its input");
    go.write_all(b"go\n").expect("it reads");
    assert!(late.wait().expect("a child").success());
    node.is_swept();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("it is open");
    assert!(bytes.iter().all(|byte| *byte == 0), "{bytes:?}");
}

/// Several VMs that get disks on one base at once check it one after the other.
#[test]
fn a_base_is_checked_by_one_at_a_time() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    let (file, base) = (node.root.join("made"), node.root.join("base.raw"));
    fs::write(&file, vec![7; 1 << 20]).expect("room");
    image::base::keep(&file, &base, &Unwatched).expect("kept");
    for round in 0..8 {
        // Touched, so that all of it is read and noted again.
        let run = Command::new("chattr").arg("-i").arg(&base).output();
        drop(run.expect("e2fsprogs is installed"));
        fs::set_permissions(&base, fs::Permissions::from_mode(0o444)).expect("ours");
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for number in 0..4 {
                let (node, base, together) = (&node, &base, &together);
                scope.spawn(move || {
                    let path = node.root.join(format!("{round}-{number}.qcow2"));
                    let disk = AttachedDisk {
                        format: DiskFormat::Qcow2,
                        base: Some(base.clone()),
                        ..disk(path, 1)
                    };
                    together.wait();
                    assert_eq!(node.perform(&Step::Blank { disk }), Ok(()));
                });
            }
        });
    }
    image::base::remove(&base, &Unwatched).expect("removed");
}
