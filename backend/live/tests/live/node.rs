//! One node with a real agent and real guests, of whichever hypervisor.
//!
//! - [`hypervisor`]: the hypervisors, and what their guests are
//! - [`shelf`]: the images that nodes take
//! - [`orders`]: orders, and how they are sent
//! - [`traces`]: what there is of a node's VMs

mod hypervisor;
mod orders;
mod shelf;
mod traces;

pub use hypervisor::Hypervisor;
pub use orders::{KEYS, order, stop};

use crate::incusd::Incusd;
use agent::driver::Driver;
use agent::watch::Unwatched;
use drivers::killpoint;
use link::frame;
use link::protocol::{Answer, Request, Status};
use live::config::{Config, Listen};
use live::socket;
use live::watchdog::{is_held, watchdog_lock};
use model::hypervisor::Virtualisation;
use model::id::VmId;
use model::order::Verb;
use model::report::Outcome;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use shelf::Shelf;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The VM of all orders but those that copy it.
pub const VM: VmId = VmId(7);

/// Waits are cut off after this; the machine may be busy with other tests.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A node of its own for each test, with an image whose guest just sleeps.
pub struct Node {
    hypervisor: Hypervisor,
    folder: tempfile::TempDir,
    shelf: Arc<Shelf>,
    incus: Option<Incusd>,
    agent: Option<Child>,
    /// The operation of the last order.
    last: u64,
}

impl Node {
    /// A node without an agent, as yet.
    pub fn new(hypervisor: Hypervisor) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder for the node");
        let mut node = Self {
            hypervisor,
            folder,
            shelf: Shelf::of(hypervisor),
            incus: None,
            agent: None,
            last: 0,
        };
        // The tools' own user and containers find their way through.
        let open = Permissions::from_mode(0o711);
        fs::set_permissions(node.folder.path(), open).expect("our folder");
        let root = node.root();
        let images = node.shelf.folder();
        let signer = Shelf::signer();
        let mut config = format!(
            "node = 1\nroot = {root:?}\nimages = {images:?}\nsigners = [{signer:?}]\n\
             plugging = \"user\"\n{}\n",
            hypervisor.lines()
        );
        if hypervisor == Hypervisor::Incus {
            let server = Incusd::start(&node.folder.path().join("incus"), &[]);
            let (socket, logs) = (server.socket(), server.logs());
            config += &format!("[incus]\nsocket = {socket:?}\nlogs = {logs:?}\n");
            node.incus = Some(server);
        }
        fs::write(node.config(), config).expect("a configuration");
        node
    }

    pub fn runs_containers(&self) -> bool {
        self.hypervisor.virtualisation() == Virtualisation::Container
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Adds a line to the configuration; for a hypervisor without a section of its own.
    pub fn configure(&self, line: &str) {
        let before = fs::read_to_string(self.config()).expect("a configuration");
        fs::write(self.config(), format!("{before}{line}\n")).expect("a configuration");
    }

    /// The agent's process.
    pub fn agent_id(&self) -> u32 {
        self.agent.as_ref().expect("an agent was started").id()
    }

    /// What the node's agents said, one after the other.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("agent.log")
    }

    /// The hypervisor, beside the agent.
    pub fn driver(&self) -> Arc<dyn Driver> {
        let config = Config::read(&self.config()).expect("a configuration");
        live::hypervisor::open(&config).expect("a driver")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        command.arg("--config").arg(self.config());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the agent; it may be killed before it listens.
    pub fn start(&mut self, kill_at: Option<u64>) {
        let mut command = self.command();
        let mut log = fs::File::options();
        let log = log.create(true).append(true).open(self.log());
        command.stderr(log.expect("a log"));
        if let Some(number) = kill_at {
            command.env(killpoint::VARIABLE, number.to_string());
        }
        self.agent = Some(command.spawn().expect("the agent starts"));
    }

    pub fn is_dead(&mut self) -> bool {
        let agent = self.agent.as_mut().expect("an agent was started");
        agent.try_wait().expect("a child").is_some()
    }

    /// A connection, once the agent listens; `None`: it has died before.
    pub fn connect(&mut self) -> Option<UnixStream> {
        let listen = Listen::Unix(self.root().join("agent.sock"));
        let begun = Instant::now();
        loop {
            if let Ok(stream) = socket::connect(&listen) {
                return Some(stream);
            }
            if self.is_dead() {
                return None;
            }
            assert!(begun.elapsed() < LIMIT, "the agent does not listen");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a new order and waits for its end; `None`: the agent has died meanwhile.
    pub fn order(&mut self, verb: &Verb) -> Option<Outcome> {
        self.order_about(VM, verb)
    }

    /// As [`Self::order`], about another VM.
    pub fn order_about(&mut self, vm: VmId, verb: &Verb) -> Option<Outcome> {
        self.last += 1;
        self.repeat(vm, verb)
    }

    /// Sends the last order once more; `None`: the agent has died meanwhile.
    pub fn repeat(&mut self, vm: VmId, verb: &Verb) -> Option<Outcome> {
        loop {
            // A process that a killed agent was just starting may hold that one's socket for a moment,
            // behind which nobody answers.
            let mut stream = self.connect()?;
            let told = orders::through(&mut stream, order(vm, self.last, verb));
            let end = told.unwrap_or_else(|error| {
                let breaks = [
                    ErrorKind::BrokenPipe,
                    ErrorKind::ConnectionReset,
                    ErrorKind::UnexpectedEof,
                ];
                assert!(breaks.contains(&error.kind()), "{error:?}");
                None
            });
            if end.is_some() {
                return end;
            }
        }
    }

    /// Sends an order that is not to end before something else happens.
    pub fn begin(&mut self, verb: &Verb) -> UnixStream {
        self.last += 1;
        let mut stream = self.connect().expect("the agent lives");
        orders::send(&mut stream, order(VM, self.last, verb)).expect("it hears");
        stream
    }

    pub fn ask(&mut self, request: &Request) -> Answer {
        let mut stream = self.connect().expect("the agent lives");
        frame::send(&mut stream, request).expect("it hears");
        let answer = frame::receive(&mut stream).expect("it answers");
        answer.expect("it lives")
    }

    pub fn status(&mut self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status { status } => *status,
            other => panic!("{other:?}"),
        }
    }

    pub fn kill(&mut self) {
        let mut agent = self.agent.take().expect("an agent was started");
        agent.kill().expect("it is killed");
        agent.wait().expect("a child");
    }

    /// Sends the agent a signal.
    pub fn signal(&self, signal: Signal) {
        let agent = self.agent.as_ref().expect("an agent was started");
        kill_process(Pid::from_child(agent), signal).expect("it is there");
    }

    /// How many files the agent may have open from now on, and how many it could until now; `None`:
    /// any number.
    pub fn limit_files(&self, most: Option<u64>) -> Option<u64> {
        let agent = self.agent.as_ref().expect("an agent was started");
        let agent = Some(Pid::from_child(agent));
        let limit = Rlimit {
            current: most,
            // It has our own.
            ..getrlimit(Resource::Nofile)
        };
        let before = prlimit(agent, Resource::Nofile, limit);
        before.expect("it is ours").current
    }

    /// Processor time that the agent has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.agent_id()));
        let stat = stat.expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        // Of the program and of the kernel, in ticks of 10 ms, ended threads included (proc(5)).
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(|ticks| ticks.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Asks the agent to end, once it is up; whether it ends well.
    pub fn terminate(&mut self) -> bool {
        self.status();
        self.signal(Signal::TERM);
        let mut agent = self.agent.take().expect("an agent was started");
        agent.wait().expect("a child").success()
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().ok();
            agent.wait().ok();
        }
        let driver = self.driver();
        for vm in driver.list().unwrap_or_default() {
            driver.halt(vm, &Unwatched).ok();
        }
        // A watchdog without anything to watch ends by itself.
        fs::remove_file(self.root().join("watchdog.json")).ok();
        let begun = Instant::now();
        while is_held(&watchdog_lock(&self.root())).unwrap_or(false) && begun.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
