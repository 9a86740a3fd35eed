//! Builds that were killed, and disks of another size, by orders alone and with real guests.

use crate::emulated::Node;
use model::blueprint::{BootLoader, EncryptedPart, Encryption};
use model::id::{KeyId, VmId};
use model::order::{Scale, Shutdown, Verb};
use std::fs;
use std::path::{Path, PathBuf};

/// An agent killed within a build leaves folders and files under temporary names; the next one wipes
/// them, and finishes the build.
#[test]
fn what_a_killed_build_left_is_swept() {
    let mut node = Node::new();
    let blueprint = Box::new(node.blueprint(VmId(7), BootLoader::Extlinux, None));
    let mut order = node.begin(VmId(7), Verb::Create { blueprint });
    let build = node.root().join("build/vm-7");
    let begun = node.wait_for("a build", || {
        Some(unfinished(&build)).filter(|left| left.iter().any(|path| path.ends_with("spool")))
    });
    node.kill();
    drop(order.wait());
    assert!(begun.iter().any(|path| path.exists()), "{begun:?}");
    fs::write(node.root().join("vms/vm-7/root.raw.part"), "half").expect("room");
    node.start();
    node.repeat().expect("the build is finished");
    node.wait_for("the sweep", || {
        (!node.root().join("swept").exists()).then_some(())
    });
    assert_eq!(unfinished(&node.root()), Vec::<PathBuf>::new());
    node.order(VmId(7), Verb::Start);
    node.boots(VmId(7), 1);
    node.order(VmId(7), Verb::Delete);
}

/// An encrypted disk grows with its last partition and file system while its VM is off, grows under
/// its running guest, and shrinks again; its guest boots from it each time.
#[test]
fn an_encrypted_disk_takes_another_size() {
    let mut node = Node::new();
    let vm = VmId(7);
    let whole = Encryption {
        part: EncryptedPart::Whole,
        key: KeyId(5),
    };
    let blueprint = Box::new(node.blueprint(vm, BootLoader::Extlinux, Some(whole)));
    node.order(vm, Verb::Create { blueprint });
    let root = |size_mib| Verb::Scale {
        scale: Scale::Disk {
            disk: "root".to_owned(),
            size_mib,
        },
    };
    let shutdown = Shutdown::Forced;
    node.order(vm, root(160));
    node.order(vm, Verb::Start);
    node.boots(vm, 1);
    let look = "echo has $(cat /sys/block/vda/size) $(stat -f -c %b:%S /)";
    node.type_in(vm, &format!("{look}; echo one''.\n"));
    let said = node.says(vm, "one.");
    assert!(blocks(&said, 327_680) > 140 << 20, "{said}");
    node.order(vm, root(192));
    node.type_in(vm, &format!("sleep 1; {look}; echo two''.\n"));
    let said = node.says(vm, "two.");
    blocks(&said, 393_216);
    node.type_in(vm, "sync; echo three''.\n");
    node.says(vm, "three.");
    node.order(vm, Verb::Stop { shutdown });
    node.order(vm, root(120));
    assert!(!node.root().join("vms/vm-7/root.luks.before").exists());
    node.order(vm, Verb::Start);
    node.boots(vm, 2);
    node.type_in(vm, &format!("{look}; echo four''.\n"));
    let said = node.says(vm, "four.");
    assert!(blocks(&said, 245_760) < 120 << 20, "{said}");
    node.order(vm, Verb::Stop { shutdown });
    node.order(vm, Verb::Delete);
}

/// The bytes of the root file system, where the disk was said to have so many sectors.
fn blocks(said: &str, sectors: u64) -> u64 {
    let line = said.rsplit(&format!("has {sectors} ")).next();
    let (count, size) = line
        .and_then(|line| line.lines().next()?.trim().split_once(':'))
        .unwrap_or_else(|| panic!("no {sectors} sectors in {said}"));
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{said}"));
    number(count) * number(size)
}

/// All below a folder that has a temporary name, or lies in what has.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with(".work-") || name.ends_with(".part") {
            found.push(path.clone());
            found.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|e| e.path()),
            );
        } else if path.is_dir() && name != "images" {
            found.extend(unfinished(&path));
        }
    }
    found
}
