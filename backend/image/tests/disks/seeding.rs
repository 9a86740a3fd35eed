//! NoCloud seeds, read back by tools that know nothing of us.

use crate::roots::Shop;
use crate::scratch::run;
use agent::build::{BuildStep, plan};
use agent::secret::Keys;
use agent::watch::Unwatched;
use image::build::{Workshop, build_disk};
use image::luks::opens;
use image::manifest::hex;
use image::view::{Shape, View};
use model::blueprint::{
    Blueprint, Disk, EncryptedPart, Encryption, FirewallRule, Format, GuestFile, Interface,
    Partition, PartitionTable, Protocol,
};
use model::hypervisor::Virtualisation;
use model::id::{KeyId, NetworkId};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const KEY: &[u8] = b"a key \xff that is no text \0\n";

/// A VM with all that a seed tells, whose second disk is its seed.
fn blueprint(shop: &Shop) -> Blueprint {
    let mut blueprint = shop.blueprint();
    blueprint.virtualisation = Virtualisation::Full;
    let mut seed = Disk {
        name: "seed".to_owned(),
        size_mib: 1,
        image: None,
        ..blueprint.disks[0].clone()
    };
    seed.partitions = vec![Partition {
        name: "seed".to_owned(),
        size_mib: None,
        format: Format::Seed,
        block_bytes: None,
        mount: None,
        bootable: false,
    }];
    blueprint.disks.push(seed);
    blueprint.interfaces = vec![Interface {
        name: "lan".to_owned(),
        network: NetworkId(3),
        mac: [2, 0, 0, 0, 0, 7],
        addresses: vec![("10.1.2.3".parse().expect("an address"), 24)],
        gateway: Some("10.1.2.1".parse().expect("an address")),
        mbps: None,
        allowed: vec![FirewallRule {
            protocol: Protocol::Tcp,
            port: 22,
            from: None,
        }],
    }];
    let file = GuestFile {
        text: "a \"quoted\" text:\n- of: two lines\n".to_owned(),
        mode: 0o600,
    };
    let files = &mut blueprint.customisation.files;
    files.insert("/etc/motd".to_owned(), file);
    blueprint
}

fn build(shop: &Shop, blueprint: &Blueprint) -> PathBuf {
    let mut keys = Keys::default();
    keys.insert(KeyId(5), KEY.to_vec());
    let workshop = Workshop {
        store: &shop.store,
        keys: &keys,
        watch: &Unwatched,
    };
    let steps = plan(blueprint, 1).expect("steps");
    let target = shop.path("seed.raw");
    build_disk(&steps, &target, workshop).expect("built");
    target
}

fn told(disk: &Path, file: &str) -> String {
    let name = disk.to_str().expect("plain");
    run("mtype", &["-i", name, &format!("::{file}")])
}

/// What blkid calls the volume, and what mtools find in it, is what cloud-init looks for: the VM's
/// name, users, keys, files, firewall rules and addresses.
#[test]
fn a_seed_tells_what_the_blueprint_does() {
    let shop = Shop::new();
    let disk = build(&shop, &blueprint(&shop));
    let name = disk.to_str().expect("plain");
    let about = run("blkid", &["-p", "-o", "export", name]);
    assert!(
        about.contains("LABEL=CIDATA\n") && about.contains("TYPE=vfat\n"),
        "{about}"
    );
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let meta = json(&told(&disk, "meta-data"));
    assert_eq!(
        meta,
        json!({ "instance-id": "vm-7", "local-hostname": "web-7" })
    );
    let user = told(&disk, "user-data");
    let user = json(user.strip_prefix("#cloud-config\n").expect("its kind"));
    assert_eq!(user["hostname"], "web-7");
    assert_eq!(user["users"][0]["name"], "ann");
    assert_eq!(
        user["users"][0]["ssh_authorized_keys"],
        json!(["ssh-ed25519 AAAA ann"])
    );
    let files = &user["write_files"];
    assert_eq!(files[0]["content"], "a \"quoted\" text:\n- of: two lines\n");
    assert_eq!(files[0]["permissions"], "0600");
    assert_eq!(files[1]["path"], "/etc/nftables.conf");
    let rules = files[1]["content"].as_str().expect("text");
    assert!(rules.contains("tcp dport 22 accept"), "{rules}");
    let network = json(&told(&disk, "network-config"));
    let expected = json!({ "version": 2, "ethernets": { "lan": {
        "match": { "macaddress": "02:00:00:00:00:07" },
        "addresses": ["10.1.2.3/24"],
        "routes": [{ "to": "0.0.0.0/0", "via": "10.1.2.1" }],
    } } });
    assert_eq!(network, expected);
}

/// Encrypted, a seed shows nothing without its key, and all of it to a guest whose hypervisor has the
/// key: that is how the configuration alone is kept from others.
#[test]
fn a_seed_is_sealed() {
    let shop = Shop::new();
    let mut blueprint = blueprint(&shop);
    blueprint.disks[1].encryption = Some(Encryption {
        part: EncryptedPart::Whole,
        key: KeyId(5),
    });
    let disk = build(&shop, &blueprint);
    assert!(!opens(&disk, b"another key", &Unwatched).expect("asked"));
    let bytes = std::fs::read(&disk).expect("the disk");
    assert!(!bytes.windows(5).any(|window| window == b"web-7"));
    let passphrase = hex(KEY);
    let sealed = Shape::Sealed {
        key: passphrase.as_bytes(),
    };
    let view = View::open(&disk, sealed, None, &Unwatched).expect("shown");
    assert!(told(view.path(), "meta-data").contains("web-7"));
    view.close().expect("closed");
}

/// A disk that cannot be one is told before anything is made.
#[test]
fn what_is_no_seed_is_refused() {
    let shop = Shop::new();
    let check = |change: &dyn Fn(&mut Disk), expected: &str| {
        let mut blueprint = blueprint(&shop);
        change(&mut blueprint.disks[1]);
        let refused = plan(&blueprint, 1).expect_err(expected).to_string();
        let told = format!("disk seed has a seed and {expected}\n");
        assert!(refused.starts_with(&told), "{refused}");
    };
    check(&|disk| disk.image = Some("0".repeat(64)), "an image");
    let mounted = "a place where the guest mounts it";
    check(
        &|disk| disk.partitions[0].mount = Some("/seed".to_owned()),
        mounted,
    );
    let two = |disk: &mut Disk| {
        let mut other = disk.partitions[0].clone();
        disk.partitions[0].size_mib = Some(1);
        (other.name, other.format) = ("other".to_owned(), Format::Unformatted);
        disk.partitions.push(other);
        (disk.table, disk.size_mib) = (PartitionTable::Mbr, 8);
    };
    check(&two, "other partitions");
    let mut blueprint = blueprint(&shop);
    blueprint.disks.swap(0, 1);
    let refused = plan(&blueprint, 0).expect_err("the first").to_string();
    assert!(refused.contains("is the first of its VM"), "{refused}");
    blueprint.disks.swap(0, 1);
    let steps = plan(&blueprint, 1).expect("good as it is");
    assert!(matches!(steps[1], BuildStep::Modify { .. }));
}
