//! One node with a real agent and real guests, of whichever hypervisor.

use agent::driver::Driver;
use agent::watch::Unwatched;
use drivers::process::Process;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::manifest::{Compression, Content, Manifest, hex};
use image::store::Store;
use live::config::{Config, Listen};
use live::frame;
use live::hypervisor;
use live::killpoint;
use live::protocol::{Answer, Request, Status};
use live::socket;
use live::watchdog::{is_held, watchdog_lock};
use model::blueprint::{
    Blueprint, BootLoader, Customisation, Disk, Format, Partition, PartitionTable,
};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{Generation, NodeId, OperationId, TenantId, VmId};
use model::order::{Order, Shutdown, Verb};
use model::report::{Outcome, VmState};
use model::time::Time;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, getsid, kill_process, prlimit};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The VM of all orders but those that copy it.
pub const VM: VmId = VmId(7);

/// Waits are cut off after this; the machine may be busy with other tests.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Where a driver of User-mode Linux keeps the guests with which it probes.
const PROBE: &str = "/driver/probe-";

/// The hypervisors of these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// User-mode Linux.
    Uml,
    /// QEMU, by emulation where it must.
    Qemu,
}

impl Hypervisor {
    fn driver(self) -> &'static str {
        match self {
            Self::Uml => "uml",
            Self::Qemu => "qemu",
        }
    }

    fn virtualisation(self) -> Virtualisation {
        match self {
            Self::Uml => Virtualisation::Para,
            Self::Qemu => Virtualisation::Full,
        }
    }

    /// A kernel that it boots.
    fn kernel(self) -> PathBuf {
        match self {
            Self::Uml => "/usr/bin/linux.uml".into(),
            Self::Qemu => {
                let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
                guests.join("x86_64/vmlinuz")
            }
        }
    }
}

/// A node of its own for each test, with an image whose guest just sleeps.
pub struct Node {
    hypervisor: Hypervisor,
    folder: tempfile::TempDir,
    shelf: Arc<Shelf>,
    agent: Option<Child>,
    /// The operation of the last order.
    last: u64,
}

impl Node {
    /// A node without an agent, as yet.
    pub fn new(hypervisor: Hypervisor) -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder for the node");
        let node = Self {
            hypervisor,
            folder,
            shelf: image(hypervisor),
            agent: None,
            last: 0,
        };
        image::sandbox::let_through(node.folder.path()).expect("our folder");
        let root = node.root();
        let images = node.shelf.folder.path();
        let signer = hex(signing_key().verifying_key().as_bytes());
        let config = format!(
            "node = 1\nroot = {root:?}\ndriver = {:?}\nimages = {images:?}\n\
             signers = [{signer:?}]\n",
            hypervisor.driver()
        );
        fs::write(node.config(), config).expect("a configuration");
        node
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// What the node's agents said, one after the other.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("agent.log")
    }

    /// The hypervisor, beside the agent.
    pub fn driver(&self) -> Arc<dyn Driver> {
        let config = Config::read(&self.config()).expect("a configuration");
        hypervisor::open(&config).expect("a driver")
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
            let told = order_through(&mut stream, order(vm, self.last, verb));
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
        send_order(&mut stream, order(VM, self.last, verb)).expect("it hears");
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
        let agent = self.agent.as_ref().expect("an agent was started").id();
        let nanos = fs::read_dir(format!("/proc/{agent}/task")).expect("it runs");
        let nanos = nanos.flatten().map(|task| {
            let told = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            told.split(' ').next().and_then(|nanos| nanos.parse().ok())
        });
        Duration::from_nanos(nanos.map(|nanos: Option<u64>| nanos.unwrap_or(0)).sum())
    }

    /// Asks the agent to end, once it is up; whether it ends well.
    pub fn terminate(&mut self) -> bool {
        self.status();
        self.signal(Signal::TERM);
        let mut agent = self.agent.take().expect("an agent was started");
        agent.wait().expect("a child").success()
    }

    /// VMs of the node of which anything runs, by the driver.
    pub fn guests(&self) -> usize {
        let seen = self.driver().recover().expect("the driver answers");
        let runs = |state| !matches!(state, VmState::Stopped | VmState::Failed);
        seen.iter().filter(|seen| runs(seen.state)).count()
    }

    /// First processes of VMs, by the kernel alone: with more than one a VM would run twice.
    pub fn firsts(&self) -> usize {
        let is_first = |(process, words): &(Process, String)| match self.hypervisor {
            Hypervisor::Qemu => words.contains(" -pidfile "),
            // Threads and programs of a guest are in the session that its first process leads.
            Hypervisor::Uml => {
                let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
                pid.is_some_and(|pid| getsid(Some(pid)) == Ok(pid))
            }
        };
        let guests = self.processes().into_iter();
        let guests = guests.filter(|(_, words)| !words.contains(PROBE));
        guests.filter(is_first).count()
    }

    /// Processes that name a file of the node, with their command lines.
    pub fn processes(&self) -> Vec<(Process, String)> {
        let root = self.root().display().to_string();
        let with_words = |process: Process| {
            let words = process.words();
            let words = words.iter().map(|word| String::from_utf8_lossy(word));
            (process, words.collect::<Vec<_>>().join(" "))
        };
        let all = Process::all().map(with_words);
        all.filter(|(_, words)| words.contains(&root)).collect()
    }

    /// Files of the node, but its store and what an agent keeps for itself.
    fn files(&self) -> Vec<PathBuf> {
        let own = [
            "images",
            "journal",
            "agent.lock",
            "agent.sock",
            "signing.key",
        ];
        let own = own.map(|name| self.root().join(name));
        let mut files = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                match path.is_dir() {
                    _ if own.contains(&path) => {}
                    true => folders.push(path),
                    false => files.push(path),
                }
            }
        }
        files
    }

    /// That nothing of any VM is left: no file, no process, and nothing that the driver knows. A
    /// probe of the hypervisor by the agent that is there is waited for, and those of killed ones are
    /// to be gone with it.
    pub fn assert_clean(&self, case: &str) {
        let named = |path: &PathBuf| path.to_string_lossy().contains(PROBE);
        wait_until("probes to be over", || !self.files().iter().any(named));
        assert_eq!(self.files(), Vec::<PathBuf>::new(), "{case}");
        let left: Vec<String> = self
            .processes()
            .into_iter()
            .map(|(_, words)| words)
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{case}");
        let listed = self.driver().list().expect("the driver answers");
        assert_eq!(listed, [], "{case}");
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

/// The store from which all nodes of the tests take their image.
struct Shelf {
    folder: tempfile::TempDir,
    id: String,
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// An image that holds a kernel and its initial RAM disk, and nothing else.
fn image(hypervisor: Hypervisor) -> Arc<Shelf> {
    // Kept by the nodes that are there, so that it goes with the last of them.
    static SHELVES: [Mutex<Weak<Shelf>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
    let shelf = &SHELVES[hypervisor as usize];
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    let found = shelf.upgrade();
    let found = found.unwrap_or_else(|| Arc::new(Shelf::new(hypervisor)));
    *shelf = Arc::downgrade(&found);
    found
}

impl Shelf {
    fn new(hypervisor: Hypervisor) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the image");
        let initrd = folder.path().join("initrd");
        make_initrd(&folder.path().join("guest"), &initrd);
        let stream = folder.path().join("made");
        let mut tar = tar::Builder::new(fs::File::create(&stream).expect("a file"));
        for (from, name) in [
            (&hypervisor.kernel(), "boot/vmlinuz"),
            (&initrd, "boot/initrd"),
        ] {
            let added = tar.append_path_with_name(from, name);
            added.expect("user-mode-linux is installed");
        }
        tar.finish().expect("a layer");
        let manifest = Manifest {
            name: "sleeper".to_owned(),
            version: "1".to_owned(),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            content: Content::System,
            applications: Vec::new(),
            compression: Compression::None,
            stream: String::new(),
            stream_bytes: 0,
            bounds: Bounds {
                entries: 2,
                bytes: fs::metadata(&stream).expect("a layer").len(),
            },
            disk_bytes: 0,
            templates: Vec::new(),
            parameters: BTreeMap::new(),
            cloud_init: false,
        };
        let store = Store::open(folder.path(), vec![signing_key().verifying_key()], 1 << 30);
        let store = store.expect("a store");
        let image = store.add(manifest, &stream, &signing_key(), &Unwatched);
        let id = image.expect("an image").id;
        Self { folder, id }
    }
}

/// Busybox and an init that sleeps, as an initial RAM disk.
fn make_initrd(work: &Path, to: &Path) {
    fs::create_dir_all(work.join("bin")).expect("a folder for the guest");
    fs::copy("/bin/busybox", work.join("bin/busybox")).expect("busybox-static is installed");
    let init = "#!/bin/busybox sh\nwhile :; do /bin/busybox sleep 1000; done\n";
    fs::write(work.join("init"), init).expect("an init");
    let script = format!(
        "chmod 755 init bin/busybox && find . | cpio --quiet -o -H newc > {}",
        to.display()
    );
    let status = Command::new("sh")
        .args(["-c", &script])
        .current_dir(work)
        .status();
    assert!(status.expect("sh runs").success(), "{script}");
}

impl Node {
    /// A VM of this node with a small disk, whose guest just sleeps.
    pub fn blueprint(&self, vm: VmId) -> Box<Blueprint> {
        Box::new(Blueprint {
            vm,
            tenant: TenantId(1),
            name: format!("web-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: self.hypervisor.virtualisation(),
            cpus: 1,
            max_cpus: 1,
            mem_mib: 64,
            max_mem_mib: 64,
            boot: BootLoader::Direct,
            kernel_arguments: String::new(),
            disks: vec![Disk {
                name: "root".to_owned(),
                size_mib: 32,
                image: Some(self.shelf.id.clone()),
                table: PartitionTable::None,
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
            interfaces: Vec::new(),
            customisation: Customisation::default(),
            highly_available: false,
        })
    }

    /// Makes that VM.
    pub fn create(&self) -> Verb {
        let blueprint = self.blueprint(VM);
        Verb::Create { blueprint }
    }

    /// Makes it highly available.
    pub fn create_available(&self) -> Verb {
        let mut blueprint = self.blueprint(VM);
        blueprint.highly_available = true;
        Verb::Create { blueprint }
    }
}

/// Stops a VM at once.
pub fn stop() -> Verb {
    Verb::Stop {
        shutdown: Shutdown::Forced,
    }
}

pub fn order(vm: VmId, operation: u64, verb: &Verb) -> Box<Order> {
    Box::new(Order {
        operation: OperationId(operation),
        generation: Generation(1),
        node: NodeId(1),
        vm,
        verb: verb.clone(),
        deadline: Time::NEVER,
    })
}

fn order_through(stream: &mut UnixStream, order: Box<Order>) -> io::Result<Option<Outcome>> {
    let operation = order.operation;
    send_order(stream, order)?;
    while let Some(answer) = frame::receive(stream)? {
        match answer {
            Answer::Reported { report }
                if report.operation == Some(operation) && is_end(&report.outcome) =>
            {
                return Ok(Some(report.outcome.clone()));
            }
            Answer::Refused { reason } => panic!("{reason}"),
            _ => {}
        }
    }
    Ok(None)
}

fn send_order(stream: &mut UnixStream, order: Box<Order>) -> io::Result<()> {
    let keys = Vec::new();
    frame::send(stream, &Request::Follow)?;
    frame::send(stream, &Request::Order { order, keys })
}

pub fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Cancelled | Outcome::Refused { .. }
    )
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
