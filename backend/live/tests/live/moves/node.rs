//! Two nodes with a cable between them, each a network namespace with a running agent, and the orders
//! by which a controller moves a VM from one to the other.

use super::room::Room;
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::recipe::Recipe;
use image::store::Store;
use live::config::Listen;
use live::frame;
use live::protocol::{Answer, HexKey, Request, Status};
use live::socket;
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Interface, Partition, PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{Generation, KeyId, NetworkId, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Storage, Verb};
use model::report::Outcome;
use model::time::Time;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest boots in 4 s alone; with all tests on two cores it takes many times that.
const LIMIT: Duration = Duration::from_secs(120);

pub const VM: VmId = VmId(7);

/// Two agents, and the images that both take.
pub struct Pair {
    pub nodes: [Node; 2],
    images: [String; 2],
    operations: u64,
    _folder: tempfile::TempDir,
}

/// A node with its agent; nothing of it outlives a test.
pub struct Node {
    id: NodeId,
    root: PathBuf,
    config: PathBuf,
    room: Room,
    agent: Child,
}

impl Pair {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        image::sandbox::let_through(folder.path()).expect("our folder");
        let images = folder.path().join("store");
        let trusted = vec![key().verifying_key()];
        let store = Store::open(&images, trusted, 1 << 30).expect("a store");
        let made = ["busybox", "linux"].map(|name| make(name, folder.path(), &store));
        let rooms = [Room::new(), Room::new()];
        rooms[0].cable("uplink", &rooms[1], "uplink");
        let mut place = 0;
        let nodes = rooms.map(|room| {
            place += 1;
            room.run(&format!("ip addr add 198.51.100.{place}/24 dev uplink"));
            room.run("ip link set uplink up");
            Node::start(place, folder.path(), &images, room)
        });
        nodes.iter().for_each(Node::listens);
        Self {
            nodes,
            images: made,
            operations: 0,
            _folder: folder,
        }
    }

    /// A VM of 256 MiB that boots from its own disk.
    pub fn blueprint(&self) -> Box<Blueprint> {
        let [system, linux] = self.images.clone();
        Box::new(Blueprint {
            vm: VM,
            tenant: TenantId(1),
            name: "web-7".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Full,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 256,
            max_mem_mib: 256,
            boot: BootLoader::Extlinux,
            kernel_arguments: "console=ttyS0 quiet panic=-1".to_owned(),
            disks: vec![Disk {
                name: "root".to_owned(),
                size_mib: 96,
                image: Some(system),
                table: PartitionTable::Gpt,
                partitions: vec![Partition {
                    name: "root".to_owned(),
                    size_mib: None,
                    format: Format::Ext4,
                    block_bytes: None,
                    mount: Some("/".to_owned()),
                    bootable: true,
                }],
                shared_base: false,
                encryption: None,
                iops: None,
                mibps: None,
            }],
            interfaces: vec![Interface {
                name: "front".to_owned(),
                network: NetworkId(1),
                mac: [0x52, 0x54, 0, 0, 0, 7],
                addresses: vec![([192, 0, 2, 7].into(), 24)],
                gateway: None,
                mbps: None,
                allowed: Vec::new(),
            }],
            customisation: Customisation {
                add: vec![linux],
                ..Customisation::default()
            },
            highly_available: false,
        })
    }

    /// Carries out an order on a node; all outcomes that were told.
    pub fn order(&mut self, on: usize, verb: Verb) -> Vec<Outcome> {
        self.begin(on, verb, None).done()
    }

    /// Moves the VM; the outcomes that its sender told.
    pub fn moves(&mut self, from: usize) -> Vec<Outcome> {
        self.operations += 1;
        let key = KeyId(self.operations);
        let (blueprint, storage) = (self.blueprint(), Storage::Local);
        let receive = Verb::Receive {
            blueprint,
            storage,
            key,
        };
        let to = 1 - from;
        let mut received = self.begin(to, receive, Some(key));
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
        };
        let sent = self.begin(from, migrate, Some(key)).done();
        received.done();
        sent
    }

    fn begin(&mut self, on: usize, verb: Verb, key: Option<KeyId>) -> Under {
        self.operations += 1;
        let operation = OperationId(self.operations);
        let node = &self.nodes[on];
        let shown = format!("{verb:?}");
        let order = Box::new(Order {
            operation,
            generation: Generation(1),
            node: node.id,
            vm: VM,
            verb,
            deadline: Time::NEVER,
        });
        let bytes = |KeyId(key)| HexKey::new(&[key as u8; 32]);
        let keys = key.map(|key| (key, bytes(key))).into_iter().collect();
        let mut stream = node.connect();
        frame::send(&mut stream, &Request::Follow).expect("it hears");
        frame::send(&mut stream, &Request::Order { order, keys }).expect("it hears");
        Under {
            operation,
            shown,
            stream,
            told: Vec::new(),
        }
    }
}

/// An order under way.
struct Under {
    operation: OperationId,
    shown: String,
    stream: UnixStream,
    told: Vec<Outcome>,
}

impl Under {
    /// Waits until an outcome of its own is this.
    fn until(&mut self, what: &str, is: impl Fn(&Outcome) -> bool) -> Outcome {
        loop {
            let answer = frame::receive(&mut self.stream);
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {}: {error}", self.shown));
            let report = match answer.expect("the agent lives") {
                Answer::Reported { report } => report,
                Answer::Refused { reason } => panic!("{}: {reason}", self.shown),
                _ => continue,
            };
            if report.operation != Some(self.operation) {
                continue;
            }
            self.told.push(report.outcome.clone());
            if is(&report.outcome) {
                return report.outcome.clone();
            }
            let bad = matches!(
                report.outcome,
                Outcome::Failed { .. } | Outcome::Refused { .. } | Outcome::Cancelled
            );
            assert!(!bad, "{what}: {}: {:?}", self.shown, report.outcome);
        }
    }

    fn done(mut self) -> Vec<Outcome> {
        self.until("its end", |outcome| *outcome == Outcome::Done);
        self.told
    }
}

impl Node {
    fn start(place: u32, folder: &Path, images: &Path, room: Room) -> Self {
        let root = folder.join(format!("node{place}"));
        let config = folder.join(format!("agent{place}.toml"));
        let text = format!(
            "node = {place}\nroot = {root:?}\ndriver = \"qemu\"\nplugging = \"tap\"\n\
             images = {images:?}\nsigners = [{:?}]\nhost = \"198.51.100.{place}\"\n\
             peers = [\"198.51.100.{}\"]\n",
            hex(key().verifying_key().as_bytes()),
            3 - place,
        );
        fs::write(&config, text).expect("a configuration");
        let mut agent = room.command(env!("CARGO_BIN_EXE_gridwright-agent"));
        agent.arg("--config").arg(&config).stdin(Stdio::null());
        Self {
            id: NodeId(place),
            root,
            config,
            agent: agent.spawn().expect("nsenter, of util-linux"),
            room,
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn listens(&self) {
        wait_for("the agent to listen", || self.try_connect().is_some());
    }

    fn try_connect(&self) -> Option<UnixStream> {
        let stream = socket::connect(&Listen::Unix(self.root.join("agent.sock"))).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        Some(stream)
    }

    fn connect(&self) -> UnixStream {
        self.try_connect().expect("the agent lives")
    }

    pub fn status(&self) -> Status {
        let mut stream = self.connect();
        frame::send(&mut stream, &Request::Status).expect("it hears");
        match frame::receive(&mut stream).expect("it answers") {
            Some(Answer::Status { status }) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// All that its guest said on this node.
    pub fn console(&self) -> String {
        let path = self.root.join("driver/vm-7/console.log");
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits until its guest has said something on this node; all that it has said then.
    pub fn says(&self, text: &str) -> String {
        wait_for(text, || self.console().contains(text));
        self.console()
    }

    /// Types a line at its guest's console; what is not read when the connection that comes back is
    /// dropped is lost.
    pub fn type_line(&self, line: &str) -> UnixStream {
        let path = self.root.join("driver/vm-7/console");
        let mut console = UnixStream::connect(path).expect("a console");
        writeln!(console, "{line}").expect("it is taken");
        console
    }

    /// Whatever is left of the VM: files, processes, devices and rules.
    pub fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = path.path();
                if path.display().to_string().contains("vm-7") {
                    found.push(path.display().to_string());
                } else if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        let root = self.root.display().to_string();
        for process in fs::read_dir("/proc").expect("proc").flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&root) && line.contains("vm-7") {
                found.push(line);
            }
        }
        for words in ["ip -o link", "nft list ruleset", "ip -o addr"] {
            let told = self.room.run(words);
            let ours = |line: &&str| line.contains("gw7-") || line.contains("gwb1");
            found.extend(told.lines().filter(ours).map(str::to_owned));
        }
        found
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        self.agent.kill().ok();
        self.agent.wait().ok();
        let mut halt = self.room.command(env!("CARGO_BIN_EXE_gridwright-agent"));
        halt.arg("--config").arg(&self.config).args(["halt", "7"]);
        halt.stderr(Stdio::null()).status().ok();
    }
}

pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn make(name: &str, work: &Path, store: &Store) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(format!("assets/recipes/{name}.toml")));
    let recipe = Recipe::read(&text.expect("a recipe")).expect("a good recipe");
    let guests = root.join("target/guests/x86_64");
    assert!(guests.join("complete").exists(), "run `make guests`");
    let made = recipe.make(&guests, work, store, &key(), &agent::watch::Unwatched);
    made.expect("an image").id
}
