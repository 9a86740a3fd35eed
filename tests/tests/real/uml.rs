//! User-mode Linux: guests boot, are driven and leave nothing behind.

mod kills;

use crate::conformance::{self, Subject};
use crate::guest::{self, BOOTED, wait_for, wait_to_see};
use agent::driver::{Act, Console, Driver, DriverError, NativeCall};
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use drivers::uml::{Registers, Uml};
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use model::sample::{Metric, Source};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

const PROGRAM: &str = "/usr/bin/linux.uml";

/// Waits are cut off after this; the machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// A node of its own for each test.
struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the node");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("bin")).expect("bin");
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static");
        fs::write(root.join("modules"), "").expect("modules");
        guest::write_init(&root);
        guest::pack(&root, &folder.path().join("initrd"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn uml(&self) -> Uml {
        Uml::open(&self.path("uml"), Path::new(PROGRAM)).expect("a driver")
    }

    fn perform(&self, vm: VmId, act: &Act) -> Option<VmState> {
        let done = self.uml().perform(vm, act, &Keys::default(), &Unwatched);
        done.unwrap_or_else(|error| panic!("{act:?}: {error}"))
            .state
    }

    /// Defines and starts a machine and waits until its guest is up.
    fn boot(&self, machine: Machine) -> VmId {
        let vm = machine.vm;
        let machine = Box::new(machine);
        self.perform(vm, &Act::Define { machine });
        self.perform(vm, &Act::Start);
        self.wait_booted(vm);
        vm
    }

    fn console_text(&self, vm: VmId) -> String {
        let Ok(Console::Log { path }) = self.uml().console(vm) else {
            panic!("{vm} has no console log");
        };
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}

/// Whatever a failed test leaves running ends with its node.
impl Drop for Node {
    fn drop(&mut self) {
        for vm in self.uml().list().unwrap_or_default() {
            let act = Act::Destroy;
            self.uml()
                .perform(vm, &act, &Keys::default(), &Unwatched)
                .ok();
        }
    }
}

impl Subject for Node {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.uml())
    }

    fn machine(&self, vm: VmId) -> Machine {
        let path = self.path(&format!("{}.img", vm.0));
        File::create(&path)
            .and_then(|file| file.set_len(16 << 20))
            .expect("a disk");
        Machine {
            vm,
            name: format!("guest-{}", vm.0),
            arch: Arch::X86_64,
            guest: Guest::Linux,
            virtualisation: Virtualisation::Para,
            cpus: 1,
            max_cpus: 1,
            mem_mib: 96,
            max_mem_mib: 128,
            boot: Boot::Kernel {
                kernel: PROGRAM.into(),
                initrd: Some(self.path("initrd")),
                command_line: "quiet".into(),
            },
            disks: vec![AttachedDisk {
                name: "root".into(),
                path,
                format: DiskFormat::Raw,
                size_mib: 16,
                base: None,
                key: None,
                read_only: false,
                iops: None,
                mibps: None,
                extents: Vec::new(),
            }],
            interfaces: Vec::new(),
        }
    }

    fn wait_booted(&self, vm: VmId) {
        wait_for("the guest's boot marker", LIMIT, || {
            self.console_text(vm).contains(BOOTED).then_some(())
        });
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.path(&format!("{}.saved", vm.0))
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

/// A probe boots a guest and says what came of it.
#[test]
fn fingerprints() {
    conformance::fingerprints(&Node::new());
}

/// A guest that is asked shuts itself down, one that powers itself off is stopped, and one whose
/// kernel panics has failed; each starts again.
#[test]
fn ends_are_told_apart() {
    let node = Node::new();
    let vm = node.boot(node.machine(VmId(1)));
    let patience_millis = 30_000;
    let asked = Shutdown::Asked { patience_millis };
    let stop = Act::Stop { shutdown: asked };
    assert_eq!(node.perform(vm, &stop), Some(VmState::Stopped));

    let mut panics = node.machine(VmId(2));
    let Boot::Kernel { command_line, .. } = &mut panics.boot else {
        panic!("a kernel");
    };
    command_line.push_str(" rdinit=/missing root=/dev/missing");
    let vm = panics.vm;
    let machine = Box::new(panics);
    node.perform(vm, &Act::Define { machine });
    // The kernel runs before it panics; whether the start still sees it is up to the two.
    let start = Act::Start;
    let started = node.uml().perform(vm, &start, &Keys::default(), &Unwatched);
    if let Ok(effect) = started {
        assert!(effect.state.is_some(), "a VM does not go by itself");
    }
    wait_for("the panic to be seen", LIMIT, || {
        let seen = node.uml().inspect(vm).expect("an answer").expect("a VM");
        (seen.state == VmState::Failed).then_some(())
    });
    let shutdown = Shutdown::Forced;
    assert_eq!(
        node.perform(vm, &Act::Stop { shutdown }),
        Some(VmState::Stopped)
    );
}

/// A running guest is given less and more memory, as its own kernel and the node see.
#[test]
fn memory_is_scaled() {
    let node = Node::new();
    let vm = node.boot(node.machine(VmId(1)));
    let mem_mib = || {
        node.uml()
            .inspect(vm)
            .expect("an answer")
            .expect("a VM")
            .mem_mib
    };
    let free_mib = || {
        let readings = node.uml().statistics(vm).expect("readings");
        let free = readings.iter().find(|reading| {
            reading.source == Source::Guest && reading.metric == Metric::MemAvailableMib
        });
        free.expect("the guest's free memory").value
    };
    assert_eq!(mem_mib(), Some(96));
    let before = free_mib();
    let scale = |mem_mib| Act::Scale {
        scale: Scale::Mem { mem_mib },
    };
    node.perform(vm, &scale(128));
    assert_eq!(mem_mib(), Some(128));
    let gains = |gained_mib: f64| {
        wait_to_see(
            &format!("some {gained_mib} MiB more than {before}"),
            LIMIT,
            free_mib,
            |free| (free - before - gained_mib).abs() < 4.0,
        );
    };
    gains(32.0);
    node.perform(vm, &scale(112));
    node.perform(vm, &scale(112));
    gains(16.0);
    let refused = node
        .uml()
        .perform(vm, &scale(129), &Keys::default(), &Unwatched);
    assert!(
        matches!(refused, Err(DriverError::Invalid { .. })),
        "{refused:?}"
    );
}

/// What a guest's own words may be is let in; whatever else the kernel may know is refused.
#[test]
fn tenants_cannot_reach_the_node() {
    let node = Node::new();
    let validate = |word: &str| {
        let mut machine = node.machine(VmId(1));
        let Boot::Kernel { command_line, .. } = &mut machine.boot else {
            panic!("a kernel");
        };
        *command_line = format!("quiet {word}");
        node.uml().validate(&machine)
    };
    for word in [
        "root=/dev/ubda rw",
        "systemd.unit=rescue.target",
        "panic=-1",
    ] {
        validate(word).unwrap_or_else(|error| panic!("{word}: {error}"));
    }
    for word in [
        "ubd1=/etc/passwd",
        "hostfs=/",
        "rootfstype=hostfs",
        "virtio-uml.device=/dev/null:0",
        "virtio_uml.device=/dev/null:0",
        "con1=xterm",
        "umid=uml-2",
        "vec0:transport=raw",
        "stderr=0",
        "-- sh",
    ] {
        let refused = validate(word);
        assert!(
            matches!(refused, Err(DriverError::Invalid { .. })),
            "{word}: {refused:?}"
        );
    }
}

/// Goes on before a call only once it is told to.
struct Waits {
    call: &'static str,
    met: Barrier,
}

impl Watch for Waits {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &NativeCall) {
        if call.interface == self.call {
            self.met.wait(); // it is here
            self.met.wait(); // it may go on
        }
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// A start that comes too late fails, and takes nothing from the guest that another has begun.
#[test]
fn a_late_start_leaves_the_guest_alone() {
    let node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    let waits = Waits {
        call: "exec",
        met: Barrier::new(2),
    };
    std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            let start = Act::Start;
            node.uml().perform(vm, &start, &Keys::default(), &waits)
        });
        waits.met.wait();
        assert_eq!(node.perform(vm, &Act::Start), Some(VmState::Running));
        waits.met.wait();
        late.join()
            .expect("it ends")
            .expect_err("one guest at most");
    });
    let seen = node.uml().inspect(vm).expect("an answer").expect("a VM");
    assert_eq!(seen.state, VmState::Running);
    assert_eq!(node.perform(vm, &Act::Destroy), None);
    assert_eq!(processes_of(node.folder.path()), 0);
}

/// With the registers kept that User-mode Linux keeps on processors with AMX, guests run too.
#[test]
fn legacy_registers_do() {
    let node = Node::new();
    let found = node
        .uml()
        .with_registers(Registers::Legacy)
        .fingerprint(&Unwatched)
        .expect("a probe");
    assert!(found.evidence.contains("SSE"), "{}", found.evidence);
}

/// Processes whose command lines name a folder.
fn processes_of(folder: &Path) -> usize {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(&folder))
        .count()
}
