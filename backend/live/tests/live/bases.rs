//! Two VMs of one node on one base, by orders alone and with real guests.

use crate::emulated::Node;
use model::blueprint::{Blueprint, BootLoader};
use model::id::VmId;
use model::order::{Shutdown, Verb};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::Command;

/// Two VMs of unlike size, name and settings boot from disks on one base, which is kept once and which
/// nobody can change; one that was changed all the same is noticed and no VM starts on it; it is gone
/// with the last of them.
#[test]
fn two_vms_stand_on_one_base() {
    let mut node = Node::new();
    let files = node.files();
    for (vm, size_mib) in [(VmId(7), 96), (VmId(8), 128)] {
        let mut blueprint = node.blueprint(vm, BootLoader::Extlinux, None);
        blueprint.disks[0].shared_base = true;
        blueprint.disks[0].size_mib = size_mib;
        set(&mut blueprint, "greeting", &format!("served by {}", vm.0));
        let blueprint = Box::new(blueprint);
        node.order(vm, Verb::Create { blueprint });
        node.order(vm, Verb::Start);
        let line = node.boots(vm, 1);
        assert!(line.contains(&format!("host=web-{}", vm.0)), "{line}");
        let disk = node.root().join(format!("vms/vm-{}/root.qcow2", vm.0));
        let taken = fs::metadata(disk).expect("a disk").blocks() * 512;
        assert!(taken < 8 << 20, "{taken} bytes of its own");
    }
    let base = the_base(&node);
    fs::write(&base, "root's").expect_err("nobody writes to it");

    let shutdown = Shutdown::Forced;
    node.order(VmId(7), Verb::Stop { shutdown });
    let name = base.to_str().expect("plain");
    flag("-i", name);
    let file = fs::File::options().read(true).write(true).open(&base);
    let file = file.expect("root opens everything");
    let (mut kept, at) = ([0; 512], 40 << 20);
    file.read_exact_at(&mut kept, at).expect("a sector");
    file.write_all_at(&[7; 512], at)
        .expect("root writes everywhere");
    let told = node
        .try_order(VmId(7), Verb::Start)
        .expect_err("it was changed");
    assert!(
        told.contains("it was changed under the VMs that stand on it"),
        "{told}"
    );
    flag("-i", name);
    file.write_all_at(&kept, at)
        .expect("root writes everywhere");
    node.order(VmId(7), Verb::Start);
    node.boots(VmId(7), 2);

    node.order(VmId(7), Verb::Delete);
    assert_eq!(the_base(&node), base, "the other stands on it");
    node.order(VmId(8), Verb::Delete);
    assert_eq!(node.files(), files);
    let left = fs::read_dir(node.root().join("bases")).expect("a folder");
    assert_eq!(left.count(), 0);
}

/// The one base of the node.
fn the_base(node: &Node) -> PathBuf {
    let files = node.files();
    let bases = files.iter().filter(|path| {
        path.starts_with(node.root().join("bases")) && path.extension() == Some("raw".as_ref())
    });
    let bases: Vec<_> = bases.collect();
    assert_eq!(bases.len(), 1, "{bases:?}");
    bases[0].clone()
}

fn set(blueprint: &mut Blueprint, name: &str, value: &str) {
    let parameters = &mut blueprint.customisation.parameters;
    parameters.insert(name.to_owned(), value.to_owned());
}

fn flag(flag: &str, name: &str) {
    let run = Command::new("chattr").args([flag, name]).status();
    assert!(run.expect("e2fsprogs is installed").success());
}
