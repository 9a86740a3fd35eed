//! `test:///default`: no guest runs, and libvirt itself follows every call.

use crate::daemon::Daemon;
use agent::driver::{Act, Driver};
use agent::machine::{AttachedDisk, AttachedInterface, Boot, DiskFormat, Machine, Plug};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::outside::{Limits, Outside, Program};
use kit::conformance::{self, Subject};
use kit::raw::Outsider;
use kit::{kills, manners};
use libvirt::config::Config;
use libvirt::driver::Libvirt;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use virt::connect::Connect;
use virt::domain::Domain;

/// All connections of a process to `test:///default` see one hypervisor, as long as there is one.
static ALONE: Mutex<()> = Mutex::new(());

/// The hypervisor that libvirt imagines, within the test's process.
pub struct Imaginary {
    pub folder: TempDir,
    pub line: Connect,
    _alone: MutexGuard<'static, ()>,
}

impl Imaginary {
    pub fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        virt::error::clear_error_callback();
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            line: Connect::open(Some("test:///default")).expect("libvirt's own"),
            _alone: alone,
        }
    }

    pub fn libvirt(&self) -> Libvirt {
        let config = Config::of("test:///default");
        Libvirt::open(config, &self.folder.path().join("driver")).expect("a driver")
    }
}

impl Drop for Imaginary {
    fn drop(&mut self) {
        let _broken = self.line.close();
    }
}

/// A machine of all parts; nothing of it need be there.
pub fn machine(vm: VmId, folder: &Path) -> Machine {
    Machine {
        vm,
        name: format!("guest-{}", vm.0),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Full,
        cpus: 1,
        max_cpus: 2,
        mem_mib: 128,
        max_mem_mib: 256,
        boot: Boot::Disk,
        disks: vec![disk("root", folder.join("root.raw"), DiskFormat::Raw)],
        interfaces: vec![AttachedInterface {
            name: "front".into(),
            mac: [0x52, 0x54, 0, 0, 0, 7],
            plug: Plug::Tap {
                name: "tap7".into(),
            },
            mbps: Some(100),
        }],
    }
}

pub fn disk(name: &str, path: PathBuf, format: DiskFormat) -> AttachedDisk {
    AttachedDisk {
        name: name.into(),
        path,
        format,
        size_mib: 64,
        base: None,
        key: None,
        read_only: false,
        iops: Some(500),
        mibps: None,
        extents: Vec::new(),
    }
}

impl Subject for Imaginary {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(self.libvirt())
    }

    fn machine(&self, vm: VmId) -> Machine {
        machine(vm, self.folder.path())
    }

    fn wait_booted(&self, _vm: VmId) {}

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.folder.path().join(format!("image-{}", vm.0))
    }
}

/// The same behind a daemon, whose hypervisor outlives the driver's program.
struct Served {
    folder: TempDir,
    /// Keeps the imagined hypervisor while no program is connected.
    line: Connect,
    daemon: Daemon,
}

impl Served {
    fn new() -> Self {
        virt::error::clear_error_callback();
        let folder = tempfile::Builder::new().prefix("gw").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        let daemon = Daemon::start(folder.path());
        let uri = daemon.uri("test:///default");
        fs::write(
            folder.path().join("libvirt.toml"),
            format!("uri = {uri:?}\n"),
        )
        .expect("a file");
        let line = Connect::open(Some(&uri)).expect("a connection");
        Self {
            folder,
            line,
            daemon,
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _broken = self.line.close();
    }
}

impl Subject for Served {
    fn driver(&self) -> Box<dyn Driver> {
        Box::new(Outside::start(self.program()).expect("the driver starts"))
    }

    fn machine(&self, vm: VmId) -> Machine {
        machine(vm, self.folder.path())
    }

    fn wait_booted(&self, _vm: VmId) {}

    fn image_file(&self, vm: VmId) -> PathBuf {
        self.folder.path().join(format!("image-{}", vm.0))
    }
}

impl Outsider for Served {
    fn program(&self) -> Program {
        program(self.folder.path())
    }
}

/// The driver's program, told by `libvirt.toml` in a folder.
pub fn program(folder: &Path) -> Program {
    Program {
        path: env!("CARGO_BIN_EXE_gridwright-libvirt").into(),
        arguments: vec![folder.join("libvirt.toml").display().to_string()],
        folder: folder.join("driver"),
        limits: Limits::default(),
    }
}

/// The whole state × act table; and the domain that was there before is as it was.
#[test]
fn follows_the_table() {
    let imaginary = Imaginary::new();
    conformance::follows_the_table(&imaginary);
    let stranger = Domain::lookup_by_name(&imaginary.line, "test").expect("libvirt's own");
    assert!(stranger.is_active().expect("an answer"));
    let left = fs::read_dir(imaginary.folder.path().join("driver")).expect("a folder");
    assert_eq!(left.count(), 0, "files are left");
}

/// Every act may be repeated, and a new driver finds the VMs.
#[test]
fn repeats_and_recovers() {
    conformance::repeats_and_recovers(&Imaginary::new());
}

/// The probe tells what libvirt says, and what was not tried.
#[test]
fn fingerprints() {
    conformance::fingerprints(&Imaginary::new());
}

/// Killed at every message about every act, the program loses nothing; its reboots, off and on again,
/// are ended by the repeat. Messages that mean nothing, haste and slow listeners leave it sound.
#[test]
fn the_program_survives_every_kill_and_has_manners() {
    let served = Served::new();
    let kills = kills::survives_every_kill(&served);
    assert!(kills > 30, "killed {kills} times only");
    manners::refuses_what_means_nothing(&served);
    manners::ends_what_is_called_off(&served);
    manners::answers_a_slow_listener(&served);
}

/// A connection that has broken is opened again; what libvirt says of one that cannot be is told.
#[test]
fn a_broken_connection_is_opened_again() {
    let mut served = Served::new();
    let config = Config::of(&served.daemon.uri("qemu:///system"));
    let libvirt = Libvirt::open(config, &served.folder.path().join("other")).expect("a driver");
    assert_eq!(libvirt.list().expect("an answer"), []);
    served.daemon.kill();
    let error = libvirt.list().expect_err("nobody answers");
    let told = error.to_string();
    assert!(
        told.contains("libvirt") && told.contains("start it"),
        "{told}"
    );
    served.daemon.restart();
    assert_eq!(libvirt.list().expect("an answer"), []);
}

/// A start that is asked of a running VM, as a killed program may have left it, is no failure.
#[test]
fn what_holds_already_succeeds() {
    let imaginary = Imaginary::new();
    let driver = imaginary.libvirt();
    let vm = VmId(7);
    let machine = Box::new(imaginary.machine(vm));
    let perform = |act: &Act| driver.perform(vm, act, &Keys::default(), &Unwatched);
    perform(&Act::Define { machine }).expect("defined");
    let calls = driver.translate(vm, &Act::Start).expect("a dry run");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].call, "virDomainCreate gridwright-7");
    let domain = Domain::lookup_by_name(&imaginary.line, "gridwright-7").expect("it is there");
    domain.create().expect("started by somebody else");
    perform(&Act::Start).expect("it runs");
    domain.destroy().expect("ended by somebody else");
    perform(&Act::Destroy).expect("gone");
    assert_eq!(driver.list().expect("a list"), []);
}
