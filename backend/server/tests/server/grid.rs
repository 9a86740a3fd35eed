//! A grid of one test: a controller and the agents of its nodes, on loopback.

use crate::incusd::Incusd;
use crate::recipes::{kept, make};
use crate::waiting::until;
use crate::wires::{HUB, Room, address};
use agent::naming::bridge_name;
use client::call::Client;
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::store::Store;
use link::token::Token;
use model::id::NetworkId;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use tempfile::TempDir;

/// What rules a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruled {
    Qemu,
    Uml,
    Incus,
}

impl Ruled {
    fn driver(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Uml => "uml",
            Self::Incus => "incus",
        }
    }

    /// The name of its profile.
    pub fn profile(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-tcg",
            Self::Uml => "uml",
            Self::Incus => "incus",
        }
    }
}

/// A node with its agent.
struct Node {
    agent: Option<Child>,
    room: Option<Room>,
    incus: Option<Incusd>,
}

/// A controller and the nodes that are started; nothing of it outlives a test.
pub struct Grid {
    controller: Option<Child>,
    nodes: Vec<Node>,
    ruled: Vec<Ruled>,
    /// Where nodes are wired together; `None`: all are on loopback.
    hub: Option<Room>,
    /// The image of components that are made by their recipes, and where it is; `None`: no design asks
    /// for it.
    services: Option<(PathBuf, [String; 2])>,
    port: u16,
    folder: TempDir,
}

impl Grid {
    /// A grid of this many nodes of QEMU on loopback, whose controller runs.
    pub fn new(nodes: usize) -> Self {
        Self::start(&vec![Ruled::Qemu; nodes], None, None)
    }

    /// A grid of these nodes, each in a network of its own, whose controller runs. The test's thread is in
    /// the hub of these networks from now on.
    pub fn wired(ruled: &[Ruled]) -> Self {
        Self::start(ruled, Some(Room::hub()), None)
    }

    /// The same, for components that are made by their recipes.
    pub fn with_services(ruled: &[Ruled]) -> Self {
        let services = kept(&key(), ["services", "linux"]);
        Self::start(ruled, Some(Room::hub()), Some(services))
    }

    fn start(ruled: &[Ruled], hub: Option<Room>, services: Option<(PathBuf, [String; 2])>) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        // The tools' own user finds its way through.
        let open = Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let host = if hub.is_some() { HUB } else { "127.0.0.1" };
        let free = TcpListener::bind((host, 0)).expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut grid = Self {
            controller: None,
            nodes: Vec::new(),
            ruled: ruled.to_vec(),
            hub,
            services,
            port,
            folder,
        };
        grid.configure();
        grid.start_controller();
        grid
    }

    fn configure(&self) {
        let mut config = format!(
            "folder = {:?}\ngrid = \"grid.toml\"\nlisten = {:?}\n",
            self.path("controller"),
            self.at()
        );
        config += &self.images();
        fs::write(self.path("controller.toml"), config).expect("written");
        let usual = [Ruled::Qemu; 2];
        let ruled = if self.ruled.is_empty() {
            &usual[..]
        } else {
            &self.ruled
        };
        let mut grid = "version = 1\nname = \"Test\"\n".to_owned();
        for (place, ruled) in ruled.iter().enumerate() {
            grid += &format!(
                "[[node]]\nname = \"north-{place}\"\ncpu_cores = 4\nmem_gib = 2\ndisk_gib = 16\n\
                 hypervisor = {profile:?}\nsite = {profile:?}\n",
                profile = ruled.profile()
            );
        }
        fs::write(self.path("grid.toml"), grid).expect("written");
    }

    fn images(&self) -> String {
        if let Some((_, [services, linux])) = &self.services {
            return format!(
                "[images]\nservices = {services:?}\n\
                 [[kernel]]\nvirtualisation = \"full\"\narch = \"x86_64\"\nimage = {linux:?}\n"
            );
        }
        let system = match self.ruled.is_empty() {
            // Nobody comes to use it.
            true => "0".repeat(64),
            false => self.make("busybox"),
        };
        let mut images = format!("[images]\nbusybox = {system:?}\n");
        let kernels = [
            (Ruled::Qemu, "full", "linux"),
            (Ruled::Uml, "para", "linux-uml"),
        ];
        for (ruled, virtualisation, recipe) in kernels {
            if self.ruled.contains(&ruled) {
                let (image, profile) = (self.make(recipe), ruled.profile());
                images += &format!(
                    "[[kernel]]\nhypervisors = [{profile:?}]\nvirtualisation = {virtualisation:?}\n\
                     arch = \"x86_64\"\nimage = {image:?}\n"
                );
            }
        }
        images
    }

    fn make(&self, recipe: &str) -> String {
        let trusted = vec![key().verifying_key()];
        let store = Store::open(&self.path("store"), trusted, 1 << 30).expect("a store");
        make(recipe, self.folder.path(), &store, &key())
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the controller listens.
    pub fn at(&self) -> String {
        let host = if self.hub.is_some() { HUB } else { "127.0.0.1" };
        format!("{host}:{}", self.port)
    }

    /// Starts the controller, which goes on where the former was killed.
    pub fn start_controller(&mut self) {
        let child = self
            .controller_command(&["run"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log("controller.log"))
            .spawn();
        self.controller = Some(child.expect("the controller starts"));
    }

    /// Kills the controller.
    pub fn kill_controller(&mut self) {
        let mut child = self.controller.take().expect("it was started");
        child.kill().expect("it is killed");
        child.wait().expect("a child");
    }

    /// The controller's program with its configuration.
    pub fn controller_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-controller"));
        command.arg("--config").arg(self.path("controller.toml"));
        command.args(words);
        command
    }

    fn log(&self, name: &str) -> File {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path(name));
        log.expect("a log")
    }

    /// A token, as the controller's own command prints it.
    pub fn token(&self, words: &[&str]) -> Token {
        let words = [&["token"], words].concat();
        let told = self.controller_command(&words).output().expect("it runs");
        assert!(told.status.success(), "{told:?}");
        let text = String::from_utf8(told.stdout).expect("text");
        text.parse().expect("a token")
    }

    /// An admin of this grid.
    pub fn admin(&self, name: &str) -> Client {
        let (token, folder) = (self.token(&["admin", name]), self.path(name));
        until("the controller to listen", || {
            Client::join(&folder, &self.at(), &token).ok()
        });
        self.again(name)
    }

    /// Somebody who has joined, once more.
    pub fn again(&self, name: &str) -> Client {
        Client::open(&self.path(name)).expect("it has joined")
    }

    /// Starts the agents of all nodes and lets them join.
    pub fn start_agents(&mut self) {
        for place in 0..self.ruled.len() {
            let room = self.hub.as_ref().map(|hub| hub.wired(place));
            let incus = (self.ruled[place] == Ruled::Incus).then(|| {
                let room = room.as_ref().expect("a server of containers has a network");
                let inside = room.inside(&self.empty_folder(&format!("incus-sys-{place}")));
                let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
                Incusd::start(&self.path(&format!("incus-{place}")), &inside)
            });
            let agent = None;
            self.nodes.push(Node { agent, room, incus });
            self.configure_agent(place);
            let token = self.token(&["node", &format!("north-{place}")]).to_string();
            let joined = self.agent(place, &["join", &self.at(), &token]).output();
            let joined = joined.expect("it runs");
            assert!(joined.status.success(), "{joined:?}");
            self.start_agent(place);
        }
    }

    fn configure_agent(&self, place: usize) {
        let root = self.empty_folder(&format!("node-{place}"));
        let made = self.path("store");
        let store = self.services.as_ref().map_or(&made, |(store, _)| store);
        let mut config = format!(
            "node = {place}\nroot = {root:?}\nimages = {store:?}\nsigners = [{:?}]\ndriver = {:?}\n",
            hex(key().verifying_key().as_bytes()),
            self.ruled[place].driver(),
        );
        if self.hub.is_some() {
            let all = 0..self.ruled.len();
            let peers: Vec<String> = all.filter(|peer| *peer != place).map(address).collect();
            config += &format!("host = {:?}\npeers = {peers:?}\n", address(place));
            if self.ruled[place] != Ruled::Incus {
                config += "plugging = \"tap\"\n";
            }
        }
        if let Some(server) = &self.nodes[place].incus {
            let (socket, logs) = (server.socket(), server.logs());
            config += &format!("[incus]\nsocket = {socket:?}\nlogs = {logs:?}\n");
        }
        fs::write(self.path(&format!("node-{place}.toml")), config).expect("written");
    }

    /// Starts a node's agent, which goes on where the former was killed.
    pub fn start_agent(&mut self, place: usize) {
        let log = self.log(&format!("node-{place}.log"));
        let mut agent = self.agent(place, &["run"]);
        let child = agent.stdin(Stdio::null()).stderr(log).spawn();
        self.nodes[place].agent = Some(child.expect("the agent starts"));
    }

    /// Kills a node's agent.
    pub fn kill_agent(&mut self, place: usize) {
        let mut child = self.nodes[place].agent.take().expect("it was started");
        child.kill().expect("it is killed");
        child.wait().expect("a child");
    }

    /// The agent's program with a node's configuration, in the node's network.
    fn agent(&self, place: usize, words: &[&str]) -> Command {
        let controller = Path::new(env!("CARGO_BIN_EXE_gridwright-controller"));
        let program = controller.with_file_name("gridwright-agent");
        assert!(program.exists(), "run `cargo build --package live`");
        let mut command = match &self.nodes[place].room {
            Some(room) => {
                let inside = room.inside(&self.empty_folder(&format!("sys-{place}")));
                let mut command = Command::new(&inside[0]);
                command.args(&inside[1..]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let config = self.path(&format!("node-{place}.toml"));
        command.arg("--config").arg(config).args(words);
        command
    }

    fn empty_folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Somebody outside, who is plugged into a tenant's network on a node.
    pub fn outside(&self, place: usize, network: NetworkId, address: &str) -> Room {
        let room = self.nodes[place].room.as_ref().expect("it is wired");
        room.outside(&bridge_name(network), address)
    }

    /// What guests have said on their consoles, all nodes together.
    pub fn consoles(&self) -> String {
        let mut said = String::new();
        for (place, node) in self.nodes.iter().enumerate() {
            let folder = match &node.incus {
                Some(server) => server.logs(),
                None => self.path(&format!("node-{place}/driver")),
            };
            for vm in fs::read_dir(folder).into_iter().flatten().flatten() {
                let log = fs::read(vm.path().join("console.log")).unwrap_or_default();
                said += &String::from_utf8_lossy(&log);
            }
        }
        said
    }

    /// Processes that name the test's folder and a VM.
    pub fn guests(&self) -> usize {
        let folder = self.folder.path().display().to_string();
        let lines = fs::read_dir("/proc").expect("proc").flatten();
        let lines = lines.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        lines
            .filter(|line| line.contains(&folder) && line.contains("-pidfile"))
            .count()
    }

    /// Files of VMs that nodes have still, Incus's own left out.
    pub fn left_over(&self) -> Vec<String> {
        let roots = (0..self.nodes.len()).map(|place| self.path(&format!("node-{place}")));
        let mut folders: Vec<PathBuf> = roots.collect();
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_of_vm = name.strip_prefix("vm-").is_some_and(|rest| {
                    rest.bytes()
                        .next()
                        .is_some_and(|byte| byte.is_ascii_digit())
                });
                if is_of_vm {
                    found.push(entry.path().display().to_string());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
        found
    }

    /// Both ends' logs, for whoever looks for what went wrong.
    fn logs(&self) -> String {
        let mut all = fs::read_to_string(self.path("controller.log")).unwrap_or_default();
        for node in 0..self.nodes.len() {
            let log = fs::read_to_string(self.path(&format!("node-{node}.log")));
            all += &log.unwrap_or_default();
        }
        all
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.logs());
        }
        let agents = self.nodes.iter_mut().filter_map(|node| node.agent.as_mut());
        for child in self.controller.iter_mut().chain(agents) {
            child.kill().ok();
            child.wait().ok();
        }
        // Guests and their helpers name the folder.
        let folder = self.folder.path().display().to_string();
        Command::new("pkill")
            .args(["-9", "-f", &folder])
            .status()
            .ok();
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}
