//! What is changed on the disk of a VM that is deployed, as the difference of two blueprints.

use crate::orders::{VM, plain_blueprint};
use agent::edit::Edit;
use agent::modify::modification;
use model::blueprint::{
    Blueprint, Customisation, EncryptedPart, FirewallRule, Format, GuestFile, Partition, Protocol,
    User,
};
use model::hypervisor::Virtualisation;

fn before() -> Blueprint {
    let mut blueprint = plain_blueprint(VM);
    let file = |text: &str| GuestFile {
        text: text.to_owned(),
        mode: 0o644,
    };
    let user = |name: &str| User {
        name: name.to_owned(),
        ssh_keys: vec![format!("ssh-ed25519 AAAA {name}")],
    };
    blueprint.customisation = Customisation {
        remove: vec!["/etc/motd".to_owned()],
        users: vec![user("ann"), user("bob")],
        files: [
            ("/srv/a".to_owned(), file("a")),
            ("/srv/b".to_owned(), file("b")),
        ]
        .into(),
        ..Customisation::default()
    };
    blueprint.interfaces[0].allowed = vec![FirewallRule {
        protocol: Protocol::Tcp,
        port: 80,
        from: None,
    }];
    blueprint
}

/// What two blueprints have in common is not written again, what the new one has no more is taken away,
/// and a user without keys is let in no more.
#[test]
fn only_the_difference_is_made() {
    let before = before();
    let same = modification(&before, &before).expect("nothing to do");
    assert!(same.edits.is_empty() && same.gone.is_empty() && same.before == same.after);

    let mut after = before.clone();
    after.name = "renamed".to_owned();
    after.customisation.files.remove("/srv/a");
    after.customisation.users.remove(0);
    after.customisation.remove.push("nginx".to_owned());
    after.customisation.add.push("cd".repeat(32));
    after.interfaces[0].allowed.clear();
    let made = modification(&before, &after).expect("possible");
    assert_eq!(made.remove, ["nginx"]);
    assert_eq!(made.add, ["cd".repeat(32)]);
    let gone: Vec<&str> = made.gone.iter().map(String::as_str).collect();
    let unit = "/etc/systemd/system/sysinit.target.wants/nftables.service";
    assert_eq!(
        gone,
        [
            "/etc/nftables.conf",
            unit,
            "/home/ann/.ssh/authorized_keys",
            "/srv/a"
        ]
    );
    let paths: Vec<Option<&str>> = made.edits.iter().map(Edit::path).collect();
    assert_eq!(paths, [Some("/etc/hostname"), Some("/etc/hosts")]);
}

/// What is not on the system disk, or cannot be taken back there, is refused.
#[test]
fn what_is_not_on_the_disk_is_refused() {
    let check = |change: fn(&mut Blueprint), expected: &str| {
        let mut after = before();
        change(&mut after);
        let told = modification(&before(), &after).expect_err("refused");
        assert!(told.to_string().contains(expected), "{told}");
    };
    check(|b| b.mem_mib += 1, "sizes and limits are scaled");
    check(|b| b.disks[0].size_mib += 1, "sizes and limits are scaled");
    check(|b| b.interfaces[0].mac[5] = 99, "needs another VM");
    check(|b| b.interfaces.clear(), "needs another VM");
    check(
        |b| b.customisation.remove.clear(),
        "customisation.remove is shorter, expected to hold /etc/motd still",
    );
    let both = |change: fn(&mut Blueprint), expected: &str| {
        let (mut one, mut other) = (before(), before());
        change(&mut one);
        change(&mut other);
        other.customisation.add.push("cd".repeat(32));
        let told = modification(&one, &other).expect_err("refused");
        assert!(told.to_string().contains(expected), "{told}");
    };
    both(
        |b| b.disks[0].shared_base = true,
        "part of the base that it shares",
    );
    both(
        |b| b.virtualisation = Virtualisation::Container,
        "its hypervisor's",
    );
    both(
        |b| b.disks[1].partitions = vec![seed(b)],
        "cloud-init has told",
    );
    let mut sealed = before();
    let partition = Partition {
        mount: Some("/srv".to_owned()),
        ..sealed.disks[0].partitions[0].clone()
    };
    sealed.disks[1].partitions = vec![partition];
    let encryption = sealed.disks[1].encryption.as_mut();
    encryption.expect("it is encrypted").part = EncryptedPart::Configuration;
    let mut other = sealed.clone();
    other.customisation.files.clear();
    let told = modification(&sealed, &other).expect_err("refused");
    assert!(
        told.to_string().contains("by an order to configure"),
        "{told}"
    );
    other.customisation.files = sealed.customisation.files.clone();
    other.name = "renamed".to_owned();
    modification(&sealed, &other).expect("the rest may change");
    both(|b| b.disks[0].image = None, "made of an image");
}

fn seed(blueprint: &Blueprint) -> Partition {
    let mut partition = blueprint.disks[0].partitions[0].clone();
    partition.format = Format::Seed;
    partition
}
