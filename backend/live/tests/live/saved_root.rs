//! A container that runs, saved as an image, and another container made of that, by orders alone.

use crate::node::{Hypervisor, Node, VM};
use image::manifest::{Compression, Content, Manifest};
use model::id::VmId;
use model::order::Verb;
use model::report::{Outcome, VmState};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lgetxattr, lsetxattr, mknodat};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

/// What only the first container may know.
const SECRET: &[u8] = b"a key that no other machine may have";

/// `cap_net_raw+ep` as the kernel writes it: revision 2, effective (capability.h).
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn order(node: &mut Node, vm: VmId, verb: Verb) {
    let outcome = node.order_about(vm, &verb);
    assert_eq!(outcome, Some(Outcome::Done), "{verb:?}");
}

fn root(node: &Node, vm: VmId) -> PathBuf {
    let server = node.root().with_file_name("incus");
    let pool = server.join("storage-pools/default/containers");
    pool.join(format!("gridwright_vm-{}/rootfs", vm.0))
}

/// What a container wrote is in the image with owners and privileges, its own secrets and what it deleted
/// are not; the image is signed by the node's own key; another container begins as it, and the first has
/// run on.
#[test]
fn a_running_container_becomes_an_image_and_another_container() {
    let mut node = Node::new(Hypervisor::Incus);
    node.start(None);
    let first = node.blueprint(VM);
    order(&mut node, VM, Verb::Create { blueprint: first });
    let before = root(&node, VM);
    for path in ["srv/deleted", "etc/ssh/ssh_host_rsa_key", "etc/machine-id"] {
        let path = before.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, SECRET).expect("a file");
    }
    let kept = before.join("srv/kept");
    fs::write(&kept, "kept").expect("a file");
    chown(&kept, Some(33), Some(34)).expect("an owner");
    fs::set_permissions(&kept, Permissions::from_mode(0o4751)).expect("a mode");
    let name = "security.capability";
    lsetxattr(&kept, name, &CAPABILITY, XattrFlags::empty()).expect("a capability");
    let pipe = before.join("srv/pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    order(&mut node, VM, Verb::Start);
    fs::remove_file(before.join("srv/deleted")).expect("a file");

    let name = "golden".to_owned();
    order(
        &mut node,
        VM,
        Verb::SaveImage {
            name,
            disks: Vec::new(),
        },
    );
    let store = node.root().join("images");
    let manifests = fs::read_dir(&store).expect("a store").flatten();
    let manifests = manifests.filter_map(|entry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        let manifest: Manifest = toml::from_str(&text).ok()?;
        let id = entry.path().file_stem()?.to_str()?.to_owned();
        Some((id, manifest)).filter(|(_, manifest)| manifest.name == "golden")
    });
    let [(image, manifest)] = <[_; 1]>::try_from(Vec::from_iter(manifests)).expect("one image");
    assert_eq!(manifest.content, Content::System);
    assert_eq!(manifest.compression, Compression::Zstd);
    let stream = store.join(format!("{}.stream", manifest.stream));
    let unpacked = Command::new("zstd").arg("-dc").arg(stream).output();
    let bytes = unpacked.expect("zstd").stdout;
    assert!(bytes.windows(8).any(|part| part == b"srv/kept"));
    assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET));
    assert!(!bytes.windows(8).any(|part| part == b"srv/pipe"));
    assert_eq!(
        fs::read_dir(node.root().join("saved"))
            .expect("a folder")
            .count(),
        0
    );

    let other = VmId(8);
    let mut second = node.blueprint(other);
    second.disks[0].image = Some(image);
    order(&mut node, other, Verb::Create { blueprint: second });
    order(&mut node, other, Verb::Start);
    let after = root(&node, other);
    let kept = after.join("srv/kept");
    assert_eq!(fs::read_to_string(&kept).expect("a file"), "kept");
    let (there, here) = (kept.metadata().expect("a file"), before.join("srv/kept"));
    let here = here.metadata().expect("a file");
    assert_eq!(
        (there.mode(), there.uid(), there.gid()),
        (here.mode(), here.uid(), here.gid())
    );
    assert_eq!(there.mode() & 0o7777, 0o4751);
    let mut value = [0; 64];
    let many = lgetxattr(&kept, "security.capability", &mut value[..]).expect("a capability");
    assert_eq!(value[..many], CAPABILITY);
    let machine = fs::read(after.join("etc/machine-id")).expect("a file");
    assert_eq!(machine, b"");
    assert!(!after.join("etc/ssh/ssh_host_rsa_key").exists());
    let name = fs::read_to_string(after.join("etc/hostname")).expect("a name");
    assert_eq!(name, "web-8\n");
    let status = node.status();
    let states: Vec<_> = status.vms.iter().map(|status| status.state).collect();
    assert_eq!(states, [Some(VmState::Running); 2]);
    for vm in [VM, other] {
        order(&mut node, vm, Verb::Delete);
    }
}
