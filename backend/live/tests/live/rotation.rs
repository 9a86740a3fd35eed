//! Keys of encrypted disks, rotated by orders.

use crate::emulated::{KEY, Node, key_bytes};
use agent::watch::Unwatched;
use image::luks::opens;
use image::manifest::hex;
use model::blueprint::{BootLoader, EncryptedPart, Encryption};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Verb};
use std::collections::BTreeSet;
use std::fs;

const VM: VmId = VmId(7);

/// An encrypted VM's key is rotated while it is off, and again while its guest runs and writes; each
/// time the old key opens the disk no more, and the VM boots with the new one. No key is in a file of
/// the node, in an argument of a process, or in what the agent shows.
#[test]
fn a_vm_boots_with_its_new_key_alone() {
    let mut node = Node::new();
    let whole = Encryption {
        part: EncryptedPart::Whole,
        key: KEY,
    };
    let blueprint = Box::new(node.blueprint(VM, BootLoader::Extlinux, Some(whole)));
    node.order(VM, Verb::Create { blueprint });
    let mut seen = rotate(&mut node, KEY, KeyId(6));
    let shown = node.shown(VM, rotation(KeyId(6), KeyId(7)));
    for call in [
        "add key 7 to root",
        "rekey vm 7",
        "luksAddKey",
        "luksKillSlot",
    ] {
        assert!(shown.contains(call), "no {call} in {shown}");
    }
    seen.insert(shown.into_bytes());

    node.keys = vec![KeyId(6)];
    node.order(VM, Verb::Start);
    node.boots(VM, 1);
    node.type_in(
        VM,
        "while sleep 0.1; do date; sync; done > /dates & echo be''gun\n",
    );
    node.says(VM, "begun");
    seen.extend(rotate(&mut node, KeyId(6), KeyId(7)));
    node.type_in(
        VM,
        "kill %1; sync; echo ro''tated > /after; sync; cat /after\n",
    );
    node.says(VM, "rotated");
    let shutdown = Shutdown::Forced;
    node.order(VM, Verb::Stop { shutdown });

    node.keys = vec![KeyId(7)];
    node.order(VM, Verb::Start);
    node.boots(VM, 2);
    node.type_in(VM, "echo still $(cat /after) $(grep -c : /dates)''.\n");
    node.says(VM, "still rotated ");
    node.order(VM, Verb::Stop { shutdown });
    for path in node.files() {
        if !path.ends_with("root.luks") {
            seen.insert(fs::read(path).unwrap_or_default());
        }
    }
    for key in [KEY, KeyId(6), KeyId(7)] {
        for text in [key_bytes(key).to_vec(), hex(&key_bytes(key)).into_bytes()] {
            let shows = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|part| part == text);
            let shown = seen.iter().find(|bytes| shows(bytes));
            assert_eq!(
                shown.map(|bytes| String::from_utf8_lossy(bytes)),
                None,
                "{key}"
            );
        }
    }
    node.order(VM, Verb::Delete);
}

fn rotation(from: KeyId, to: KeyId) -> Verb {
    Verb::RotateKey { from, to }
}

/// Rotates a key, and sees that the new one opens the disk and the old one does not; the arguments of
/// all processes meanwhile.
fn rotate(node: &mut Node, from: KeyId, to: KeyId) -> BTreeSet<Vec<u8>> {
    node.keys = vec![from, to];
    let mut order = node.begin(VM, rotation(from, to));
    let mut arguments = BTreeSet::new();
    let status = loop {
        let processes = fs::read_dir("/proc").expect("proc").flatten();
        arguments.extend(processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()));
        if let Some(status) = order.try_wait().expect("a child") {
            break status;
        }
    };
    let told = node.repeat();
    assert!(status.success(), "{told:?}");
    let disk = node.root().join("vms/vm-7/root.luks");
    // A node's folders are closed to all but the tools' user.
    for (key, does) in [(from, false), (to, true)] {
        let opened = opens(&disk, hex(&key_bytes(key)).as_bytes(), &Unwatched).expect("asked");
        assert_eq!(opened, does, "{key}");
    }
    let cryptsetup = |line: &Vec<u8>| line.windows(10).any(|part| part == b"cryptsetup");
    assert!(arguments.iter().any(cryptsetup), "no cryptsetup was seen");
    arguments
}
