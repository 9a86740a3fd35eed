//! A VM whose disk consists of volumes of two other nodes, and all that may die meanwhile.

use crate::moves::guest::{PROMPT, reads};
use crate::moves::kind::Kind;
use crate::moves::node::{Node, VM, key_bytes, wait_for};
use crate::moves::pair::Nodes;
use drivers::process::Process;
use image::manifest::hex;
use model::blueprint::{Blueprint, Disk, Extent, Format, Partition, PartitionTable};
use model::id::KeyId;
use model::order::{Shutdown, Verb};
use model::report::{Outcome, VmState};
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// Each of the two volumes, in MiB.
const SIZE_MIB: u64 = 20;

/// The keys of the volumes, by the places of their nodes.
const KEYS: [KeyId; 2] = [KeyId(101), KeyId(102)];

/// The digest of what is on the guest's disk of volumes.
const DIGEST: &str = "sha256sum /dev/vdb | cut -c 1-64";

fn lend(place: usize) -> Verb {
    Verb::Lend {
        volume: "part".to_owned(),
        size_mib: SIZE_MIB,
        key: KEYS[place - 1],
    }
}

/// A node's volume, and where it is served.
fn lent(nodes: &mut Nodes<3>, place: usize) -> Extent {
    let told = nodes.begin(place, lend(place), [KEYS[place - 1]]).done();
    let address = told.iter().find_map(|outcome| match outcome {
        Outcome::Listening { address } => Some(address.parse::<SocketAddr>()),
        _ => None,
    });
    Extent {
        node: nodes.nodes[place].id,
        address: address.expect("it is told").expect("an address"),
        volume: "part".to_owned(),
        size_mib: SIZE_MIB,
        key: KEYS[place - 1],
    }
}

/// The VM with a disk of these volumes.
fn blueprint(nodes: &Nodes<3>, extents: Vec<Extent>) -> Box<Blueprint> {
    let mut blueprint = nodes.blueprint.clone();
    let wide = Disk {
        name: "wide".to_owned(),
        size_mib: extents.iter().map(|extent| extent.size_mib).sum(),
        image: None,
        table: PartitionTable::None,
        partitions: Vec::new(),
        extents,
        ..blueprint.disks[0].clone()
    };
    blueprint.disks.push(wide);
    blueprint
}

/// A node's processes that serve volumes: the servers, and their daemons.
fn serving(node: &Node) -> (Vec<Process>, Vec<Process>) {
    let root = node.root().display().to_string();
    let words = |process: &Process| {
        let words = process.words().into_iter();
        let words: Vec<String> = words
            .map(|word| String::from_utf8_lossy(&word).into_owned())
            .collect();
        words
    };
    let ours = Process::all().filter(|process| words(process).iter().any(|w| w.contains(&root)));
    let ours = ours.filter(|process| words(process).iter().any(|w| w.contains("vm-7")));
    let ours: Vec<Process> = ours.collect();
    let is = |word: &str| {
        let found = ours.iter().filter(|process| {
            let words = words(process);
            words.iter().any(|w| w == word) && words[0] != "setpriv"
        });
        found.cloned().collect()
    };
    (is("serve-volume"), is("qemu-storage-daemon"))
}

fn volume(node: &Node) -> PathBuf {
    node.root().join("lent/vm-7-part/volume.raw")
}

fn wait_booted(node: &Node, times: usize) {
    wait_for("the guest's shell", || {
        let console = node.console();
        console.matches("GUEST-UP").count() == times
            && console
                .rsplit("GUEST-UP")
                .next()
                .is_some_and(|rest| rest.contains(PROMPT))
    });
}

/// A guest writes over the whole of a disk that two other nodes lend, reads it back whoever is killed
/// and after it was off, and nobody without the keys does; deleted, nothing is left of it anywhere.
#[test]
fn a_disk_of_two_nodes_outlives_all_who_serve_it() {
    let mut nodes = Nodes::star(Kind::Qemu);
    let extents = vec![lent(&mut nodes, 1), lent(&mut nodes, 2)];
    let addresses: Vec<SocketAddr> = extents.iter().map(|extent| extent.address).collect();
    let blueprint = blueprint(&nodes, extents);
    nodes.begin(0, Verb::Create { blueprint }, []).done();
    nodes.begin(0, Verb::Start, KEYS).done();
    wait_booted(&nodes.nodes[0], 1);
    let fill = "n=$(dd if=/dev/urandom of=/dev/vdb bs=64k 2>/dev/null; blockdev --getsize64 /dev/vdb); \
                echo $n";
    let size = reads(&nodes.nodes[0], fill);
    assert_eq!(size, ((2 * SIZE_MIB) << 20).to_string());
    let digest = reads(&nodes.nodes[0], DIGEST);
    let volumes = [1, 2].map(|place| volume(&nodes.nodes[place]));
    let found = Command::new("sh")
        .args(["-c", "cat \"$@\" | sha256sum", "sh"])
        .args(&volumes)
        .output();
    let found = String::from_utf8(found.expect("a shell").stdout).expect("text");
    let found = found.split_whitespace().next();
    assert_eq!(found, Some(digest.as_str()), "one after the other");

    for (place, address) in addresses.iter().enumerate() {
        refuses_strangers(&nodes.nodes[0], *address);
        // Asked for again, it is where it was.
        assert_eq!(lent(&mut nodes, place + 1).address, *address);
    }

    for node in &mut nodes.nodes {
        holds_no_key(node);
        let before = serving(node);
        node.restart(None);
        assert_eq!(serving(node), before, "untouched");
    }
    assert_eq!(nodes.nodes[0].status().vms[0].state, Some(VmState::Running));
    assert_eq!(reads(&nodes.nodes[0], DIGEST), digest);

    // The daemons at both ends, each started again by its server.
    for place in 0..3 {
        let (_, daemons) = serving(&nodes.nodes[place]);
        let [daemon] = daemons.as_slice() else {
            panic!("{daemons:?}")
        };
        daemon.kill();
        assert_eq!(reads(&nodes.nodes[0], DIGEST), digest);
    }
    // A whole server, as where a node was restarted: it comes back with its key.
    let (servers, _) = serving(&nodes.nodes[2]);
    servers.iter().for_each(Process::kill);
    wait_for("its end", || serving(&nodes.nodes[2]) == (vec![], vec![]));
    assert_eq!(lent(&mut nodes, 2).address, addresses[1]);
    assert_eq!(reads(&nodes.nodes[0], DIGEST), digest);

    let shutdown = Shutdown::Forced;
    nodes.order(0, Verb::Stop { shutdown });
    assert_eq!(
        serving(&nodes.nodes[0]),
        (vec![], vec![]),
        "nothing is joined"
    );
    nodes.begin(0, Verb::Start, KEYS).done();
    wait_booted(&nodes.nodes[0], 2);
    assert_eq!(reads(&nodes.nodes[0], DIGEST), digest);

    for place in 0..3 {
        let told = nodes.order(place, Verb::Delete);
        let wiped = |outcome: &Outcome| {
            matches!(outcome, Outcome::Progressed { step, done_milli: 1_000 }
                if step.starts_with("wipe") && step.ends_with("lent/vm-7-part"))
        };
        assert_eq!(told.iter().any(wiped), place > 0, "{told:?}");
    }
    for node in &nodes.nodes {
        assert_eq!(node.traces(), Vec::<String>::new());
        assert!(node.status().vms.iter().all(|status| status.vm != VM));
    }
}

/// A disk that two other nodes lend is made as its VM's blueprint says before the VM starts, also where
/// the agent is killed meanwhile: what lay in its holes before is gone, nothing goes on serving, and the
/// guest mounts what was made.
#[test]
fn a_disk_of_two_nodes_begins_as_its_blueprint_says() {
    let mut nodes = Nodes::star(Kind::Qemu);
    let extents = vec![lent(&mut nodes, 1), lent(&mut nodes, 2)];
    let old = vec![0xa5; 4 << 20];
    for place in [1, 2] {
        let volume = volume(&nodes.nodes[place]);
        let opened = OpenOptions::new().write(true).open(volume);
        let opened = opened.expect("what is lent");
        opened.write_all_at(&old, 8 << 20).expect("room for it");
    }
    let mut blueprint = blueprint(&nodes, extents);
    blueprint.disks[1].table = PartitionTable::Gpt;
    blueprint.disks[1].partitions = vec![Partition {
        name: "wide".to_owned(),
        size_mib: None,
        format: Format::Ext4,
        block_bytes: None,
        mount: Some("/srv".to_owned()),
        bootable: false,
    }];
    let (_, operation, _) = nodes.numbers();
    let create = Verb::Create { blueprint };
    let point = "before the call nbd";
    nodes.nodes[0].restart(Some(point));
    let end = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Failed { .. });
    let made = nodes.nodes[0].outlives((operation, &create, &KEYS), end);
    assert_eq!(made, Outcome::Done);
    assert_eq!(nodes.nodes[0].killed_at(), [point]);
    assert_eq!(serving(&nodes.nodes[0]), (vec![], vec![]));
    for place in [1, 2] {
        let bytes = fs::read(volume(&nodes.nodes[place])).expect("what is lent");
        assert!(!bytes.windows(512).any(|part| part == &old[..512]));
        holds_no_key(&nodes.nodes[place]);
    }
    holds_no_key(&nodes.nodes[0]);

    nodes.begin(0, Verb::Start, KEYS).done();
    wait_booted(&nodes.nodes[0], 1);
    let mount = "mkdir -p /srv; mount -t ext4 /dev/vdb1 /srv 2>/dev/null; \
                 dd if=/dev/urandom of=/srv/file bs=64k count=400 2>/dev/null; sync; \
                 stat -c %s /srv/file";
    assert_eq!(reads(&nodes.nodes[0], mount), (400 << 16).to_string());
    let mounted = "grep -c '/dev/vdb1 /srv ext4' /proc/mounts";
    assert_eq!(reads(&nodes.nodes[0], mounted), "1");
    for place in 0..3 {
        nodes.order(place, Verb::Delete);
    }
    for node in &nodes.nodes {
        assert_eq!(node.traces(), Vec::<String>::new());
    }
}

/// The keys are in no file of a node and in no argument of a process.
fn holds_no_key(node: &Node) {
    let texts = KEYS.map(|key| hex(&key_bytes(key)));
    let tells = |bytes: &[u8]| {
        let found = |text: &String| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        texts.iter().any(found)
    };
    let mut folders = vec![node.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let kind = entry.file_type().expect("a kind");
            // Disks hold what the guest writes.
            let disk = entry.path().extension().is_some_and(|end| end == "raw");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && !disk {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                assert!(!tells(&bytes), "a key is in {}", entry.path().display());
            }
        }
    }
    let (servers, daemons) = serving(node);
    for process in servers.iter().chain(&daemons) {
        assert!(!process.words().iter().any(|word| tells(word)));
    }
}

/// In clear, and with another key, nobody learns so much as a volume's size.
fn refuses_strangers(from: &Node, address: SocketAddr) {
    let clear = from
        .room()
        .output(&format!("qemu-img info nbd://{address}/part"));
    let said = String::from_utf8_lossy(&clear.stderr).into_owned();
    assert!(!clear.status.success(), "{clear:?}");
    assert!(said.contains("TLS negotiation required"), "{said}");
    let folder = tempfile::tempdir().expect("a folder");
    let guess = format!("gridwright:{}\n", "ab".repeat(32));
    fs::write(folder.path().join("keys.psk"), guess).expect("a key");
    let (host, port) = (address.ip(), address.port());
    let guessed = from.room().output(&format!(
        "qemu-img info --object tls-creds-psk,id=guess,dir={},endpoint=client,username=gridwright \
         --image-opts driver=nbd,server.type=inet,server.host={host},server.port={port},export=part,\
         tls-creds=guess",
        folder.path().display()
    ));
    let said = String::from_utf8_lossy(&guessed.stderr).into_owned();
    assert!(!guessed.status.success(), "{guessed:?}");
    assert!(said.contains("TLS handshake failed"), "{said}");
}
