//! Names on the node: nothing in a blueprint leads out of its VM's folders.

use crate::node::naming;
use crate::orders::{VM, blueprint, order};
use agent::build::{BuildStep, plan};
use agent::edit::Edit;
use agent::machine::{Boot, DiskFormat};
use agent::naming::{Naming, Roots, bridge_name, tap_name};
use agent::refusal::check_blueprint;
use agent::step::Step;
use agent::steps::{Circumstances, steps};
use model::blueprint::{Blueprint, BootLoader, Format, Partition, PartitionTable};
use model::hypervisor::Virtualisation;
use model::id::{NetworkId, VmId};
use model::order::Verb;
use std::collections::{BTreeMap, BTreeSet};

/// Taps and bridges fit in the 15 characters that Linux allows, whatever the numbers.
#[test]
fn devices_have_names_that_linux_takes() {
    assert_eq!(tap_name(VmId(61), 10), "gwZ-a");
    assert_eq!(tap_name(VmId(u64::MAX), 61).len(), 15);
    assert_eq!(bridge_name(NetworkId(u32::MAX)), "gwb4294967295");
}

/// Disks are told apart by how their bytes lie: raw, over a shared base, or encrypted.
#[test]
fn a_disk_lies_as_its_blueprint_says() {
    let mut shared = blueprint(VM);
    shared.disks[0].shared_base = true;
    let machine = naming().machine(&shared);
    let formats: Vec<DiskFormat> = machine.disks.iter().map(|disk| disk.format).collect();
    assert_eq!(formats, [DiskFormat::Qcow2, DiskFormat::Luks]);
    let base = machine.disks[0].base.clone().expect("it shares one");
    assert_eq!(
        Some(&base),
        naming().base(&shared, &shared.disks[0]).as_ref()
    );
    let of = |change: &dyn Fn(&mut Blueprint)| {
        let mut other = shared.clone();
        change(&mut other);
        naming()
            .base(&other, &other.disks[0])
            .expect("it shares one")
    };
    let same = of(&|b| (b.vm, b.disks[0].size_mib, b.name) = (VmId(8), 200, "other".to_owned()));
    assert_eq!(same, base, "size and name are a VM's own");
    for other in [
        of(&|b| b.disks[0].image = Some("cd".repeat(32))),
        of(&|b| b.disks[0].partitions[0].block_bytes = Some(1_024)),
        of(&|b| b.boot = BootLoader::Extlinux),
        of(&|b| b.customisation.add.push("cd".repeat(32))),
    ] {
        assert_ne!(other, base);
    }
    assert!(machine.disks[1].key.is_some());
    assert_eq!(command_line(&shared), "root=/dev/vda1 rw quiet");
    shared.disks[0].table = PartitionTable::None;
    assert_eq!(command_line(&shared), "root=/dev/vda rw quiet");
}

fn command_line(blueprint: &Blueprint) -> String {
    match naming().machine(blueprint).boot {
        Boot::Kernel { command_line, .. } => command_line,
        other => panic!("{other:?}"),
    }
}

/// A container's first disk is its root folder, and none of its disks.
#[test]
fn a_container_has_a_root_folder() {
    let mut container = blueprint(VM);
    container.virtualisation = Virtualisation::Container;
    let machine = naming().machine(&container);
    let root = naming().container_root(VM);
    assert_eq!(machine.boot, Boot::Folder { root });
    assert_eq!(machine.disks.len(), 1);
}

/// Where the hypervisor has its own copy of a container's root, the folder is wiped once the container
/// is defined; where it runs in the folder, that stays.
#[test]
fn a_copied_root_is_wiped() {
    let mut container = blueprint(VM);
    container.virtualisation = Virtualisation::Container;
    container.disks[0].shared_base = false;
    let wiped = |roots| {
        let naming = Naming { roots, ..naming() };
        let path = naming.container_root(VM);
        let order = order(
            1,
            Verb::Create {
                blueprint: Box::new(container.clone()),
            },
        );
        let now = Circumstances {
            lent: &Default::default(),
            naming: &naming,
            host: Some("192.0.2.1"),
            vms: &BTreeMap::new(),
            seen: &BTreeMap::new(),
            silent: &BTreeSet::new(),
            free_mib: 1_000,
            leased: true,
        };
        let steps = steps(&order, now).expect("it may be made");
        steps.last().map(|last| last.step.clone()) == Some(Step::Wipe { path })
    };
    assert!(wiped(Roots::Copied));
    assert!(!wiped(Roots::Kept));
}

/// Names that would lead elsewhere, twins, and sizes that cannot be are refused, each by its field.
#[test]
fn a_blueprint_that_leads_elsewhere_is_refused() {
    let check = |change: &dyn Fn(&mut Blueprint), expected: &str| {
        let mut blueprint = blueprint(VM);
        change(&mut blueprint);
        let refusal = check_blueprint(&blueprint).expect_err(expected);
        assert_eq!(refusal.to_string(), expected);
    };
    let names = "expected 1 to 63 letters, digits and -, the first no -";
    assert_eq!(check_blueprint(&blueprint(VM)), Ok(()));
    check(
        &|b| b.disks[0].name = "../../etc/passwd".to_owned(),
        &format!("disks[0].name is \"../../etc/passwd\", {names}"),
    );
    check(
        &|b| b.disks[1].name = "root".to_owned(),
        "disks[1].name is root, expected a name of its own",
    );
    check(
        &|b| b.name = "-n".to_owned(),
        &format!("name is \"-n\", {names}"),
    );
    check(
        &|b| b.interfaces[0].name = String::new(),
        &format!("interfaces[0].name is \"\", {names}"),
    );
    check(
        &|b| b.disks[0].image = Some("../abc".to_owned()),
        "disks[0].image is ../abc, expected 64 hexadecimal digits in lower case",
    );
    check(&|b| b.cpus = 5, "cpus is 5, expected 1 to 4");
    check(&|b| b.mem_mib = 0, "mem_mib is 0, expected 1 to 1024");
    check(
        &|b| b.disks[1].shared_base = true,
        "disks[1].shared_base is true, expected false where the disk is encrypted, begins empty or is a container's root",
    );
}

/// The guest mounts the partitions of all its disks, not of the one alone that it boots from.
#[test]
fn every_disk_is_mounted() {
    let mut blueprint = blueprint(VM);
    let data = Partition {
        name: "data".to_owned(),
        size_mib: None,
        format: Format::Xfs,
        block_bytes: None,
        mount: Some("/srv/data".to_owned()),
        bootable: false,
    };
    blueprint.disks[1].partitions = vec![data];
    let steps = plan(&blueprint, 0).expect("a good blueprint");
    let edits = steps.iter().find_map(|step| match step {
        BuildStep::Modify { edits, .. } => Some(edits),
        _ => None,
    });
    let fstab = edits.and_then(|edits| {
        edits.iter().find_map(|edit| match edit {
            Edit::File { path, text, .. } if path == "/etc/fstab" => Some(text.as_str()),
            _ => None,
        })
    });
    let fstab = fstab.expect("an fstab");
    assert!(fstab.contains(" / ext4 defaults 0 1\n"), "{fstab}");
    assert!(
        fstab.contains("LABEL=data /srv/data xfs defaults 0 0\n"),
        "{fstab}"
    );
}
