//! Define and start until the vCPUs run: our driver against libvirt, side by side in one run, for
//! the same emulated machine with a kernel and a disk. Fails below three times faster.
//!
//! libvirt runs by itself in a mount namespace of its own and is asked from within this process, over
//! an open connection; the machine is the same, and its devices are as alike as both allow.

#[path = "../tests/libvirt/daemon.rs"]
#[expect(dead_code, reason = "tests alone kill it")]
mod daemon;

use agent::driver::{Act, Driver};
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::Unwatched;
use daemon::Daemon;
use drivers::qemu::Qemu;
use libvirt::config::Config;
use libvirt::domain::{Place, xml};
use libvirt::door::Door;
use libvirt::host::EMULATED;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use virt::connect::Connect;
use virt::domain::Domain;

/// The promise.
const TIMES_FASTER: f64 = 3.0;

const ROUNDS: usize = 15;

const MEM_MIB: u32 = 256;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/x86_64/vmlinuz");
    let kernel = kernel
        .canonicalize()
        .expect("a guest kernel; run `make guests`");
    let disk = folder.path().join("disk.qcow2");
    said(
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(&disk)
            .arg("64M"),
    );
    let libvirt = Libvirt::start(folder.path());
    let qemu = Qemu::open(&folder.path().join("vms")).expect("a driver");
    let machine = machine(kernel, disk);
    let config = Config::of("qemu:///system");
    let place = Place {
        door: Door::Qemu,
        config: &config,
        kind: EMULATED,
        folder: folder.path(),
    };
    let domain = xml(&machine, &place).expect("a domain");

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, so that other load of the machine meets both.
    for _ in 0..ROUNDS {
        ours.push(by_driver(&qemu, &machine));
        theirs.push(libvirt.define_and_start(&domain));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("define and start, median of {ROUNDS}: driver {ours:.1?}, libvirt {theirs:.1?}");
    println!("{ratio:.1} times faster, at least {TIMES_FASTER} promised");
    drop(libvirt);
    assert!(ratio >= TIMES_FASTER, "{ratio:.2} times faster only");
}

fn by_driver(qemu: &Qemu, machine: &Machine) -> Duration {
    let perform = |act: &Act| {
        qemu.perform(machine.vm, act, &Keys::default(), &Unwatched)
            .unwrap_or_else(|error| panic!("{act:?}: {error}"))
    };
    let define = Act::Define {
        machine: Box::new(machine.clone()),
    };
    let begun = Instant::now();
    perform(&define);
    perform(&Act::Start);
    let taken = begun.elapsed();
    perform(&Act::Destroy);
    taken
}

fn machine(kernel: PathBuf, disk: PathBuf) -> Machine {
    Machine {
        vm: VmId(1),
        name: "bench".into(),
        arch: Arch::X86_64,
        guest: Guest::Linux,
        virtualisation: Virtualisation::Full,
        cpus: 1,
        max_cpus: 1,
        mem_mib: MEM_MIB,
        max_mem_mib: MEM_MIB,
        boot: Boot::Kernel {
            kernel,
            initrd: None,
            command_line: "console=ttyS0 quiet".into(),
        },
        disks: vec![AttachedDisk {
            name: "root".into(),
            path: disk,
            format: DiskFormat::Qcow2,
            size_mib: 64,
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

/// A libvirt of our own, asked from within this process.
struct Libvirt {
    line: Connect,
    _daemon: Daemon,
}

impl Libvirt {
    fn start(folder: &Path) -> Self {
        let daemon = Daemon::start(folder);
        let line = Connect::open(Some(&daemon.uri("qemu:///system"))).expect("it answers");
        Self {
            line,
            _daemon: daemon,
        }
    }

    fn define_and_start(&self, domain: &str) -> Duration {
        let begun = Instant::now();
        let domain = Domain::define_xml(&self.line, domain).expect("defined");
        domain.create().expect("started");
        let taken = begun.elapsed();
        domain.destroy().expect("ended");
        domain.undefine().expect("gone");
        taken
    }
}

fn said(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
