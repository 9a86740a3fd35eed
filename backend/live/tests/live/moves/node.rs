//! A node that is a network namespace with a running agent, and what there is of a VM on it.

use super::kind::{Kind, key};
use super::room::Room;
use crate::incusd::Incusd;
use crate::sys::sees_its_network;
use image::manifest::hex;
use link::frame;
use link::protocol::{Answer, HexKey, Request, Status};
use live::config::Listen;
use live::socket;
use model::id::{Generation, KeyId, NodeId, OperationId, VmId};
use model::order::{Order, Verb};
use model::report::Outcome;
use model::time::Time;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest boots in 4 s alone; with all tests on two cores it takes many times that.
const LIMIT: Duration = Duration::from_secs(120);

/// How often what is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub const VM: VmId = VmId(7);

/// The key of an encrypted disk, which goes with every order; no text.
pub const DISK_KEY: KeyId = KeyId(0xff00_0a80_c3ff_000a);

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
    /// The points at which agents were killed since one was put in place.
    killed_at: Vec<String>,
    /// How much agents had said before the last.
    said_before: usize,
}

impl Node {
    /// Node `place` with its address and those of its peers.
    pub fn start(
        place: u32,
        kind: Kind,
        (folder, images): (&Path, &Path),
        (host, peers): (&str, &[&String]),
        room: Room,
    ) -> Self {
        let root = node_root(folder, place);
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
            killed_at: Vec::new(),
            said_before: 0,
            root,
            config,
            room,
        }
    }

    /// Another agent in place of one that has died, or is killed now; it may be killed before it
    /// listens.
    pub fn restart(&mut self, kill_at: Option<&str>) {
        self.agent.kill().ok();
        self.agent.wait().expect("a child");
        self.said_before = self.log().len();
        self.agent = run(&self.room, &self.config, kill_at);
        self.killed_at.clear();
        self.listens();
    }

    fn is_dead(&mut self) -> bool {
        self.agent.try_wait().expect("a child").is_some()
    }

    /// Sends an order and waits for an outcome of it; an agent that dies is followed by another, to
    /// which the order is sent again.
    pub fn outlives(
        &mut self,
        (operation, verb, keys): (OperationId, &Verb, &[KeyId]),
        is: impl Fn(&Outcome) -> bool,
    ) -> Outcome {
        let begun = Instant::now();
        loop {
            let found = self
                .try_order(operation, verb, keys)
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
            if !self.is_dead() {
                // A process that a killed agent was just starting may hold its socket for a moment.
                assert!(begun.elapsed() < LIMIT, "{verb:?}: no answer");
                thread::sleep(LOOK_EVERY);
                continue;
            }
            self.revive();
        }
    }

    /// Starts another agent whenever one dies, until this holds.
    pub fn lives_until(&mut self, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(
                begun.elapsed() < 2 * LIMIT,
                "the other end does not come to its end"
            );
            if self.is_dead() {
                self.revive();
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts another agent in place of one that has died.
    fn revive(&mut self) {
        let mut killed_at = std::mem::take(&mut self.killed_at);
        killed_at.push(self.last_words());
        self.restart(None);
        self.killed_at = killed_at;
    }

    /// The points at which agents were killed since one was put in place.
    pub fn killed_at(&self) -> &[String] {
        &self.killed_at
    }

    /// What its agents said, one after the other.
    pub fn log(&self) -> String {
        fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    /// The point at which the last agent was killed, by itself or by somebody.
    fn last_words(&mut self) -> String {
        let ended = self.agent.wait().expect("a child");
        let log = self.log();
        let mut said = log[self.said_before..].lines();
        let point = said.find_map(|line| line.strip_prefix("killed at point "));
        let point = point.and_then(|point| point.split_once(", "));
        assert_eq!(ended.signal(), Some(9), "{ended}");
        point.map_or("any", |(_, name)| name).to_owned()
    }

    /// What ends its agent from outside.
    pub fn killer(&self) -> impl Fn() + use<> {
        let agent = Pid::from_child(&self.agent);
        move || kill_process(agent, Signal::KILL).expect("it runs")
    }

    /// Lets no more than this out to the other node, in Mbit a second.
    pub fn slow_down(&self, mbit: u32) {
        let limit = format!("rate {mbit}mbit burst 64kb latency 400ms");
        self.room
            .run(&format!("tc qdisc add dev uplink root tbf {limit}"));
    }

    /// Sends an order with keys beside it; `None`: no agent is there.
    pub fn try_order(
        &self,
        operation: OperationId,
        verb: &Verb,
        keys: &[KeyId],
    ) -> Option<UnixStream> {
        let order = Box::new(Order {
            operation,
            generation: Generation(1),
            node: self.id,
            vm: VM,
            verb: verb.clone(),
            deadline: Time::NEVER,
        });
        let keys = keys.iter().copied().chain([DISK_KEY]);
        let keys = keys
            .map(|key| (key, HexKey::new(&key_bytes(key))))
            .collect();
        let mut stream = self.try_connect()?;
        frame::send(&mut stream, &Request::Follow).ok()?;
        frame::send(&mut stream, &Request::Order { order, keys }).ok()?;
        Some(stream)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it is.
    pub fn room(&self) -> &Room {
        &self.room
    }

    pub fn listens(&mut self) {
        wait_for("the agent to listen", || {
            self.try_connect().is_some() || self.is_dead()
        });
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

    pub fn console_log(&self) -> PathBuf {
        self.console.clone()
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
                } else if path.is_dir() && !path.is_symlink() {
                    // What is shared is not this node's.
                    folders.push(path);
                }
            }
        }
        found.extend(self.processes());
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
        found.extend(self.connections());
        found
    }

    /// The VM's processes, as they were called.
    pub fn processes(&self) -> Vec<String> {
        let root = self.root.display().to_string();
        let processes = fs::read_dir("/proc").expect("proc").flatten();
        let lines = processes.map(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        });
        lines
            .filter(|line| line.contains(&root) && line.contains("vm-7"))
            .collect()
    }

    /// TCP sockets of programs of QEMU's, which has some as long as a VM moves and no longer.
    pub fn connections(&self) -> Vec<String> {
        let all = self.room.run("ss --no-header --tcp --all --processes");
        let of_qemu = all.lines().filter(|line| line.contains("((\"qemu"));
        of_qemu.map(str::to_owned).collect()
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{:?} said: {}", self.id, self.log());
        }
        self.agent.kill().ok();
        self.agent.wait().ok();
        let mut halt = self.room.command(env!("CARGO_BIN_EXE_gridwright-agent"));
        halt.arg("--config").arg(&self.config).args(["halt", "7"]);
        halt.stderr(Stdio::null()).status().ok();
    }
}

/// The bytes of a key.
pub fn key_bytes(KeyId(key): KeyId) -> Vec<u8> {
    [key.to_le_bytes(); 4].concat()
}

/// Where the node of this number is.
pub fn node_root(folder: &Path, place: u32) -> PathBuf {
    folder.join(format!("node{place}"))
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
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(config.with_extension("log"));
    agent.stderr(log.expect("a log"));
    agent.envs(kill_at.map(|point| (drivers::killpoint::VARIABLE, point)));
    agent.spawn().expect("nsenter, of util-linux")
}

pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(LOOK_EVERY);
    }
}
