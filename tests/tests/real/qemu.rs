//! QEMU for real: busybox guests that boot, stop, move, grow and are measured.

use crate::conformance::{self, Subject};
use crate::guest::{self, BOOTED, wait_for};
use agent::driver::{Act, Driver, Effect};
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::qemu::Qemu;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use model::report::VmState;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// An emulated guest boots in 3 s alone; with all tests on two cores it takes many times that.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node: a driver's folder, and the folder of its disks; no VM is left when it goes.
struct Node {
    folder: TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("gw")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        Self { folder }
    }

    fn qemu(&self) -> Qemu {
        Qemu::open(&self.folder.path().join("vms")).expect("a driver")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A machine of one vCPU, 192 MiB and a qcow2 disk of 64 MiB.
    fn machine(&self, vm: VmId) -> Machine {
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
            boot: boot(Arch::X86_64, ""),
            disks: vec![self.disk(vm, "root", DiskFormat::Qcow2)],
            interfaces: Vec::new(),
        }
    }

    /// A disk of 64 MiB, made unless it is there.
    fn disk(&self, vm: VmId, name: &str, format: DiskFormat) -> AttachedDisk {
        let path = self.path(&format!("vm-{}-{name}.{format}", vm.0));
        if !path.exists() && format != DiskFormat::Luks {
            let word = format.to_string();
            guest::run(
                Command::new("qemu-img")
                    .args(["create", "-q", "-f", &word])
                    .arg(&path)
                    .arg("64M"),
            );
        }
        AttachedDisk {
            name: name.to_owned(),
            path,
            format,
            size_mib: 64,
            base: None,
            key: None,
            read_only: false,
            iops: None,
            mibps: None,
        }
    }

    fn perform(&self, vm: VmId, act: &Act) -> Effect {
        self.qemu()
            .perform(vm, act, &Keys::default(), &Unwatched)
            .unwrap_or_else(|error| panic!("{act:?}: {error}"))
    }

    fn console(&self, vm: VmId) -> String {
        let path = self.path(&format!("vms/vm-{}/console.log", vm.0));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits until the guest has written a text, and gives all that it wrote.
    fn wait_console(&self, vm: VmId, text: &str) -> String {
        wait_for(&format!("{text:?} of {vm}"), PATIENCE, || {
            let console = self.console(vm);
            console.contains(text).then_some(console)
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let qemu = self.qemu();
        for vm in qemu.list().unwrap_or_default() {
            // The test has failed or has shown what it had to; either way nothing may be left.
            let _ = qemu.perform(vm, &Act::Destroy, &Keys::default(), &Unwatched);
        }
    }
}

impl Subject for Node {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.qemu())
    }

    fn machine(&self, vm: VmId) -> Machine {
        Self::machine(self, vm)
    }

    fn wait_booted(&self, vm: VmId) {
        self.wait_console(vm, BOOTED);
    }

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.path(&format!("vm-{}.image", vm.0))
    }
}

/// A kernel with the initial RAM disk of all tests, and words for its init.
fn boot(arch: Arch, words: &str) -> Boot {
    static MADE: LazyLock<(TempDir, Mutex<()>)> =
        LazyLock::new(|| (tempfile::tempdir().expect("a folder"), Mutex::new(())));
    let (folder, lock) = &*MADE;
    let initrd = folder.path().join(format!("{arch}.gz"));
    let _one_maker = lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !initrd.exists() {
        guest::initrd(arch, &initrd);
    }
    let console = match arch {
        Arch::Aarch64 => "ttyAMA0",
        Arch::X86_64 | Arch::Riscv64 => "ttyS0",
    };
    Boot::Kernel {
        kernel: guest::kernel(arch),
        initrd: Some(initrd),
        command_line: format!("console={console} quiet panic=-1 {words}"),
    }
}

/// The whole state × act table, with dry runs.
#[test]
fn follows_the_table() {
    conformance::follows_the_table(&Node::new());
}

/// Every act may be repeated, and a new driver finds the VMs.
#[test]
fn repeats_and_recovers() {
    conformance::repeats_and_recovers(&Node::new());
}

/// A VM outlives its driver, is seen by the next one and obeys it.
#[test]
fn outlives_its_driver() {
    let node = Node::new();
    let vm = VmId(1);
    let machine = Box::new(node.machine(vm));
    node.perform(vm, &Act::Define { machine });
    node.perform(vm, &Act::Start);
    let console = node.wait_console(vm, BOOTED);
    assert!(console.contains("disks=1"), "{console}");
    let next = node.qemu();
    let seen = next.recover().expect("an answer");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].state, VmState::Running);
    node.perform(vm, &Act::Destroy);
    assert!(!node.path("vms/vm-1").exists(), "files are left");
}

/// The probe runs guests of all three instruction sets.
#[test]
fn fingerprints() {
    let node = Node::new();
    conformance::fingerprints(&node);
    let found = node.qemu().fingerprint(&Unwatched).expect("QEMU works");
    assert_eq!(
        found.emulated,
        [Arch::X86_64, Arch::Aarch64, Arch::Riscv64],
        "{}",
        found.evidence
    );
}
