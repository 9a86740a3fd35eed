//! A grid of one test: a controller and the agents of its nodes, on loopback.

use crate::recipes::make;
use client::call::Client;
use control::shown::{NodeShown, OperationShown, VmShown};
use ed25519_dalek::SigningKey;
use image::manifest::hex;
use image::store::Store;
use link::token::Token;
use model::grid::NodeState;
use model::id::OperationId;
use model::report::VmState;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Emulated guests are built and booted beside all other tests, on two cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// A controller with as many nodes of QEMU as are started; nothing of it outlives a test.
pub struct Grid {
    controller: Option<Child>,
    agents: Vec<Child>,
    port: u16,
    folder: TempDir,
}

impl Grid {
    /// A grid of this many nodes, whose controller runs.
    pub fn new(nodes: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        // The tools' own user finds its way through.
        let open = Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut grid = Self {
            controller: None,
            agents: Vec::new(),
            port,
            folder,
        };
        grid.configure(nodes);
        grid.start_controller();
        grid
    }

    fn configure(&self, nodes: usize) {
        let mut config = format!(
            "folder = {:?}\ngrid = \"grid.toml\"\nlisten = \"127.0.0.1:{}\"\n",
            self.path("controller"),
            self.port
        );
        if nodes > 0 {
            let (system, kernel) = (self.make("busybox"), self.make("linux"));
            config += &format!(
                "[images]\nbusybox = {system:?}\n[[kernel]]\nvirtualisation = \"full\"\n\
                 arch = \"x86_64\"\nimage = {kernel:?}\n"
            );
        }
        fs::write(self.path("controller.toml"), config).expect("written");
        let grid = format!(
            "version = 1\nname = \"Test\"\n[[node]]\nname = \"north\"\ncount = {}\ncpu_cores = 4\n\
             mem_gib = 2\ndisk_gib = 4\nhypervisor = \"qemu-tcg\"\n",
            nodes.max(2)
        );
        fs::write(self.path("grid.toml"), grid).expect("written");
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
        format!("127.0.0.1:{}", self.port)
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
        Client::open(&folder).expect("it has joined")
    }

    /// Starts the agent of a node and lets it join.
    pub fn start_agent(&mut self, node: u32) {
        let name = format!("node-{node}");
        let config = format!(
            "node = {node}\nroot = {:?}\nimages = {:?}\nsigners = [{:?}]\ndriver = \"qemu\"\n",
            self.path(&name),
            self.path("store"),
            hex(key().verifying_key().as_bytes()),
        );
        let file = self.path(&format!("{name}.toml"));
        fs::write(&file, config).expect("written");
        fs::create_dir_all(self.path(&name)).expect("a folder");
        let known = self.node_name(node);
        let token = self.token(&["node", &known]).to_string();
        let joined = agent(&file).args(["join", &self.at(), &token]).output();
        let joined = joined.expect("it runs");
        assert!(joined.status.success(), "{joined:?}");
        let child = agent(&file)
            .stdin(Stdio::null())
            .stderr(self.log(&format!("{name}.log")))
            .spawn();
        self.agents.push(child.expect("the agent starts"));
    }

    fn node_name(&self, node: u32) -> String {
        let grid = fs::read_to_string(self.path("grid.toml")).expect("written");
        let grid = model::grid_file::read_grid("grid.toml", &grid).expect("a grid");
        grid.nodes[node as usize].name.clone()
    }

    /// What guests have said on their consoles, all nodes together.
    pub fn consoles(&self) -> String {
        let mut said = String::new();
        for node in 0..self.agents.len() {
            let driver = self.path(&format!("node-{node}/driver"));
            for vm in fs::read_dir(driver).into_iter().flatten().flatten() {
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

    /// Both ends' logs, for whoever looks for what went wrong.
    fn logs(&self) -> String {
        let mut all = fs::read_to_string(self.path("controller.log")).unwrap_or_default();
        for node in 0..self.agents.len() {
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
        for child in self.controller.iter_mut().chain(&mut self.agents) {
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

fn agent(config: &Path) -> Command {
    let controller = Path::new(env!("CARGO_BIN_EXE_gridwright-controller"));
    let program = controller.with_file_name("gridwright-agent");
    assert!(program.exists(), "run `cargo build --package live`");
    let mut command = Command::new(program);
    command.arg("--config").arg(config);
    command
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Waits until something is there.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for all nodes to be reached.
pub fn all_reached(client: &mut Client, nodes: usize) {
    until("the agents to call", || {
        let shown: Vec<NodeShown> = client.get("/v1/nodes").ok()?;
        let reached = shown.iter().filter(|node| node.state == NodeState::Up);
        (reached.count() == nodes).then_some(())
    });
}

/// Waits for an operation's end.
pub fn ended(client: &mut Client, id: OperationId) -> OperationShown {
    until("the operation to end", || {
        let path = format!("/v1/operations/{}", id.0);
        let shown: OperationShown = client.get(&path).ok()?;
        shown.state.is_over().then_some(shown)
    })
}

/// VMs in a state.
pub fn in_state(client: &mut Client, state: VmState) -> Vec<VmShown> {
    let all: Vec<VmShown> = client.get("/v1/vms").unwrap_or_default();
    let all = all.into_iter();
    all.filter(|vm| vm.state == Some(state)).collect()
}
