//! A VM that runs, saved as an image, and another VM made of that, by orders alone.

use crate::emulated::Node;
use model::blueprint::{BootLoader, EncryptedPart, Encryption, GuestFile};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Verb};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What only the first VM may know.
const SECRET: &str = "a key that no other machine may have";

/// What the guest wrote is in the image, its own secrets and what it deleted are not; the image is
/// signed by the node's own key, which nobody else may read; a VM of another size and name boots from
/// it, and the first one has run on.
#[test]
fn a_running_vm_becomes_an_image_and_another_vm() {
    let mut node = Node::new();
    let first = VmId(7);
    let mut blueprint = node.blueprint(first, BootLoader::Extlinux, None);
    for path in ["/etc/ssh/ssh_host_rsa_key", "/srv/deleted"] {
        let file = GuestFile {
            text: SECRET.to_owned(),
            mode: 0o600,
        };
        blueprint.customisation.files.insert(path.to_owned(), file);
    }
    node.order(
        first,
        Verb::Create {
            blueprint: Box::new(blueprint.clone()),
        },
    );
    node.order(first, Verb::Start);
    node.boots(first, 1);
    node.type_in(
        first,
        "rm /srv/deleted; echo kept > /srv/kept; sync; echo wri''tten\n",
    );
    node.says(first, "written");
    let image = node.save(first, "golden");
    let key = node.root().join("signing.key");
    let mode = fs::metadata(&key)
        .expect("the node's key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let manifest = fs::read_to_string(node.root().join(format!("images/{image}.toml")));
    let manifest = manifest.expect("a manifest");
    assert!(manifest.contains("content = \"disk\""), "{manifest}");
    let bytes = unpacked(&node, &manifest);
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("kept") && !holds(SECRET));
    assert!(bytes.len() < 60 << 20, "{} bytes of 96 MiB", bytes.len());

    let second = VmId(8);
    let mut other = node.blueprint(second, BootLoader::Extlinux, None);
    other.disks[0].image = Some(image);
    other.disks[0].size_mib = 128;
    other.customisation.add.clear();
    let blueprint = Box::new(other.clone());
    node.order(second, Verb::Create { blueprint });
    node.order(second, Verb::Start);
    let line = node.boots(second, 1);
    assert!(line.contains("host=web-8"), "{line}");
    node.type_in(
        second,
        "echo it is $(cat /srv/kept); df -m /; ls /etc/ssh; echo loo''ked\n",
    );
    let said = node.says(second, "looked");
    assert!(said.contains("it is kept"), "{said}");
    assert!(!said.contains("ssh_host_rsa_key\n"), "{said}");
    node.type_in(first, "echo still'' here\n");
    node.says(first, "still here");
    let shutdown = Shutdown::Forced;
    for vm in [first, second] {
        node.order(vm, Verb::Stop { shutdown });
        node.order(vm, Verb::Delete);
    }
    other.boot = BootLoader::Direct;
    let blueprint = Box::new(other);
    let told = node.try_order(second, Verb::Create { blueprint });
    let told = told.expect_err("its kernel is inside");
    assert!(told.contains("it boots by its own loader alone"), "{told}");
}

/// An encrypted disk does not become an image that all can read.
#[test]
fn an_encrypted_disk_is_not_saved() {
    let mut node = Node::new();
    let whole = Encryption {
        part: EncryptedPart::Whole,
        key: KeyId(5),
    };
    let blueprint = Box::new(node.blueprint(VmId(7), BootLoader::Extlinux, Some(whole)));
    node.order(VmId(7), Verb::Create { blueprint });
    let save = Verb::SaveImage {
        name: "golden".to_owned(),
        disks: Vec::new(),
    };
    let told = node.try_order(VmId(7), save);
    let told = told.expect_err("all could read it");
    assert!(told.contains("would be readable"), "{told}");
    node.order(VmId(7), Verb::Delete);
}

/// The unpacked bytes of an image's stream.
fn unpacked(node: &Node, manifest: &str) -> Vec<u8> {
    let stream = manifest.split("stream = \"").nth(1).expect("a stream");
    let path = node.root().join(format!("images/{}.stream", &stream[..64]));
    let run = Command::new("zstd").arg("-dc").arg(path).output();
    run.expect("zstd is installed").stdout
}
