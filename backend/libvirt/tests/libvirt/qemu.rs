//! `qemu:///system` for real: busybox guests that boot, stop, grow, fail and are found again.

use crate::daemon::Daemon;
use crate::imaginary::{disk, program};
use agent::driver::{Act, Console, Driver, DriverError};
use agent::machine::{Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::outside::{Outside, Program};
use kit::conformance::{self, Subject};
use kit::guest::{self, BOOTED, run, wait_for};
use kit::raw::Outsider;
use kit::{kills, manners};
use libvirt::domain::secret_xml;
use model::hypervisor::{Arch, Capability, Guest, Virtualisation};
use model::id::{KeyId, VmId};
use model::order::{Scale, Shutdown};
use model::report::VmState;
use model::sample::Metric;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use virt::connect::Connect;
use virt::secret::Secret;

/// An emulated guest boots in 3 s alone; with all tests on two cores it takes many times that.
const PATIENCE: Duration = Duration::from_secs(120);

const KEY: KeyId = KeyId(5);

/// One initial RAM disk for all guests.
static INITRD: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libvirt-initrd");
    let fresh = path.with_extension(std::process::id().to_string());
    guest::initrd(Arch::X86_64, &fresh);
    fs::rename(&fresh, &path).expect("a file of ours");
    path
});

/// A node with a libvirt of its own; no VM is left when it goes.
struct Node {
    folder: TempDir,
    daemon: Daemon,
    /// Whether a guest is waited for where the common suite would.
    patient: bool,
}

impl Node {
    fn new() -> Self {
        virt::error::clear_error_callback();
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        let daemon = Daemon::start(folder.path());
        let config = format!("uri = {:?}\n", daemon.uri("qemu:///system"));
        fs::write(folder.path().join("libvirt.toml"), config).expect("a configuration");
        let patient = true;
        Self {
            folder,
            daemon,
            patient,
        }
    }

    fn start(&self) -> Outside {
        Outside::start(self.program()).expect("the driver starts")
    }

    fn perform(&self, vm: VmId, act: &Act) {
        self.start()
            .perform(vm, act, &Keys::default(), &Unwatched)
            .unwrap_or_else(|error| panic!("{act:?}: {error}"));
    }

    fn state(&self, vm: VmId) -> Option<VmState> {
        let seen = self.start().inspect(vm).expect("an answer");
        seen.map(|seen| seen.state)
    }

    fn console(&self, vm: VmId) -> String {
        let path = format!("driver/vm-{}/console.log", vm.0);
        let bytes = fs::read(self.folder.path().join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Processes that name a file of the node's VMs.
    fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        let processes = run(Command::new("ps").args(["-ww", "-eo", "args"]));
        let ours = |line: &&str| line.contains(&folder) && line.contains("qemu-system");
        processes.lines().filter(ours).map(str::to_owned).collect()
    }
}

impl Subject for Node {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.start())
    }

    fn machine(&self, vm: VmId) -> Machine {
        let path = self.folder.path().join(format!("vm-{}.qcow2", vm.0));
        if !path.exists() {
            let create = ["create", "-q", "-f", "qcow2"];
            run(Command::new("qemu-img").args(create).arg(&path).arg("64M"));
        }
        let mut root = disk("root", path, DiskFormat::Qcow2);
        root.iops = None;
        Machine {
            vm,
            name: format!("guest-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Full,
            cpus: 1,
            max_cpus: 2,
            mem_mib: 192,
            max_mem_mib: 256,
            boot: Boot::Kernel {
                kernel: guest::kernel(Arch::X86_64),
                initrd: Some(INITRD.clone()),
                command_line: "console=ttyS0 quiet panic=-1".into(),
            },
            disks: vec![root],
            interfaces: Vec::new(),
        }
    }

    fn wait_booted(&self, vm: VmId) {
        wait_for(BOOTED, PATIENCE, || {
            (!self.patient || self.console(vm).contains(BOOTED)).then_some(())
        });
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.folder.path().join(format!("image-{}", vm.0))
    }
}

impl Outsider for Node {
    fn program(&self) -> Program {
        program(self.folder.path())
    }
}

/// The whole state × act table, with dry runs; afterwards nothing of any VM is left.
#[test]
fn follows_the_table() {
    let node = Node::new();
    conformance::follows_the_table(&node);
    assert_eq!(node.processes(), Vec::<String>::new());
    let left = fs::read_dir(node.program().folder)
        .expect("a folder")
        .flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| name.to_string_lossy().starts_with("driver.log")),
        "{left:?}"
    );
}

/// Every act may be repeated, and a new program finds the VMs.
#[test]
fn repeats_and_recovers() {
    conformance::repeats_and_recovers(&Node::new());
}

/// Killed at every message about every act, the program loses nothing, and nothing is left running.
#[test]
fn the_program_survives_every_kill() {
    let node = Node {
        // Kills hurt most while guests still come up.
        patient: false,
        ..Node::new()
    };
    let kills = kills::survives_every_kill(&node);
    assert!(kills > 40, "killed {kills} times only");
    assert_eq!(node.processes(), Vec::<String>::new());
}

/// Messages that mean nothing, haste and slow listeners leave the program and its VMs sound.
#[test]
fn has_manners() {
    let node = Node::new();
    manners::refuses_what_means_nothing(&node);
    manners::ends_what_is_called_off(&node);
    manners::answers_a_slow_listener(&node);
}

/// The probe starts domains; KVM is told as working only where a guest really runs by it.
#[test]
fn fingerprints() {
    let node = Node::new();
    conformance::fingerprints(&node);
    let found = node.start().fingerprint(&Unwatched).expect("QEMU works");
    assert!(found.emulated.contains(&Arch::X86_64), "{}", found.evidence);
    let works = drivers::qemu::kvm_works(Arch::X86_64);
    assert_eq!(
        found.native.contains(&Arch::X86_64),
        works,
        "{}",
        found.evidence
    );
    assert!(
        found.evidence.contains("a domain ran"),
        "{}",
        found.evidence
    );
    assert!(found.capabilities.contains(&Capability::Console));
}

/// A guest is measured, grows while it runs, and shows what it has.
#[test]
fn a_guest_grows_and_is_measured() {
    let node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    node.perform(vm, &Act::Start);
    node.wait_booted(vm);
    assert!(node.console(vm).contains("disks=1"), "{}", node.console(vm));
    let driver = node.start();
    let Ok(Console::Socket { path, .. }) = driver.console(vm) else {
        panic!("a running VM has a console");
    };
    assert!(path.exists());
    node.perform(
        vm,
        &Act::Scale {
            scale: Scale::Cpu { cpus: 2 },
        },
    );
    node.perform(
        vm,
        &Act::Scale {
            scale: Scale::Mem { mem_mib: 160 },
        },
    );
    let seen = driver.inspect(vm).expect("an answer").expect("it is there");
    assert_eq!((seen.cpus, seen.mem_mib), (Some(2), Some(160)));
    let readings = driver.statistics(vm).expect("figures");
    for metric in [
        Metric::CpuMilli,
        Metric::MemUsedMib,
        Metric::ReadIops,
        Metric::SpaceUsedMib,
    ] {
        let figure = readings.iter().find(|reading| reading.metric == metric);
        assert!(
            figure.is_some_and(|figure| figure.value >= 0.0),
            "{metric}: {readings:?}"
        );
    }
    node.perform(
        vm,
        &Act::Stop {
            shutdown: Shutdown::Forced,
        },
    );
    let seen = driver.inspect(vm).expect("an answer").expect("it is there");
    assert_eq!(
        (seen.cpus, seen.mem_mib),
        (Some(2), Some(160)),
        "the next start has as much"
    );
    node.perform(vm, &Act::Destroy);
}

/// A VM outlives the driver's program and libvirt's daemon; the guest that its process died under is
/// told as failed, and starts again.
#[test]
fn a_guest_outlives_the_daemon_and_its_death_is_told() {
    let mut node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    node.perform(vm, &Act::Start);
    node.wait_booted(vm);
    node.daemon.kill();
    let processes = node.processes();
    assert_eq!(processes.len(), 1);
    node.daemon.restart();
    let seen = node.start().recover().expect("an answer");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].state, VmState::Running);
    assert_eq!(node.processes(), processes, "it is the same guest");
    let pid = fs::read_to_string(
        node.folder
            .path()
            .join("libvirt/run/libvirt/qemu/gridwright-1.pid"),
    );
    let pid = pid.expect("libvirt keeps the process of a domain");
    run(Command::new("kill").args(["-9", pid.trim()]));
    wait_for("the death to be told", PATIENCE, || {
        (node.state(vm) == Some(VmState::Failed)).then_some(())
    });
    node.perform(vm, &Act::Start);
    assert_eq!(node.state(vm), Some(VmState::Running));
    node.perform(vm, &Act::Destroy);
    assert_eq!(node.state(vm), None);
}

/// An encrypted disk opens by the key that came with the order; libvirt keeps it no longer than the
/// start, and it is in no call, record or log.
#[test]
fn keys_open_disks_and_are_not_kept() {
    // No text: what a generator gives is none.
    const SECRET: &[u8] = b"open-sesame \xff\x80\0\n";
    let digits: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    let node = Node::new();
    let vm = VmId(1);
    let path = node.folder.path().join("root.luks");
    let key_file = node.folder.path().join("key");
    fs::write(&key_file, &digits).expect("a file");
    run(Command::new("truncate").args(["-s", "64M"]).arg(&path));
    run(Command::new("cryptsetup")
        .args([
            "luksFormat",
            "-q",
            "--type",
            "luks1",
            "--pbkdf-force-iterations",
            "1000",
        ])
        .arg(&path)
        .arg(&key_file));
    fs::remove_file(&key_file).expect("a file");
    let mut machine = node.machine(vm);
    machine.disks = vec![disk("root", path, DiskFormat::Luks)];
    machine.disks[0].key = Some(KEY);
    let driver = node.start();
    let define = Act::Define {
        machine: Box::new(machine),
    };
    node.perform(vm, &define);
    let calls = driver.translate(vm, &Act::Start).expect("a dry run");
    assert_eq!(calls.len(), 4, "{calls:?}");
    let start = |secret: Option<&[u8]>| {
        let mut keys = Keys::default();
        if let Some(secret) = secret {
            keys.insert(KEY, secret.to_vec());
        }
        driver.perform(vm, &Act::Start, &keys, &Unwatched)
    };
    let missing = start(None).expect_err("a key is needed");
    assert_eq!(missing, DriverError::KeyMissing { key: KEY });
    let wrong = start(Some(b"some-other-word")).expect_err("it is the wrong key");
    assert!(matches!(wrong, DriverError::Hypervisor { .. }), "{wrong}");
    assert_eq!(node.state(vm), Some(VmState::Stopped));
    start(Some(SECRET)).expect("it is the key");
    node.wait_booted(vm);
    let mut line = Connect::open(Some(&node.daemon.uri("qemu:///system"))).expect("libvirt");
    let kept = |line: &Connect| line.list_secrets().expect("an answer");
    assert_eq!(kept(&line), Vec::<String>::new());
    // As a program leaves it that is killed before it takes it back.
    let leave = |line: &Connect| {
        let secret = Secret::define_xml(line, &secret_xml(vm, KEY), 0).expect("a secret");
        secret.set_value(digits.as_bytes(), 0).expect("a value");
    };
    leave(&line);
    start(Some(SECRET)).expect("it runs");
    assert_eq!(kept(&line), Vec::<String>::new(), "after another start");
    leave(&line);
    let shutdown = Shutdown::Forced;
    node.perform(vm, &Act::Stop { shutdown });
    assert_eq!(kept(&line), Vec::<String>::new(), "after a stop");
    line.close().expect("closed");
    let found = Command::new("grep")
        .args(["-raFl", "-e", &digits, "-e", "open-sesame"])
        .arg(node.folder.path())
        .output();
    let found = String::from_utf8(found.expect("grep").stdout).expect("paths");
    assert_eq!(found, "", "the key is in files");
    assert!(!format!("{:?}", node.processes()).contains(&digits));
    node.perform(vm, &Act::Destroy);
}
