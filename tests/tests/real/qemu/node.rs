//! A node of QEMU's tests, its machines, and the ways to their guests.

use crate::conformance::Subject;
use crate::guest::{self, BOOTED};
use agent::driver::{Act, Driver, DriverError, Effect, SavedDisk};
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use drivers::qemu::Qemu;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::{KeyId, VmId};
use model::report::VmState;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, RwLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An emulated guest boots in 3 s alone; with all tests on two cores it takes many times that.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A node: a driver's folder, and the folder of its disks; no VM is left when it goes.
pub struct Node {
    folder: TempDir,
    lines: Mutex<BTreeMap<VmId, UnixStream>>,
    /// The driver that is there all the time, as an agent has it.
    driver: RwLock<Option<Arc<Qemu>>>,
}

/// Keys of as many moves as a test makes.
pub fn keys() -> Keys {
    let mut keys = Keys::default();
    for key in 0..100 {
        keys.insert(KeyId(key), vec![key as u8; 32]);
    }
    keys
}

impl Node {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("gw")
            .tempdir_in("/dev/shm")
            .expect("a folder in memory");
        let node = Self {
            folder,
            lines: Mutex::default(),
            driver: RwLock::default(),
        };
        node.restart();
        node
    }

    /// The driver ends, and another takes over.
    pub fn restart(&self) {
        self.end();
        let mut driver = self.driver.write().expect("nobody panics here");
        let next = self.qemu();
        next.recover().expect("VMs that are seen again");
        *driver = Some(Arc::new(next));
    }

    /// The driver ends.
    pub fn end(&self) {
        *self.driver.write().expect("nobody panics here") = None;
    }

    fn driver(&self) -> Arc<Qemu> {
        let driver = self.driver.read().expect("nobody panics here");
        driver.clone().expect("there is one but in a restart")
    }

    pub fn qemu(&self) -> Qemu {
        Qemu::open(&self.folder.path().join("vms")).expect("a driver")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A machine of one vCPU, 192 MiB and a qcow2 disk of 64 MiB.
    pub fn machine(&self, vm: VmId) -> Machine {
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
    pub fn disk(&self, vm: VmId, name: &str, format: DiskFormat) -> AttachedDisk {
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
            extents: Vec::new(),
        }
    }

    pub fn perform(&self, vm: VmId, act: &Act) -> Effect {
        self.try_perform(vm, act)
            .unwrap_or_else(|error| panic!("{act:?}: {error}"))
    }

    /// Saves the first disk of a VM.
    pub fn save(&self, vm: VmId, file: &Path) {
        let disk = "root".to_owned();
        let file = file.to_owned();
        let disks = vec![SavedDisk { disk, file }];
        self.perform(vm, &Act::SaveImage { disks });
    }

    pub fn try_perform(&self, vm: VmId, act: &Act) -> Result<Effect, DriverError> {
        self.watched(vm, act, &Unwatched)
    }

    pub fn watched(&self, vm: VmId, act: &Act, watch: &dyn Watch) -> Result<Effect, DriverError> {
        self.driver().perform(vm, act, &keys(), watch)
    }

    pub fn state(&self, vm: VmId) -> Option<VmState> {
        let seen = self.qemu().inspect(vm).expect("an answer");
        seen.map(|seen| seen.state)
    }

    /// Defines and starts a machine, and waits until its guest is up.
    pub fn boot(&self, machine: Machine) {
        let vm = machine.vm;
        let machine = Box::new(machine);
        self.perform(vm, &Act::Define { machine });
        self.perform(vm, &Act::Start);
        self.wait_console(vm, BOOTED);
    }

    /// Types a line at the guest's console. The line stays connected, for QEMU drops what the guest
    /// has not yet taken when it hangs up; and somebody reads it, for else the guest stands still.
    pub fn type_line(&self, vm: VmId, line: &str) {
        let mut lines = self.lines.lock().expect("nobody panics here");
        let said = format!("{line}\n");
        let typed = lines
            .get_mut(&vm)
            .is_some_and(|console| console.write_all(said.as_bytes()).is_ok());
        if !typed {
            let path = self.path(&format!("vms/vm-{}/console", vm.0));
            let mut console = UnixStream::connect(path).expect("a console");
            let mut other_end = console.try_clone().expect("a second handle");
            std::thread::spawn(move || std::io::copy(&mut other_end, &mut std::io::sink()));
            console
                .write_all(said.as_bytes())
                .expect("a guest that listens");
            lines.insert(vm, console);
        }
    }

    pub fn console(&self, vm: VmId) -> String {
        let path = self.path(&format!("vms/vm-{}/console.log", vm.0));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits until the guest has written a text, and gives all that it wrote.
    pub fn wait_console(&self, vm: VmId, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let console = self.console(vm);
            if console.contains(text) {
                return console;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for {text:?} of {vm}, which said:\n{console}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
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
pub fn boot(arch: Arch, words: &str) -> Boot {
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
