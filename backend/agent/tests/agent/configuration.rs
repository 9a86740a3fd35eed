//! A configuration that is encrypted apart from the rest of its VM.

use crate::node::naming;
use crate::orders::{VM, blueprint};
use agent::build::{BuildStep, plan};
use agent::refusal::check_blueprint;
use agent::seed::seed;
use model::blueprint::{Blueprint, EncryptedPart, Encryption, Format, GuestFile, Partition};
use model::hypervisor::Virtualisation;
use model::id::KeyId;

/// A VM with its configuration on a disk of its own, and a file that only begins as the others do.
fn configured() -> Blueprint {
    let mut blueprint = blueprint(VM);
    for path in ["/etc/shop/password", "/etc/shopping"] {
        let text = "what is told of it".to_owned();
        let file = GuestFile { text, mode: 0o600 };
        blueprint.customisation.files.insert(path.to_owned(), file);
    }
    let disk = &mut blueprint.disks[1];
    disk.encryption = Some(Encryption {
        key: KeyId(1),
        part: EncryptedPart::Configuration,
    });
    disk.partitions = vec![Partition {
        name: "shop".to_owned(),
        size_mib: None,
        format: Format::Ext4,
        block_bytes: None,
        mount: Some("/etc/shop".to_owned()),
        bootable: false,
    }];
    blueprint
}

/// The files beneath its mount point are on the encrypted disk alone, all others on the first, which is
/// in the clear and mounts it.
#[test]
fn a_configuration_is_on_its_disk_alone() {
    let blueprint = configured();
    assert_eq!(check_blueprint(&blueprint), Ok(()));
    let written = |index| {
        let steps = plan(&blueprint, index).expect("a good blueprint");
        let told = serde_json::to_string(&steps).expect("steps are JSON");
        let sealed = steps
            .iter()
            .any(|step| matches!(step, BuildStep::Encrypt { key: KeyId(1) }));
        let has = |path: &str| told.contains(&format!("\"{path}\""));
        let mounted = told.contains("LABEL=shop /etc/shop ext4");
        (
            sealed,
            has("/etc/shop/password"),
            has("/etc/shopping"),
            mounted,
        )
    };
    assert_eq!(written(0), (false, false, true, true));
    assert_eq!(written(1), (true, true, false, false));
    let told = format!("{:?}", seed(&blueprint));
    assert!(
        !told.contains("/etc/shop/") && told.contains("/etc/shopping"),
        "{told}"
    );
    let machine = naming().machine(&blueprint);
    let keys: Vec<_> = machine.disks.iter().map(|disk| disk.key).collect();
    assert_eq!(keys, [None, Some(KeyId(1))]);
}

/// What cannot hold a configuration is told before anything is made.
#[test]
fn a_configuration_has_a_disk_of_its_own() {
    let check = |change: &dyn Fn(&mut Blueprint), expected: &str| {
        let mut changed = configured();
        change(&mut changed);
        let refusal = check_blueprint(&changed).expect_err(expected).to_string();
        assert!(refusal.ends_with(expected), "{refusal}");
    };
    let first = "whole, as the VM boots from it or it has an image";
    check(&|b| b.disks.swap(0, 1), first);
    check(&|b| b.disks[1].image = Some("ab".repeat(32)), first);
    check(
        &|b| b.disks[1].partitions.clear(),
        "whole, or one partition",
    );
    let mounted = "whole, or ext4, xfs or btrfs mounted elsewhere than at /";
    check(&|b| b.disks[1].partitions[0].mount = None, mounted);
    check(&|b| b.disks[1].partitions[0].format = Format::Swap, mounted);
    let path = "hint: absolute, without .. and quotes";
    let up = Some("/etc/../shop".to_owned());
    check(&|b| b.disks[1].partitions[0].mount.clone_from(&up), path);
    let another = |b: &mut Blueprint| {
        let mut other = b.disks[1].clone();
        other.name = "other".to_owned();
        b.disks.push(other);
    };
    check(&another, "whole, as another disk holds the configuration");
    let container = |b: &mut Blueprint| b.virtualisation = Virtualisation::Container;
    let folder = |b: &mut Blueprint| {
        container(b);
        b.disks[0].shared_base = false;
    };
    check(&folder, "none: a container's files lie in a folder");
}
