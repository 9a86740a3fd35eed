//! What held a customer's bytes on the way: wiped before it goes, also what a killed agent left.

use crate::roots::Shop;
use crate::scratch::{folder, small_guest};
use agent::build::{BuildStep, plan};
use agent::driver::NativeCall;
use agent::edit::Edit;
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use image::build::{Workshop, build_disk, build_root};
use image::customise::customise;
use image::folder::replicate_root;
use image::luks::encrypt;
use image::manifest::Compression;
use image::replicate::replicate;
use image::resize::resize;
use image::view::Shape;
use image::whole::pack;
use model::blueprint::{EncryptedPart, Encryption, Format, Partition, PartitionTable};
use model::hypervisor::Virtualisation;
use model::id::KeyId;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Keeps every file open that it ever sees in a folder, and so can look at what is gone.
struct Keeper<'a> {
    folder: &'a Path,
    kept: Mutex<BTreeMap<u64, (PathBuf, File)>>,
}

impl<'a> Keeper<'a> {
    fn new(folder: &'a Path) -> Self {
        let keeper = Self {
            folder,
            kept: Mutex::default(),
        };
        keeper.look(folder);
        keeper
    }

    fn look(&self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(about) = path.symlink_metadata() else {
                continue;
            };
            if about.is_dir() {
                self.look(&path);
            } else if about.is_file()
                && let Ok(file) = File::open(&path)
            {
                let mut kept = self.kept.lock().expect("ours");
                kept.entry(about.ino()).or_insert((path, file));
            }
        }
    }

    /// Every file that is gone by now reads as zeros, and at least one is.
    fn check(self) {
        let mut gone = 0;
        for (path, file) in self.kept.into_inner().expect("ours").into_values() {
            let about = file.metadata().expect("it is open");
            if about.nlink() > 0 {
                continue;
            }
            gone += 1;
            let mut bytes = vec![0; about.len() as usize];
            file.read_exact_at(&mut bytes, 0).expect("it is open");
            let name = path.display();
            assert!(bytes.iter().all(|byte| *byte == 0), "{name} is not wiped");
        }
        assert!(gone > 0, "nothing was on the way");
    }
}

impl Watch for Keeper<'_> {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &NativeCall) {
        self.look(self.folder);
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        self.look(self.folder);
        Ok(())
    }
}

/// Builds leave nothing of the guest's files outside of the disk, encrypted or not, nor outside of a
/// container's root; nor do they of what was there before.
#[test]
fn builds_wipe_what_they_made_on_the_way() {
    let shop = Shop::new();
    let mut keys = Keys::default();
    keys.insert(KeyId(5), b"a key of its own".to_vec());
    let whole = Encryption {
        part: EncryptedPart::Whole,
        key: KeyId(5),
    };
    let mut blueprint = shop.blueprint();
    let root = plan(&blueprint, 0).expect("steps");
    blueprint.virtualisation = Virtualisation::Full;
    blueprint.disks[0].table = PartitionTable::Gpt;
    blueprint.disks[0].partitions = vec![Partition {
        name: "root".to_owned(),
        size_mib: None,
        format: Format::Ext4,
        block_bytes: None,
        mount: Some("/".to_owned()),
        bootable: false,
    }];
    let disk = |encryption| {
        let mut blueprint = blueprint.clone();
        blueprint.disks[0].encryption = encryption;
        let steps = plan(&blueprint, 0).expect("steps").into_iter();
        // Its image has no kernel.
        let steps = steps.filter(|step| !matches!(step, BuildStep::Boot { .. }));
        steps.collect::<Vec<BuildStep>>()
    };
    let built = shop.folder.path().join("built");
    fs::create_dir(&built).expect("a folder");
    image::sandbox::let_through(&built).expect("ours");
    let check = |name: &str, steps: &[BuildStep]| {
        let target = built.join(name);
        for _ in 0..2 {
            let keeper = Keeper::new(&built);
            let workshop = Workshop {
                store: &shop.store,
                keys: &keys,
                watch: &keeper,
            };
            match name {
                "root" => build_root(steps, &target, workshop).expect(name),
                _ => build_disk(steps, &target, workshop).map(drop).expect(name),
            }
            keeper.check();
        }
    };
    check("plain", &disk(None));
    check("sealed", &disk(Some(whole)));
    check("root", &root);
}

/// A disk of another size, a copy in place of another, and an edit that fails: what they were, and
/// what was half made, is wiped.
#[test]
fn replaced_disks_are_wiped() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    fs::remove_dir_all(folder.path().join("root")).expect("ours");
    for size_mib in [40, 24] {
        let keeper = Keeper::new(folder.path());
        resize(&guest, Shape::Raw, size_mib, &keeper).expect("it fits");
        keeper.check();
    }
    let keeper = Keeper::new(folder.path());
    resize(&guest, Shape::Raw, 2, &keeper).expect_err("too small");
    keeper.check();
    let copy = folder.path().join("copy");
    fs::write(&copy, "what was here before").expect("room");
    let keeper = Keeper::new(folder.path());
    replicate(&guest, &copy, &keeper).expect("a copy");
    keeper.check();
    let keeper = Keeper::new(folder.path());
    let edit = Edit::file("/etc", "", 0o644);
    customise(&guest, &copy, &[edit], &keeper).expect_err("a folder of that name");
    keeper.check();
    let keeper = Keeper::new(folder.path());
    let stream = folder.path().join("stream");
    pack(&guest, &stream, Compression::Zstd, &keeper).expect("packed");
    keeper.check();
}

/// What a killed agent left under a temporary name, or an older root folder, is wiped by whoever needs
/// the name.
#[test]
fn what_was_left_is_wiped() {
    let folder = folder();
    let guest = small_guest(folder.path(), 0);
    let at = |name: &str| folder.path().join(name);
    for name in ["copy.part", "sealed"] {
        fs::write(at(name), "half of somebody's disk").expect("room");
    }
    let keeper = Keeper::new(folder.path());
    replicate(&guest, &at("copy"), &Unwatched).expect("a copy");
    encrypt(&guest, &at("sealed"), b"a key", &Unwatched).expect("encrypted");
    keeper.check();
    for name in ["there", "there.part"] {
        fs::create_dir_all(at(name).join("etc")).expect("a folder");
        fs::write(at(name).join("etc/shadow"), "somebody's").expect("room");
        fs::hard_link(at(name).join("etc/shadow"), at(name).join("etc/shadow-")).expect("room");
    }
    let keeper = Keeper::new(folder.path());
    replicate_root(&at("root"), &at("there"), &Unwatched).expect("a copy");
    keeper.check();
}
