//! The cage: a customer's script is the most hostile program that ever runs in it.

use crate::scratch::folder;
use agent::build::BuildStep;
use agent::layout::Layout;
use agent::secret::Keys;
use agent::watch::Unwatched;
use ed25519_dalek::SigningKey;
use image::build::{Workshop, build_disk};
use image::recipe::Recipe;
use image::store::Store;
use model::blueprint::{BootLoader, Disk, Format, Partition, PartitionTable, Script};
use std::path::Path;

/// Builds a busybox disk with one script after the files are there; the text of `/result` in it.
fn build(script: &str) -> Result<String, String> {
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
        watch: &Unwatched,
    };
    let built = build_disk(&steps, &target, workshop).map_err(|error| error.to_string());
    let left = std::fs::read_dir(folder.path()).expect("ours").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".work-"));
    assert_eq!(left.count(), 0, "a build leaves no work behind");
    built.map(|_| crate::scratch::cat(target.to_str().expect("plain"), "/result"))
}

/// A script sees the guest's files and no other, no network, no other process, and is nobody on the
/// node; what it wrote is on the disk.
#[test]
fn a_script_sees_nothing_of_the_node() {
    let said = build(
        "{ echo files=$(ls / | tr '\\n' ' ')\n\
         echo node=$(cat /etc/debian_version /root/.profile 2>/dev/null | wc -c)\n\
         echo interfaces=$(ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev)\n\
         echo processes=$(ls /proc | grep -c '^[0-9]')\n\
         nc -w 1 127.0.0.1 22 </dev/null && echo reached\n\
         echo mapped=$(awk '{print $2}' /proc/self/uid_map)\n\
         } >/result 2>/dev/null",
    )
    .expect("a harmless script");
    let value = |key: &str| {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{key}: {said}")).to_owned()
    };
    assert!(
        !value("files").contains("usr") && value("files").contains("srv"),
        "{said}"
    );
    assert_eq!(value("node"), "0");
    assert_eq!(value("interfaces"), "1", "the loopback of its own alone");
    assert!(
        value("processes").parse::<u32>().expect("a number") < 12,
        "{said}"
    );
    assert!(!said.contains("reached"), "{said}");
    assert_ne!(value("mapped"), "0", "root inside is not root outside");
}

/// A script that fails, or fills memory or a file without end, ends the build with its name.
#[test]
fn a_script_has_limits() {
    let check = |script: &str| {
        let error = build(script).expect_err(script);
        assert!(
            error.starts_with("refused script it: "),
            "{script}: {error}"
        );
    };
    check("exit 3");
    check("dd if=/dev/zero of=/large bs=1M seek=1100 count=1");
    check("x=x; while :; do x=$x$x; done");
}
