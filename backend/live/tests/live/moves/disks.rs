//! Disks of every kind go with a VM that stands still.

use super::cold::{OFF, SHUT_DOWN};
use super::kind::Kind;
use super::node::DISK_KEY;
use super::order::Move;
use super::pair::Pair;
use model::blueprint::{Blueprint, EncryptedPart, Encryption};
use model::order::{Passage, Storage, Verb};
use model::report::Outcome;
use std::fs;
use std::path::{Path, PathBuf};

/// The VM is made, goes over while it is off, boots there, and comes back shut down, with what its guest
/// wrote; and nothing is left of it.
fn goes_with(change: impl FnOnce(&mut Blueprint), check: impl Fn(&Pair, usize)) {
    let mut pair = Pair::with(Kind::Qemu, Storage::Local);
    change(&mut pair.blueprint);
    pair.create();
    let goes = |pair: &mut Pair, from: usize, passage: Passage| {
        let this = Move::begin(pair, passage, 1 - from);
        let [here, there] = pair.ends(from);
        assert_eq!(this.go(here, there), (Outcome::Done, Outcome::Done));
        assert!(!pair.has(from) && pair.has(1 - from));
        check(pair, 1 - from);
    };
    goes(&mut pair, 0, OFF);
    pair.order(1, Verb::Start);
    pair.nodes[1].says("GUEST-UP host=web-7");
    pair.nodes[1].says(super::guest::PROMPT);
    let written = super::guest::reads(
        &pair.nodes[1],
        "echo written >/srv/here; sync; cat /srv/here",
    );
    assert_eq!(written, "written");
    goes(&mut pair, 1, SHUT_DOWN);
    pair.nodes[0].says("GUEST-UP host=web-7");
    pair.nodes[0].says(super::guest::PROMPT);
    assert_eq!(
        super::guest::reads(&pair.nodes[0], "cat /srv/here"),
        "written"
    );
    pair.order(0, Verb::Delete);
    assert!(!pair.has(0) && !pair.has(1));
}

/// One that is encrypted arrives as it was, and opens by the same key.
#[test]
fn an_encrypted_disk_goes_there_and_back() {
    let encryption = Encryption {
        key: DISK_KEY,
        part: EncryptedPart::Whole,
    };
    goes_with(
        |blueprint| blueprint.disks[0].encryption = Some(encryption),
        |pair, on| {
            let disk = pair.nodes[on].root().join("vms/vm-7/root.luks");
            let magic = fs::read(disk).expect("an encrypted disk");
            assert!(magic.starts_with(b"LUKS"));
        },
    );
}

/// One on a shared base stands on the base of the node that it has come to, and the base of the other
/// goes with it.
#[test]
fn a_disk_on_a_shared_base_goes_there_and_back() {
    let bases = |root: &Path| -> Vec<PathBuf> {
        let found = fs::read_dir(root.join("bases")).into_iter().flatten();
        found.flatten().map(|entry| entry.path()).collect()
    };
    goes_with(
        |blueprint| blueprint.disks[0].shared_base = true,
        |pair, on| {
            assert!(!bases(pair.nodes[on].root()).is_empty());
            assert_eq!(bases(pair.nodes[1 - on].root()), Vec::<PathBuf>::new());
        },
    );
}
