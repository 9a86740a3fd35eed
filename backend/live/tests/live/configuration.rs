//! A configuration that is encrypted apart from the rest of its VM, with a real guest.

use crate::emulated::{KEY, Node};
use model::blueprint::{
    BootLoader, Disk, EncryptedPart, Encryption, Format, GuestFile, Partition, PartitionTable,
};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Verb};
use std::fs;

const VM: VmId = VmId(7);

/// What must not be read without the key; the guest adds a second word.
const SECRET: &str = "open-sesame-0123456789";

/// A customer's file beneath the mount point, and what the guest writes there, are plain to the guest
/// and on no disk of the node in the clear, while the system disk is; the key is rotated as any.
#[test]
fn a_guest_reads_what_its_disk_keeps_from_others() {
    let mut node = Node::new();
    let mut blueprint = node.blueprint(VM, BootLoader::Extlinux, None);
    let file = GuestFile {
        text: format!("{SECRET}\n"),
        mode: 0o600,
    };
    let files = &mut blueprint.customisation.files;
    files.insert("/etc/shop/password".to_owned(), file);
    blueprint.disks.push(Disk {
        name: "shop".to_owned(),
        size_mib: 16,
        image: None,
        table: PartitionTable::None,
        partitions: vec![Partition {
            name: "shop".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/etc/shop".to_owned()),
            bootable: false,
        }],
        shared_base: false,
        encryption: Some(Encryption {
            key: KEY,
            part: EncryptedPart::Configuration,
        }),
        iops: None,
        mibps: None,
        extents: Vec::new(),
    });
    let blueprint = Box::new(blueprint);
    node.order(VM, Verb::Create { blueprint });
    node.order(VM, Verb::Start);
    node.boots(VM, 1);
    let mount = "mkdir -p /etc/shop; ls -A /etc/shop; mount /etc/shop";
    let read = "stat -c %a:%s /etc/shop/password";
    node.type_in(VM, &format!("{mount}; {read}; echo on''ce.\n"));
    let said = node.says(VM, "once.");
    let size = format!("\n600:{}", SECRET.len() + 1);
    assert!(said.replace('\r', "").contains(&size), "{said}");
    let write = "sed s/open/shut/ /etc/shop/password > /etc/shop/other; sync";
    node.type_in(VM, &format!("{write}; echo writ''ten.\n"));
    node.says(VM, "written.");
    let to = KeyId(6);
    node.keys = vec![KEY, to];
    node.order(VM, Verb::RotateKey { from: KEY, to });
    let shutdown = Shutdown::Forced;
    node.order(VM, Verb::Stop { shutdown });

    let second = SECRET.replace("open", "shut");
    let folder = node.root().join("vms/vm-7");
    for disk in ["root.raw", "shop.luks"] {
        let bytes = fs::read(folder.join(disk)).expect("a disk");
        for secret in [SECRET, &second] {
            let mut parts = bytes.windows(secret.len());
            let is_there = parts.any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret} is on {disk}");
        }
        let mut parts = bytes.windows(6);
        let clear = parts.any(|part| part == b"web-7\n");
        assert_eq!(clear, disk == "root.raw", "{disk}");
    }

    node.keys = vec![to];
    node.order(VM, Verb::Start);
    node.boots(VM, 2);
    let compare = "sed s/shut/open/ /etc/shop/other | cmp - /etc/shop/password && echo sa''me.";
    node.type_in(VM, &format!("{mount}; {compare}\n"));
    node.says(VM, "same.");
    node.order(VM, Verb::Stop { shutdown });
    node.order(VM, Verb::Delete);
    assert!(!folder.exists());
}
