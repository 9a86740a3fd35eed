//! Nodes with cables between them, and the orders by which a controller moves a VM from one to another.

use super::kind::{Kind, key};
use super::node::{Node, VM, node_root};
use super::room::Room;
use super::under::Under;
use crate::recipes::make;
use image::store::Store;
use model::blueprint::Blueprint;
use model::id::{KeyId, OperationId};
use model::order::{Passage, Storage, Verb};
use model::report::{Outcome, VmState};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Agents that know each other.
pub struct Nodes<const N: usize> {
    pub nodes: [Node; N],
    /// Where the VM's disks are.
    pub storage: Storage,
    /// The VM that the tests are about.
    pub blueprint: Box<Blueprint>,
    operations: u64,
    _folder: tempfile::TempDir,
}

/// Two of them, between which a VM moves.
pub type Pair = Nodes<2>;

impl Nodes<3> {
    /// One that has a cable to each of two others.
    pub fn star(kind: Kind) -> Self {
        Self::wired(kind, Storage::Local, |[hub, first, second]| {
            hub.cable("uplink", first, "uplink");
            hub.cable("other", second, "uplink");
            hub.run("ip addr add 198.51.101.1/24 dev other");
            hub.run("ip link set other up");
            ["198.51.100.1", "198.51.100.2", "198.51.101.2"].map(str::to_owned)
        })
    }
}

impl<const N: usize> Nodes<N> {
    /// Nodes whose cables are laid by a function; their addresses, on the device `uplink`, come back.
    fn wired(kind: Kind, storage: Storage, cables: impl FnOnce(&[Room; N]) -> [String; N]) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        // The tools' own user and containers find their way through.
        let open = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let images = folder.path().join("store");
        let trusted = vec![key().verifying_key()];
        let store = Store::open(&images, trusted, 1 << 30).expect("a store");
        let made = kind.recipes().iter();
        let made: Vec<String> = made
            .map(|name| make(name, folder.path(), &store, &key()))
            .collect();
        let rooms = std::array::from_fn(|_| Room::new());
        let hosts = cables(&rooms);
        let mut place = 0;
        let mut nodes = rooms.map(|room| {
            let host = &hosts[place];
            let peers: Vec<&String> = hosts.iter().filter(|other| *other != host).collect();
            room.run(&format!("ip addr add {host}/24 dev uplink"));
            room.run("ip link set uplink up");
            place += 1;
            let number = place as u32;
            if storage == Storage::Shared {
                let shared = folder.path().join("shared");
                let root = node_root(folder.path(), number);
                fs::create_dir_all(&shared).expect("a folder");
                fs::create_dir_all(&root).expect("a folder");
                symlink(shared, root.join("vms")).expect("a link");
            }
            let paths = (folder.path(), images.as_path());
            Node::start(number, kind, paths, (host, &peers), room)
        });
        nodes.iter_mut().for_each(Node::listens);
        Self {
            nodes,
            storage,
            blueprint: kind.blueprint(&made),
            operations: 0,
            _folder: folder,
        }
    }

    /// Carries out an order on a node; all outcomes that were told.
    pub fn order(&mut self, on: usize, verb: Verb) -> Vec<Outcome> {
        self.begin(on, verb, []).done()
    }

    /// Numbers for the key and the two orders of a move.
    pub fn numbers(&mut self) -> (KeyId, OperationId, OperationId) {
        self.operations += 3;
        let last = self.operations;
        (KeyId(last - 2), OperationId(last - 1), OperationId(last))
    }

    /// Sends an order with keys beside it.
    pub fn begin<const K: usize>(&mut self, on: usize, verb: Verb, keys: [KeyId; K]) -> Under {
        self.operations += 1;
        let operation = OperationId(self.operations);
        let stream = self.nodes[on].try_order(operation, &verb, &keys);
        Under::new(operation, &verb, stream.expect("the agent lives"))
    }
}

impl Pair {
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, Storage::Local)
    }

    /// Nodes whose disks are in a folder of each, or in the same.
    pub fn with(kind: Kind, storage: Storage) -> Self {
        Self::wired(kind, storage, |[first, second]| {
            first.cable("uplink", second, "uplink");
            ["198.51.100.1", "198.51.100.2"].map(str::to_owned)
        })
    }

    /// Makes the VM on the first node.
    pub fn create(&mut self) {
        let blueprint = self.blueprint.clone();
        self.order(0, Verb::Create { blueprint });
    }

    /// Moves the VM; the outcomes that its sender told.
    pub fn moves(&mut self, from: usize) -> Vec<Outcome> {
        self.operations += 1;
        let key = KeyId(self.operations);
        let (blueprint, storage) = (self.blueprint.clone(), self.storage);
        let receive = Verb::Receive {
            blueprint,
            storage,
            key,
            passage: Passage::Live,
        };
        let to = 1 - from;
        let mut received = self.begin(to, receive, [key]);
        let Outcome::Listening { address } = received.until("it listens", |outcome| {
            matches!(outcome, Outcome::Listening { .. })
        }) else {
            unreachable!("it was just matched")
        };
        let migrate = Verb::Migrate {
            to: self.nodes[to].id,
            address,
            storage,
            key,
            passage: Passage::Live,
        };
        let sent = self.begin(from, migrate, [key]).done();
        received.done();
        sent
    }

    /// Whether a node has the VM; one that has not has nothing of it.
    pub fn has(&self, on: usize) -> bool {
        let node = &self.nodes[on];
        let has = node.status().vms.iter().any(|status| status.vm == VM);
        if !has {
            assert_eq!(node.traces(), Vec::<String>::new());
        }
        has
    }

    /// The node that the VM is to leave, and the other.
    pub fn ends(&mut self, from: usize) -> [&mut Node; 2] {
        let [first, second] = &mut self.nodes;
        match from {
            0 => [first, second],
            _ => [second, first],
        }
    }

    /// How the VM is on a node.
    pub fn state(&self, on: usize) -> Option<VmState> {
        let status = self.nodes[on].status();
        status.vms.iter().find(|status| status.vm == VM)?.state
    }
}
