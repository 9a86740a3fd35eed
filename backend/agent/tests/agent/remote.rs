//! Disks of other nodes' volumes: what they cannot be, and the room that making one takes.

use crate::orders::{VM, order, remote_blueprint};
use agent::refusal::check_blueprint;
use agent::space::space_mib;
use model::blueprint::{Blueprint, Disk, EncryptedPart, Encryption};
use model::hypervisor::Virtualisation;
use model::id::KeyId;
use model::order::Verb;
use std::collections::BTreeMap;

/// What is said of a good blueprint with such a disk, changed in one way.
fn check(change: impl FnOnce(&mut Blueprint), expected: &str) {
    let mut blueprint = remote_blueprint(VM);
    change(&mut blueprint);
    let told =
        check_blueprint(&blueprint).map_or_else(|refusal| refusal.to_string(), |()| String::new());
    assert!(
        told.contains(expected) && told.is_empty() == expected.is_empty(),
        "{told}"
    );
}

fn wide(change: impl FnOnce(&mut Disk)) -> impl FnOnce(&mut Blueprint) {
    |blueprint| change(&mut blueprint.disks[1])
}

/// A disk of other nodes' volumes is neither the first nor a container's, shares no base, is encrypted
/// by its guest alone, and is as large as its volumes, each of which is there once.
#[test]
fn what_it_cannot_be_is_refused() {
    check(|_| (), "");
    check(wide(|disk| disk.partitions.clear()), "");
    check(|blueprint| blueprint.disks.swap(0, 1), "disks[0].extents");
    check(
        |blueprint| blueprint.virtualisation = Virtualisation::Container,
        "disks[1].extents",
    );
    let shared = |disk: &mut Disk| {
        disk.image = Some("ab".repeat(32));
        disk.shared_base = true;
    };
    check(wide(shared), "disks[1].shared_base");
    let sealed = Encryption {
        key: KeyId(1),
        part: EncryptedPart::Whole,
    };
    check(
        wide(|disk| disk.encryption = Some(sealed)),
        "disks[1].encryption",
    );
    check(wide(|disk| disk.size_mib += 1), "disks[1].size_mib");
    let twice = |disk: &mut Disk| {
        disk.size_mib *= 2;
        disk.extents.push(disk.extents[0].clone());
    };
    check(wide(twice), "a volume given twice");
}

/// One that begins empty takes no room of its VM's node; while one is made it takes what file systems
/// take that are empty, of one of any size, or as much as it is large.
#[test]
fn making_one_takes_room() {
    let mut blueprint = remote_blueprint(VM);
    let room = |blueprint: &Blueprint| {
        let create = Verb::Create {
            blueprint: Box::new(blueprint.clone()),
        };
        space_mib(&order(1, create), &BTreeMap::new(), &BTreeMap::new())
    };
    blueprint.disks[1].size_mib = 120;
    assert_eq!(room(&blueprint), 100 + 120);
    blueprint.disks[1].size_mib = 10 << 20;
    assert_eq!(room(&blueprint), 100 + 2 * ((10 << 13) + 128));
    blueprint.disks[1].image = Some("ab".repeat(32));
    assert_eq!(room(&blueprint), 100 + (10 << 20));
    blueprint.disks[1].image = None;
    blueprint.disks[1].partitions.clear();
    assert_eq!(room(&blueprint), 100 + 100);
}
