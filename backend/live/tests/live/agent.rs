//! The real agent with real guests of User-mode Linux: from order to running, found again, killed
//! anywhere, and watched.

use agent::driver::{Act, Driver};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::uml::Uml;
use ed25519_dalek::SigningKey;
use image::archive::Bounds;
use image::manifest::{Compression, Content, Manifest, hex};
use image::store::Store;
use live::config::Listen;
use live::frame;
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
use model::time::{Span, Time};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

const VM: VmId = VmId(7);
const KERNEL: &str = "/usr/bin/linux.uml";

/// Waits are cut off after this; the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// A node of its own for each test, with an image whose guest just sleeps.
struct Node {
    folder: tempfile::TempDir,
    shelf: Arc<Shelf>,
    agent: Option<Child>,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the node");
        let node = Self {
            folder,
            shelf: image(),
            agent: None,
        };
        image::sandbox::let_through(node.folder.path()).expect("our folder");
        let root = node.root();
        let images = node.shelf.folder.path();
        let signer = hex(signing_key().verifying_key().as_bytes());
        let config = format!(
            "node = 1\nroot = {root:?}\ndriver = \"uml\"\nimages = {images:?}\n\
             signers = [{signer:?}]\n"
        );
        fs::write(node.config(), config).expect("a configuration");
        node
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// What the node's agents said, one after the other.
    fn log(&self) -> PathBuf {
        self.folder.path().join("agent.log")
    }

    fn driver(&self) -> Uml {
        Uml::open(&self.root().join("driver"), Path::new(KERNEL)).expect("a driver")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        command.arg("--config").arg(self.config());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the agent; it may be killed before it listens.
    fn start(&mut self, kill_at: Option<u64>) {
        let mut command = self.command();
        let mut log = fs::File::options();
        let log = log.create(true).append(true).open(self.log());
        command.stderr(log.expect("a log"));
        if let Some(number) = kill_at {
            command.env(killpoint::VARIABLE, number.to_string());
        }
        self.agent = Some(command.spawn().expect("the agent starts"));
    }

    fn is_dead(&mut self) -> bool {
        let agent = self.agent.as_mut().expect("an agent was started");
        agent.try_wait().expect("a child").is_some()
    }

    /// A connection, once the agent listens; `None`: it has died before.
    fn connect(&mut self) -> Option<UnixStream> {
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

    /// Sends an order and waits for its end; `None`: the agent has died meanwhile.
    fn order(&mut self, operation: u64, verb: &Verb) -> Option<Outcome> {
        let mut stream = self.connect()?;
        let order = Box::new(order(operation, verb));
        let keys = Vec::new();
        let told = || -> io::Result<Option<Outcome>> {
            frame::send(&mut stream, &Request::Follow)?;
            frame::send(&mut stream, &Request::Order { order, keys })?;
            while let Some(answer) = frame::receive(&mut stream)? {
                if let Answer::Reported { report } = answer
                    && report.operation == Some(OperationId(operation))
                    && is_end(&report.outcome)
                {
                    return Ok(Some(report.outcome.clone()));
                }
            }
            Ok(None)
        };
        told().ok().flatten()
    }

    fn ask(&mut self, request: &Request) -> Answer {
        let mut stream = self.connect().expect("the agent lives");
        frame::send(&mut stream, request).expect("it hears");
        let answer = frame::receive(&mut stream).expect("it answers");
        answer.expect("it lives")
    }

    fn status(&mut self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status { status } => *status,
            other => panic!("{other:?}"),
        }
    }

    fn kill(&mut self) {
        let mut agent = self.agent.take().expect("an agent was started");
        agent.kill().expect("it is killed");
        agent.wait().expect("a child");
    }

    fn terminate(&mut self) -> bool {
        let mut agent = self.agent.take().expect("an agent was started");
        let pid = i32::try_from(agent.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it hears");
        agent.wait().expect("a child").success()
    }

    /// Processes of the node's guests: those that have a file of it open or named.
    fn guests(&self) -> usize {
        let seen = self.driver().recover().expect("the driver answers");
        let runs = |state| !matches!(state, VmState::Stopped | VmState::Failed);
        seen.iter().filter(|seen| runs(seen.state)).count()
    }

    fn assert_clean(&self, case: &str) {
        for folder in ["vms", "build", "saved"] {
            let left: Vec<_> = fs::read_dir(self.root().join(folder))
                .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
                .unwrap_or_default();
            assert_eq!(left, Vec::<PathBuf>::new(), "{case}");
        }
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
        for vm in self.driver().list().unwrap_or_default() {
            let keys = Keys::default();
            self.driver()
                .perform(vm, &Act::Destroy, &keys, &Unwatched)
                .ok();
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
fn image() -> Arc<Shelf> {
    // Kept by the nodes that are there, so that it goes with the last of them.
    static SHELF: Mutex<Weak<Shelf>> = Mutex::new(Weak::new());
    let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    let found = shelf.upgrade().unwrap_or_else(|| Arc::new(Shelf::new()));
    *shelf = Arc::downgrade(&found);
    found
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the image");
        let initrd = folder.path().join("initrd");
        make_initrd(&folder.path().join("guest"), &initrd);
        let stream = folder.path().join("made");
        let mut tar = tar::Builder::new(fs::File::create(&stream).expect("a file"));
        for (from, name) in [
            (Path::new(KERNEL), "boot/vmlinuz"),
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

fn blueprint() -> Blueprint {
    Blueprint {
        vm: VM,
        tenant: TenantId(1),
        name: "web".to_owned(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Para,
        cpus: 1,
        max_cpus: 1,
        mem_mib: 64,
        max_mem_mib: 64,
        boot: BootLoader::Direct,
        kernel_arguments: String::new(),
        disks: vec![Disk {
            name: "root".to_owned(),
            size_mib: 32,
            image: Some(image().id.clone()),
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
    }
}

fn create() -> Verb {
    let blueprint = Box::new(blueprint());
    Verb::Create { blueprint }
}

fn stop() -> Verb {
    Verb::Stop {
        shutdown: Shutdown::Forced,
    }
}

fn order(operation: u64, verb: &Verb) -> Order {
    Order {
        operation: OperationId(operation),
        generation: Generation(1),
        node: NodeId(1),
        vm: VM,
        verb: verb.clone(),
        deadline: Time::NEVER,
    }
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Cancelled | Outcome::Refused { .. }
    )
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A guest goes from order to running; the agent ends when asked and leaves it running, finds it
/// again, tells the calls that were made, and deletes it without a trace.
#[test]
fn a_guest_outlives_the_agent_and_is_found_again() {
    let mut node = Node::new();
    node.start(None);
    let Answer::DryRun { steps } = node.ask(&Request::DryRun {
        order: Box::new(order(1, &create())),
    }) else {
        panic!("no dry run");
    };
    let steps: Vec<String> = steps.into_iter().map(|step| step.step).collect();
    assert_eq!(steps.first().map(String::as_str), Some("reserve 64 MiB"));
    assert_eq!(steps.last().map(String::as_str), Some("define vm 7"));
    assert_eq!(node.order(1, &create()), Some(Outcome::Done));
    assert_eq!(node.order(2, &Verb::Start), Some(Outcome::Done));
    assert!(node.terminate(), "it ends well");
    assert_eq!(node.guests(), 1);
    node.start(None);
    let status = node.status();
    assert_eq!(status.vms[0].state, Some(VmState::Running));
    assert_eq!(status.vms[0].name.as_deref(), Some("web"));
    let operation = Some(OperationId(2));
    let Answer::Log { calls } = node.ask(&Request::Log { operation }) else {
        panic!("no log");
    };
    assert!(!calls.is_empty(), "starting makes calls");
    assert_eq!(node.order(2, &Verb::Start), Some(Outcome::Done));
    assert_eq!(node.order(3, &Verb::Delete), Some(Outcome::Done));
    assert_eq!(node.guests(), 0);
    node.assert_clean("deleted");
}

/// A guest that dies by itself is noticed and told.
#[test]
fn a_guest_that_dies_is_noticed() {
    let mut node = Node::new();
    node.start(None);
    assert_eq!(node.order(1, &create()), Some(Outcome::Done));
    assert_eq!(node.order(2, &Verb::Start), Some(Outcome::Done));
    let forced = Act::Stop {
        shutdown: Shutdown::Forced,
    };
    let keys = Keys::default();
    let stopped = node.driver().perform(VM, &forced, &keys, &Unwatched);
    stopped.expect("somebody else stops it");
    wait_until("the agent to notice", || {
        node.status().vms[0].state != Some(VmState::Running)
    });
}

/// A second agent in the same folder refuses to start, and the first goes on.
#[test]
fn one_node_has_one_agent() {
    let mut node = Node::new();
    node.start(None);
    node.status();
    let second = node.command().output().expect("it runs");
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another agent has"), "{told}");
    node.status();
}

/// How far the points of a test are apart, unless all are asked for; a prime, so that points of
/// every kind are met.
const APART: u64 = 13;

/// Killed at a sample of all points of create, start, stop and delete, a new agent carries each order
/// to its one end, and nothing is left. `GRIDWRIGHT_ALL_POINTS=1` tries every point.
#[test]
fn a_killed_agent_leaves_nothing() {
    let apart = match std::env::var("GRIDWRIGHT_ALL_POINTS") {
        Ok(_) => 1,
        Err(_) => APART,
    };
    // Orders name the image, so that it must outlive each node.
    let _shelf = image();
    let verbs = [create(), Verb::Start, stop(), Verb::Delete];
    let mut point = 1;
    loop {
        let mut node = Node::new();
        node.start(Some(point));
        let mut killed = 0;
        for (index, verb) in verbs.iter().enumerate() {
            let operation = index as u64 + 1;
            let mut end = node.order(operation, verb);
            if end.is_none() {
                wait_until("the agent to have died", || node.is_dead());
                killed += 1;
                node.start(None);
                end = node.order(operation, verb);
            }
            let said = fs::read_to_string(node.log()).unwrap_or_default();
            assert_eq!(end, Some(Outcome::Done), "killed at {point}: {said}");
            let runs = usize::from(matches!(verb, Verb::Start));
            assert_eq!(node.guests(), runs, "{verb:?}, killed at {point}");
        }
        node.assert_clean(&format!("killed at {point}"));
        assert!(node.status().open.is_empty(), "killed at {point}");
        if killed == 0 {
            // Beyond the last point; the points before it were all there.
            assert!(point > 60, "only {point} points");
            return;
        }
        point += apart;
    }
}

/// A highly available guest is stopped once the lease lapses, though the agent was killed; and not
/// while the lease is renewed.
#[test]
fn the_watchdog_outlives_the_agent() {
    let mut node = Node::new();
    node.start(None);
    let renew = |millis| Request::Renew { span: Span(millis) };
    assert_eq!(node.ask(&renew(600_000)), Answer::Heard);
    let mut blueprint = Box::new(blueprint());
    blueprint.highly_available = true;
    let create = Verb::Create { blueprint };
    assert_eq!(node.order(1, &create), Some(Outcome::Done));
    assert_eq!(node.order(2, &Verb::Start), Some(Outcome::Done));
    node.kill();
    assert_eq!(node.guests(), 1, "its lease has not lapsed");
    // The next agent hears of no lease but the old one, which it shortens by none of its own.
    let file = node.root().join("watchdog.json");
    let orders = fs::read_to_string(&file).expect("the watchdog's orders");
    let mut orders: live::watchdog::Orders = serde_json::from_str(&orders).expect("they are JSON");
    orders.until_boot_millis = Some(live::watchdog::boot_millis() + 300);
    let orders = serde_json::to_vec(&orders).expect("they are JSON");
    live::journal::replace(&file, &orders).expect("new orders");
    wait_until("the watchdog to stop the guest", || node.guests() == 0);
}

/// Without a new lease a living agent stops the guest itself.
#[test]
fn an_agent_without_a_lease_stops_what_is_highly_available() {
    let mut node = Node::new();
    node.start(None);
    let mut blueprint = Box::new(blueprint());
    blueprint.highly_available = true;
    let create = Verb::Create { blueprint };
    assert_eq!(node.order(1, &create), Some(Outcome::Done));
    let refused = node.order(2, &Verb::Start);
    assert!(
        matches!(refused, Some(Outcome::Failed { .. })),
        "{refused:?}"
    );
    let span = Span(4_000);
    assert_eq!(node.ask(&Request::Renew { span }), Answer::Heard);
    assert_eq!(node.order(3, &Verb::Start), Some(Outcome::Done));
    wait_until("the agent to stop it", || {
        node.status().vms[0].state == Some(VmState::Stopped)
    });
    assert_eq!(node.guests(), 0);
}

/// A configuration is read whole; what it cannot be is told with what it may be.
#[test]
fn a_wrong_configuration_is_told() {
    let check = |more: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("agent.toml");
        let root = folder.path().join("node");
        let text = format!("node = 1\nroot = {root:?}\n{more}\n");
        fs::write(&file, text).expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gridwright-agent"));
        let run = command.arg("--config").arg(&file).output();
        let run = run.expect("it runs");
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && told.contains(expected), "{told}");
    };
    check("driver = \"vax\"", "driver is vax, expected one of");
    check("driver = \"outside\"", "expected the driver's path");
    check(
        "driver = \"uml\"\nlisten = \"127.0.0.1:7000\"",
        "listen is 127.0.0.1:7000, expected unix:PATH",
    );
    check(
        "driver = \"uml\"\nhost = \"127.0.0.1\"",
        "host is 127.0.0.1 and plugging is user, expected one of them",
    );
    check("driver = \"uml\"\nhost_name = \"a\"", "unknown field");
    check(
        "driver = \"uml\"\nplugging = \"tap\"\nhost = \"here\"\npeers = [\"192.0.2.2\"]",
        "host is here, expected an address",
    );
}
