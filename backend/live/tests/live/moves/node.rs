//! Nodes with cables between them, each a network namespace with a running agent, and the orders by
//! which a controller moves a VM from one to the other.

pub use super::kind::Kind;
use super::kind::{key, make};
use super::room::Room;
use super::under::Under;
use crate::incusd::Incusd;
use crate::sys::sees_its_network;
use image::manifest::hex;
use image::store::Store;
use live::config::Listen;
use live::frame;
use live::protocol::{Answer, HexKey, Request, Status};
use live::socket;
use model::blueprint::Blueprint;
use model::id::{Generation, KeyId, NodeId, OperationId, VmId};
use model::order::{Order, Passage, Storage, Verb};
use model::report::Outcome;
use model::time::Time;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest boots in 4 s alone; with all tests on two cores it takes many times that.
const LIMIT: Duration = Duration::from_secs(120);

pub const VM: VmId = VmId(7);

/// Two of them, alike.
pub type Pair = Nodes<2>;

/// Agents, and the images that all take.
pub struct Nodes<const N: usize> {
    pub nodes: [Node; N],
    kind: Kind,
    images: Vec<String>,
    operations: u64,
    _folder: tempfile::TempDir,
}

/// A node with its agent; nothing of it outlives a test.
pub struct Node {
    pub id: NodeId,
    root: PathBuf,
    config: PathBuf,
    /// Where its guest writes what it says.
    console: PathBuf,
    agent: Child,
    incus: Option<Incusd>,
    room: Room,
    /// Agents that died by themselves since one was put in place.
    died: usize,
}

impl Nodes<2> {
    /// Two that move VMs to each other.
    pub fn new(kind: Kind) -> Self {
        Self::wired(kind, |[first, second]| {
            first.cable("uplink", second, "uplink");
            ["198.51.100.1", "198.51.100.2"].map(str::to_owned)
        })
    }
}

impl Nodes<3> {
    /// One that has a cable to each of two others.
    #[allow(dead_code, reason = "the benchmark moves a VM and no more")]
    pub fn star(kind: Kind) -> Self {
        Self::wired(kind, |[hub, first, second]| {
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
    fn wired(kind: Kind, cables: impl FnOnce(&[Room; N]) -> [String; N]) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        // The tools' own user and containers find their way through.
        let open = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let images = folder.path().join("store");
        let trusted = vec![key().verifying_key()];
        let store = Store::open(&images, trusted, 1 << 30).expect("a store");
        let made = kind.recipes().iter();
        let made = made.map(|name| make(name, folder.path(), &store)).collect();
        let rooms = std::array::from_fn(|_| Room::new());
        let hosts = cables(&rooms);
        let mut place = 0;
        let nodes = rooms.map(|room| {
            let host = &hosts[place];
            let peers: Vec<&String> = hosts.iter().filter(|other| *other != host).collect();
            room.run(&format!("ip addr add {host}/24 dev uplink"));
            room.run("ip link set uplink up");
            place += 1;
            let paths = (folder.path(), images.as_path());
            Node::start(place as u32, kind, paths, (host, &peers), room)
        });
        nodes.iter().for_each(Node::listens);
        Self {
            nodes,
            kind,
            images: made,
            operations: 0,
            _folder: folder,
        }
    }

    /// The VM that the tests move.
    pub fn blueprint(&self) -> Box<Blueprint> {
        self.kind.blueprint(&self.images)
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
    /// Moves the VM; the outcomes that its sender told.
    pub fn moves(&mut self, from: usize) -> Vec<Outcome> {
        self.operations += 1;
        let key = KeyId(self.operations);
        let (blueprint, storage) = (self.blueprint(), Storage::Local);
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
}

impl Node {
    fn start(
        place: u32,
        kind: Kind,
        (folder, images): (&Path, &Path),
        (host, peers): (&str, &[&String]),
        room: Room,
    ) -> Self {
        let root = folder.join(format!("node{place}"));
        let config = folder.join(format!("agent{place}.toml"));
        let mut text = format!(
            "node = {place}\nroot = {root:?}\ndriver = \"{}\"\n\
             images = {images:?}\nsigners = [{:?}]\nhost = {host:?}\npeers = {peers:?}\n",
            kind.driver(),
            hex(key().verifying_key().as_bytes()),
        );
        let mut console = root.join("driver/vm-7/console.log");
        let incus = (kind == Kind::Incus).then(|| {
            let sys = folder.join(format!("sys{place}"));
            fs::create_dir(&sys).expect("a folder");
            let sees = sees_its_network(&sys);
            let sees = sees.each_ref().map(String::as_str);
            let net = room.net();
            let inside = [&["nsenter", &net][..], &sees].concat();
            Incusd::start(&folder.join(format!("incus{place}")), &inside)
        });
        match &incus {
            Some(server) => {
                let (socket, logs) = (server.socket(), server.logs());
                text += &format!("[incus]\nsocket = {socket:?}\nlogs = {logs:?}\n");
                console = logs.join("gridwright_vm-7/console.log");
            }
            None => text += "plugging = \"tap\"\n",
        }
        fs::write(&config, text).expect("a configuration");
        Self {
            id: NodeId(place),
            incus,
            console,
            agent: run(&room, &config, None),
            died: 0,
            root,
            config,
            room,
        }
    }

    /// Another agent in place of one that has died, or is killed now.
    pub fn restart(&mut self, kill_at: Option<&str>) {
        self.agent.kill().ok();
        self.agent.wait().expect("a child");
        self.agent = run(&self.room, &self.config, kill_at);
        self.died = 0;
        self.listens();
    }

    /// Sends an order and waits for an outcome of it; an agent that dies is followed by another, to
    /// which the order is sent again.
    pub fn outlives(
        &mut self,
        (operation, verb, key): (OperationId, &Verb, KeyId),
        is: impl Fn(&Outcome) -> bool,
    ) -> Outcome {
        loop {
            let found = self
                .try_order(operation, verb, &[key])
                .and_then(|mut stream| {
                    loop {
                        match frame::receive(&mut stream).ok()?? {
                            Answer::Reported { report }
                                if report.operation == Some(operation) && is(&report.outcome) =>
                            {
                                return Some(report.outcome.clone());
                            }
                            Answer::Refused { reason } => panic!("{verb:?}: {reason}"),
                            _ => {}
                        }
                    }
                });
            if let Some(outcome) = found {
                return outcome;
            }
            wait_for("the agent's end", || {
                self.agent.try_wait().expect("a child").is_some()
            });
            let died = self.died + 1;
            self.restart(None);
            self.died = died;
        }
    }

    /// How many agents died by themselves since one was put in place.
    pub fn died(&self) -> usize {
        self.died
    }

    fn try_order(&self, operation: OperationId, verb: &Verb, keys: &[KeyId]) -> Option<UnixStream> {
        let order = Box::new(Order {
            operation,
            generation: Generation(1),
            node: self.id,
            vm: VM,
            verb: verb.clone(),
            deadline: Time::NEVER,
        });
        let bytes = |KeyId(key)| HexKey::new(&[key as u8; 32]);
        let keys = keys.iter().map(|key| (*key, bytes(*key))).collect();
        let mut stream = self.try_connect()?;
        frame::send(&mut stream, &Request::Follow).ok()?;
        frame::send(&mut stream, &Request::Order { order, keys }).ok()?;
        Some(stream)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it is.
    #[allow(dead_code, reason = "the benchmark moves a VM and no more")]
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn listens(&self) {
        wait_for("the agent to listen", || self.try_connect().is_some());
    }

    fn try_connect(&self) -> Option<UnixStream> {
        connect(&self.root)
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

    /// The root of its container on this node.
    pub fn container(&self) -> PathBuf {
        let server = self.root.with_file_name(format!("incus{}", self.id.0));
        server.join("storage-pools/default/containers/gridwright_vm-7/rootfs")
    }

    /// All that its guest said on this node.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
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
        if let Some(incus) = &self.incus {
            for list in ["list", "image list"] {
                let words = list.split(' ').chain(["--all-projects", "--format", "csv"]);
                let told = incus.client(&words.collect::<Vec<_>>());
                // The probe of the agent's start may still be under way.
                let ours = told.lines().filter(|line| line.contains("vm-7"));
                found.extend(ours.map(str::to_owned));
            }
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

fn connect(root: &Path) -> Option<UnixStream> {
    let stream = socket::connect(&Listen::Unix(root.join("agent.sock"))).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    Some(stream)
}

/// Calls an order off; whether the agent of a node has heard it.
pub fn call_off(root: &Path, operation: OperationId) -> bool {
    let Some(mut stream) = connect(root) else {
        return false;
    };
    frame::send(&mut stream, &Request::CallOff { operation }).is_ok()
        && matches!(frame::receive::<Answer>(&mut stream), Ok(Some(_)))
}

/// An agent, which may be killed at a point of this name.
fn run(room: &Room, config: &Path, kill_at: Option<&str>) -> Child {
    let mut agent = room.command(env!("CARGO_BIN_EXE_gridwright-agent"));
    agent.arg("--config").arg(config).stdin(Stdio::null());
    agent.envs(kill_at.map(|point| (live::killpoint::VARIABLE, point)));
    agent.spawn().expect("nsenter, of util-linux")
}

pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
