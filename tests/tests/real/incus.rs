//! Incus: containers run, are driven and leave nothing behind, on servers of the tests' own.

mod limits;

use crate::conformance::{self, Subject};
use crate::guest::{BOOTED, run, wait_for, wait_to_see};
use crate::incusd::Incusd;
use crate::planted::{held, is_holed, plant};
use crate::sys::sees_its_network;
use agent::driver::{Act, Console, Driver, DriverError, NativeCall, SavedDisk};
use agent::machine::{Boot, Machine};
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use drivers::incus::{Incus, Server};
use image::unpacked::unpack_root;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Waits are cut off after this; the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// The first program of a container: it shuts down when asked, as its init would.
const INIT: &str = r#"#!/bin/busybox sh
trap 'echo GUEST-DOWN; exit 0' PWR
export PATH=/bin
echo "GUEST-UP name=$(hostname)"
while :; do sleep 0.2 & wait $!; done
"#;

/// A server of its own for each test.
struct Node {
    server: Incusd,
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        Self::behind(|_| Vec::new())
    }

    /// In a network of its own.
    fn apart() -> Self {
        Self::behind(|folder| {
            let sys = folder.join("sys");
            fs::create_dir(&sys).expect("a folder");
            let apart = ["unshare", "--net"].map(str::to_owned);
            apart.into_iter().chain(sees_its_network(&sys)).collect()
        })
    }

    /// Its server runs behind words, made for the node's folder.
    fn behind(words: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let words = words(folder.path());
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let server = Incusd::start(&folder.path().join("incus"), &words);
        Self { server, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn incus(&self) -> Incus {
        Incus::new(Server {
            socket: self.server.socket(),
            logs: self.server.logs(),
            pool: "default".into(),
        })
    }

    /// Runs Incus's own client, as another user of the server would.
    fn client(&self, words: &[&str]) -> String {
        self.server.client(words)
    }

    fn perform(&self, vm: VmId, act: &Act) -> Option<VmState> {
        let done = self.incus().perform(vm, act, &Keys::default(), &Unwatched);
        done.unwrap_or_else(|error| panic!("{act:?}: {error}"))
            .state
    }

    fn define(&self, machine: Machine) -> VmId {
        let vm = machine.vm;
        let machine = Box::new(machine);
        self.perform(vm, &Act::Define { machine });
        vm
    }

    fn console_text(&self, vm: VmId) -> String {
        let Ok(Console::Log { path }) = self.incus().console(vm) else {
            panic!("{vm} has no console log");
        };
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits until a program in the container may use this many cores: Incus deals them out by
    /// itself, some time after an act.
    fn wait_cpus(&self, vm: VmId, cpus: u32) {
        let name = format!("vm-{}", vm.0);
        let nproc = ["exec", "--project", "gridwright", &name, "--", "/bin/nproc"];
        wait_to_see(
            &format!("{cpus} cpus"),
            LIMIT,
            || self.client(&nproc),
            |said| said.trim() == cpus.to_string(),
        );
    }
}

impl Subject for Node {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.incus())
    }

    fn machine(&self, vm: VmId) -> Machine {
        let root = self.path(&format!("root-{}", vm.0));
        if !root.exists() {
            for folder in ["bin", "dev", "etc", "proc", "sbin", "sys", "tmp"] {
                fs::create_dir_all(root.join(folder)).expect("a root folder");
            }
            fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static");
            for tool in ["hostname", "nproc", "sh", "sleep"] {
                symlink("busybox", root.join("bin").join(tool)).expect("a link");
            }
            let init = root.join("sbin/init");
            fs::write(&init, INIT).expect("init");
            run(Command::new("chmod").arg("755").arg(&init));
        }
        Machine {
            vm,
            name: format!("guest-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Container,
            cpus: 1,
            max_cpus: 2,
            mem_mib: 64,
            max_mem_mib: 128,
            boot: Boot::Folder { root },
            disks: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    fn wait_booted(&self, vm: VmId) {
        wait_for("the container's boot marker", LIMIT, || {
            self.console_text(vm).contains(BOOTED).then_some(())
        });
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.path(&format!("{}.tar", vm.0))
    }
}

/// The driver does what its capabilities and the table of states say, for every state and act.
#[test]
fn follows_the_table() {
    conformance::follows_the_table(&Node::new());
}

/// Acts may be repeated, and another driver finds the same VMs.
#[test]
fn repeats_and_recovers() {
    conformance::repeats_and_recovers(&Node::new());
}

/// A probe runs a container and says what came of it.
#[test]
fn fingerprints() {
    let node = Node::new();
    conformance::fingerprints(&node);
    assert_eq!(node.incus().list().expect("a list"), []);
}

/// Instances of others stay untouched and unseen, a name of ours that somebody took is told, and a VM
/// deleted behind our back is absent.
#[test]
fn others_are_left_alone() {
    let node = Node::new();
    let vm = node.define(node.machine(VmId(1)));
    let project = ["--project", "gridwright"];
    let client = |words: &[&str]| node.client(&[words, &project].concat());
    client(&["copy", "vm-1", "somebodys"]);
    client(&["copy", "vm-1", "vm-2", "--config", "user.gridwright.vm="]);
    assert_eq!(node.incus().list().expect("a list"), [vm]);

    let machine = Box::new(node.machine(VmId(2)));
    let define = Act::Define { machine };
    let refused = node
        .incus()
        .perform(VmId(2), &define, &Keys::default(), &Unwatched)
        .expect_err("a name that is taken");
    assert!(refused.to_string().contains("not ours"), "{refused}");

    client(&["delete", "vm-1"]);
    assert_eq!(node.incus().inspect(vm).expect("an answer"), None);
    assert_eq!(node.perform(vm, &Act::Destroy), None);
    let left = client(&["list", "--format", "csv", "--columns", "n"]);
    assert_eq!(left, "somebodys\nvm-2\n");
    client(&["delete", "somebodys", "vm-2"]);
}

/// Going back to a snapshot brings back the files, and keeps the limits of now.
#[test]
fn snapshots_bring_files_back() {
    let node = Node::new();
    let vm = node.define(node.machine(VmId(1)));
    let file = "vm-1/etc/word";
    let word = node.path("word");
    let put = |text: &str| {
        fs::write(&word, text).expect("a file");
        let word = word.display().to_string();
        node.client(&["file", "push", "--project", "gridwright", &word, file]);
    };
    put("before");
    let name = "kept".to_owned();
    node.perform(vm, &Act::Snapshot { name: name.clone() });
    put("after");
    let scale = Scale::Mem { mem_mib: 96 };
    node.perform(vm, &Act::Scale { scale });
    node.perform(vm, &Act::Restore { name });
    let pull = ["file", "pull", "--project", "gridwright", file, "-"];
    assert_eq!(node.client(&pull), "before");
    let seen = node.incus().inspect(vm).expect("an answer").expect("a VM");
    assert_eq!(seen.mem_mib, Some(96));
    let unknown = Act::Restore {
        name: "none".into(),
    };
    let refused = node
        .incus()
        .perform(vm, &unknown, &Keys::default(), &Unwatched);
    assert!(
        matches!(refused, Err(DriverError::Invalid { .. })),
        "{refused:?}"
    );
}

/// What is saved of a running container is its root, which boots on a second server.
#[test]
fn a_saved_root_boots_elsewhere() {
    let (here, there) = (Node::new(), Node::new());
    let vm = here.define(here.machine(VmId(1)));
    here.perform(vm, &Act::Start);
    here.wait_booted(vm);
    let file = here.image_file(vm);
    let saved = SavedDisk {
        disk: "root".to_owned(),
        file: file.clone(),
    };
    let disks = vec![saved];
    here.perform(vm, &Act::SaveImage { disks });
    let images = [
        "image",
        "list",
        "--project",
        "gridwright",
        "--format",
        "csv",
    ];
    assert_eq!(here.client(&images), "", "an image is left over");

    let machine = there.machine(VmId(9));
    let Boot::Folder { root } = &machine.boot else {
        panic!("a folder");
    };
    fs::remove_dir_all(root).expect("the root is replaced");
    fs::create_dir(root).expect("a root");
    run(Command::new("tar")
        .arg("-xf")
        .arg(&file)
        .arg("-C")
        .arg(root));
    let vm = there.define(machine);
    there.perform(vm, &Act::Start);
    there.wait_booted(vm);
}

/// What is saved of a root is all that it holds, exactly, and takes no room for its holes.
#[test]
fn a_saved_root_is_what_it_was() {
    let (here, there) = (Node::new(), Node::new());
    let machine = here.machine(VmId(1));
    let Boot::Folder { root } = &machine.boot else {
        panic!("a folder");
    };
    plant(root);
    let before = held(root);
    let vm = here.define(machine);
    let file = here.image_file(vm);
    let disks = vec![SavedDisk {
        disk: "root".to_owned(),
        file: file.clone(),
    }];
    here.perform(vm, &Act::SaveImage { disks });
    let about = fs::metadata(&file).expect("a file");
    assert!(about.blocks() * 512 < about.len() / 2, "{about:?}");

    let machine = there.machine(VmId(9));
    let Boot::Folder { root } = &machine.boot else {
        panic!("a folder");
    };
    unpack_root(&file, root, &Unwatched).expect("it is unpacked");
    assert!(held(root) == before, "another root");
    there.define(machine);
    let pool = "incus/storage-pools/default/containers/gridwright_vm-9/rootfs";
    let root = there.path(pool);
    assert!(held(&root) == before, "another root");
    assert!(is_holed(&root));
}

/// Calls an act off a moment after it has asked a guest to stop.
struct CallsOff {
    asked: Mutex<Option<Instant>>,
}

impl Watch for CallsOff {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        if call.call.contains("\"stop\"") {
            *self.asked.lock().expect("no panic") = Some(Instant::now());
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        let asked = *self.asked.lock().expect("no panic");
        match asked.is_some_and(|asked| asked.elapsed() > Duration::from_millis(300)) {
            true => Err(CalledOff::Cancelled),
            false => Ok(()),
        }
    }
}

/// A stop that a deaf guest holds up for ten minutes can be called off, and neither it nor what Incus
/// still does for it holds up the next act.
#[test]
fn what_is_called_off_holds_nothing_up() {
    let node = Node::new();
    let machine = node.machine(VmId(1));
    let Boot::Folder { root } = &machine.boot else {
        panic!("a folder");
    };
    let init = root.join("sbin/init");
    let deaf = INIT.replace("'echo GUEST-DOWN; exit 0'", "''");
    fs::write(init, deaf).expect("init");
    let vm = node.define(machine);
    node.perform(vm, &Act::Start);
    node.wait_booted(vm);
    let begun = Instant::now();
    let shutdown = Shutdown::Asked {
        patience_millis: 600_000,
    };
    let watch = CallsOff {
        asked: Mutex::new(None),
    };
    let stop = Act::Stop { shutdown };
    let ended = node.incus().perform(vm, &stop, &Keys::default(), &watch);
    assert!(
        matches!(ended, Err(DriverError::CalledOff { .. })),
        "{ended:?}"
    );
    let seen = node.incus().inspect(vm).expect("an answer").expect("a VM");
    assert!(
        matches!(seen.state, VmState::Running | VmState::Stopping),
        "{seen:?}"
    );
    assert_eq!(node.perform(vm, &Act::Destroy), None);
    assert!(begun.elapsed() < Duration::from_secs(300), "held up");
}
