//! VMs that are deployed, modified in each way, by orders alone and with real guests.

use crate::emulated::Node;
use ed25519_dalek::SigningKey;
use image::recipe::Recipe;
use image::store::Store;
use model::blueprint::{Blueprint, BootLoader, EncryptedPart, Encryption, GuestFile};
use model::id::{KeyId, VmId};
use model::order::{Shutdown, Verb, Way};
use std::path::Path;

const FORCED: Shutdown = Shutdown::Forced;

/// A running VM is stopped, given another name and an application, one of its files and a component are
/// taken out, and it runs again, with what it had written; where a change cannot be made it runs again
/// as it was. Nothing is left over.
#[test]
fn a_suspended_vm_is_modified_or_runs_on_as_it_was() {
    let mut node = Node::new();
    let page = application(&node);
    let vm = VmId(7);
    let mut blueprint = node.blueprint(vm, BootLoader::Extlinux, None);
    put(&mut blueprint, "/srv/old");
    create(&mut node, &blueprint);
    node.order(vm, Verb::Start);
    node.boots(vm, 1);
    node.type_in(vm, "echo mine > /srv/kept; sync; echo wri''tten\n");
    node.says(vm, "written");
    let files = node.files();

    let mut renamed = blueprint.clone();
    renamed.name = "renamed".to_owned();
    renamed.customisation.files.clear();
    put(&mut renamed, "/srv/new");
    renamed.customisation.remove = vec!["/srv/index.html".to_owned()];
    renamed.customisation.add.push(page);
    let told = modify(&mut node, &renamed, Way::InPlace).expect_err("it runs");
    assert!(told.contains("hint: stop it first"), "{told}");
    let way = Way::Suspended { shutdown: FORCED };
    modify(&mut node, &renamed, way).expect("it is modified");
    let line = node.boots(vm, 2);
    assert!(line.contains("host=renamed"), "{line}");
    node.type_in(
        vm,
        "echo has $(ls /srv) and $(cat /srv/kept).; cat /srv/added; echo loo''ked\n",
    );
    let said = node.says(vm, "looked");
    assert!(said.contains("has added kept new and mine."), "{said}");
    assert!(said.contains("an application"), "{said}");
    assert_eq!(node.files(), files);

    let mut impossible = renamed.clone();
    impossible.name = "never".to_owned();
    impossible.customisation.remove.push("/no/such".to_owned());
    let told = modify(&mut node, &impossible, way).expect_err("there is no such file");
    assert!(told.contains("/no/such"), "{told}");
    let line = node.boots(vm, 3);
    assert!(line.contains("host=renamed"), "{line}");
    assert_eq!(node.files(), files);
    end(&mut node, vm);
}

/// While a VM runs on, a duplicate of its disk is modified and swapped in; only then it is stopped. What
/// it wrote before is there; a duplicate that cannot be modified stops nothing.
#[test]
fn a_duplicate_is_swapped_in() {
    let mut node = Node::new();
    let vm = VmId(7);
    let blueprint = node.blueprint(vm, BootLoader::Extlinux, None);
    create(&mut node, &blueprint);
    node.order(vm, Verb::Start);
    node.boots(vm, 1);
    node.type_in(vm, "echo mine > /srv/kept; sync; echo wri''tten\n");
    node.says(vm, "written");
    let files = node.files();
    let way = Way::Duplicate { shutdown: FORCED };

    let mut impossible = blueprint.clone();
    impossible.customisation.remove = vec!["/no/such".to_owned()];
    let told = modify(&mut node, &impossible, way).expect_err("there is no such file");
    assert!(told.contains("/no/such"), "{told}");
    node.type_in(vm, "echo still'' here\n");
    node.says(vm, "still here");
    assert_eq!(node.files(), files);

    let mut renamed = blueprint.clone();
    renamed.name = "renamed".to_owned();
    put(&mut renamed, "/srv/new");
    let told = modify(&mut node, &renamed, way).expect("it is modified");
    let place = |word: &str| {
        told.find(word)
            .unwrap_or_else(|| panic!("no {word}: {told}"))
    };
    assert!(place("modify root") < place("stop vm 7"), "{told}");
    let line = node.boots(vm, 2);
    assert!(line.contains("host=renamed"), "{line}");
    node.type_in(
        vm,
        "echo has $(ls /srv) and $(cat /srv/kept).; echo loo''ked\n",
    );
    let said = node.says(vm, "looked");
    assert!(said.contains("has index.html kept new and mine."), "{said}");
    assert_eq!(node.files(), files);
    end(&mut node, vm);
}

/// An encrypted disk and one on a shared base are modified while their VMs are off, and stay what they
/// are.
#[test]
fn disks_of_any_shape_are_modified_in_place() {
    let mut node = Node::new();
    let part = EncryptedPart::Whole;
    let whole = Encryption {
        part,
        key: KeyId(5),
    };
    for (vm, encryption, shared_base) in [(VmId(7), Some(whole), false), (VmId(8), None, true)] {
        let mut blueprint = node.blueprint(vm, BootLoader::Extlinux, encryption);
        blueprint.disks[0].shared_base = shared_base;
        create(&mut node, &blueprint);
        let files = node.files();
        blueprint.name = format!("renamed-{}", vm.0);
        let parameters = &mut blueprint.customisation.parameters;
        parameters.insert("greeting".to_owned(), "Good evening.".to_owned());
        if !shared_base {
            blueprint.customisation.remove = vec!["/etc/hosts".to_owned()];
        }
        modify(&mut node, &blueprint, Way::InPlace).expect("it is modified");
        assert_eq!(node.files(), files);
        node.order(vm, Verb::Start);
        let line = node.boots(vm, 1);
        assert!(line.contains(&format!("host=renamed-{} ", vm.0)), "{line}");
        node.type_in(vm, "cat /srv/index.html; echo loo''ked\n");
        let said = node.says(vm, "looked");
        assert!(said.contains("Good evening."), "{said}");
        end(&mut node, vm);
    }
}

fn create(node: &mut Node, blueprint: &Blueprint) {
    let (vm, blueprint) = (blueprint.vm, Box::new(blueprint.clone()));
    node.order(vm, Verb::Create { blueprint });
}

fn modify(node: &mut Node, blueprint: &Blueprint, way: Way) -> Result<String, String> {
    let (vm, blueprint) = (blueprint.vm, Box::new(blueprint.clone()));
    node.try_order(vm, Verb::Modify { blueprint, way })
}

fn end(node: &mut Node, vm: VmId) {
    node.order(vm, Verb::Stop { shutdown: FORCED });
    node.order(vm, Verb::Delete);
}

fn put(blueprint: &mut Blueprint, path: &str) {
    let file = GuestFile {
        text: "a file\n".to_owned(),
        mode: 0o644,
    };
    blueprint.customisation.files.insert(path.to_owned(), file);
}

/// An application image of one page, where the node takes its images from.
fn application(node: &Node) -> String {
    let recipe = "name = \"page\"\nversion = \"1\"\narch = \"x86_64\"\nguest = \"linux\"\n\
                  content = \"application\"\ncompression = \"zstd\"\n\
                  [source]\nfrom = \"busybox\"\n\
                  [[files]]\npath = \"/srv/added\"\nmode = 0o644\ntext = \"an application\\n\"\n";
    let recipe = Recipe::read(recipe).expect("a good recipe");
    let folder = node.root().join("..");
    let key = SigningKey::from_bytes(&[7; 32]);
    let store = Store::open(&folder.join("store"), vec![key.verifying_key()], 1 << 30);
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/x86_64");
    let made = recipe.make(
        &guests,
        &folder,
        &store.expect("a store"),
        &key,
        &agent::watch::Unwatched,
    );
    made.expect("an image").id
}
