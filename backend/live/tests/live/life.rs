//! The whole life of a VM by orders alone, with real guests.

use crate::emulated::{KEY, Node};
use model::blueprint::{BootLoader, EncryptedPart, Encryption};
use model::id::VmId;
use model::order::{Shutdown, Verb};

/// A VM is built, booted, stopped and deleted by orders alone, from its own boot loader and from an
/// encrypted disk; afterwards there is no file, process or device of it.
#[test]
fn a_vm_comes_up_from_images_and_leaves_nothing() {
    let mut node = Node::new();
    let (files, links) = (node.files(), node.links());
    let whole = Encryption {
        part: EncryptedPart::Whole,
        key: KEY,
    };
    for (vm, boot, encryption) in [
        (VmId(7), BootLoader::Extlinux, None),
        (VmId(8), BootLoader::Direct, Some(whole)),
    ] {
        let blueprint = Box::new(node.blueprint(vm, boot, encryption));
        let processes = node.processes();
        node.order(vm, Verb::Create { blueprint });
        node.order(vm, Verb::Start);
        let line = node.boots(vm, 1);
        assert!(
            line.contains(&format!("GUEST-UP host=web-{}", vm.0)),
            "{line}"
        );
        let tap = agent::naming::tap_name(vm, 0);
        assert!(node.links().contains(&tap), "{}", node.links());
        assert!(node.processes().len() > processes.len());
        let shutdown = Shutdown::Forced;
        node.order(vm, Verb::Stop { shutdown });
        node.order(vm, Verb::Delete);
        assert_eq!(node.files(), files);
        assert_eq!(node.processes(), processes);
        assert!(!node.links().contains(&tap), "{}", node.links());
    }
    assert_eq!(node.links().lines().count(), links.lines().count());
}
