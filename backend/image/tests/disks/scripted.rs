//! A small disk with a customer's script in its build.

use crate::scratch::folder;
use agent::build::BuildStep;
use agent::layout::Layout;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use ed25519_dalek::SigningKey;
use image::build::{Workshop, build_disk};
use image::recipe::Recipe;
use image::store::Store;
use model::blueprint::{BootLoader, Disk, Format, Partition, PartitionTable, Script};
use std::path::Path;

/// Builds a busybox disk with one script after the files are there; the text of `/result` in it.
pub fn build(script: &str, watch: &dyn Watch) -> Result<String, String> {
    let folder = folder();
    let key = SigningKey::from_bytes(&[5; 32]);
    let store = Store::open(
        &folder.path().join("store"),
        vec![key.verifying_key()],
        1 << 30,
    );
    let store = store.expect("a store");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("assets/recipes/busybox.toml"));
    let recipe = Recipe::read(&text.expect("a recipe")).expect("a good recipe");
    let guests = folder.path().join("guests");
    std::fs::create_dir(&guests).expect("a folder");
    std::fs::copy("/bin/busybox", guests.join("busybox")).expect("busybox-static");
    let image = recipe
        .make(&guests, folder.path(), &store, &key, &Unwatched)
        .expect("made");
    let disk = Disk {
        name: "root".to_owned(),
        size_mib: 32,
        image: Some(image.id.clone()),
        table: PartitionTable::None,
        partitions: vec![Partition {
            name: "root".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/".to_owned()),
            bootable: false,
        }],
        shared_base: false,
        encryption: None,
        iops: None,
        mibps: None,
        extents: Vec::new(),
    };
    let layout = Layout::of(&disk, BootLoader::Direct).expect("it fits");
    let script = Script {
        after: "unpack".to_owned(),
        name: "it".to_owned(),
        text: format!("#!/bin/sh\n{script}\n"),
    };
    let steps = [
        BuildStep::Partition { layout },
        BuildStep::Unpack { image: image.id },
        BuildStep::Script { script },
        BuildStep::Format { partition: 0 },
        BuildStep::Replicate,
        BuildStep::Verify,
    ];
    let target = folder.path().join("disk.raw");
    let keys = Keys::default();
    let workshop = Workshop {
        store: &store,
        keys: &keys,
        watch,
    };
    let built = build_disk(&steps, &target, workshop).map_err(|error| error.to_string());
    let left = std::fs::read_dir(folder.path()).expect("ours").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".work-"));
    assert_eq!(left.count(), 0, "a build leaves no work behind");
    built.map(|_| crate::scratch::cat(target.to_str().expect("plain"), "/result"))
}
