//! Define and start until the vCPUs run: our driver against libvirt, side by side in one run, for
//! the same emulated machine with a kernel and a disk. Fails below three times faster.
//!
//! libvirt runs by itself in a mount namespace of its own and is asked for both by one `virsh`.

use agent::driver::{Act, Driver};
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use agent::secret::Keys;
use agent::watch::Unwatched;
use drivers::qemu::Qemu;
use model::hypervisor::{Arch, Guest, Virtualisation};
use model::id::VmId;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    let domain = folder.path().join("domain.xml");
    fs::write(&domain, xml(&kernel, &disk)).expect("a file");
    let qemu = Qemu::open(&folder.path().join("vms")).expect("a driver");
    let machine = machine(kernel, disk);

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
        }],
        interfaces: Vec::new(),
    }
}

/// The same machine in libvirt's words.
fn xml(kernel: &Path, disk: &Path) -> String {
    format!(
        "<domain type='qemu'><name>bench</name><memory unit='MiB'>{MEM_MIB}</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{}</kernel>\
         <cmdline>console=ttyS0 quiet</cmdline></os><features><acpi/></features>\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <controller type='usb' model='none'/><serial type='pty'/>\
         <memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom\
         </backend></rng></devices></domain>",
        kernel.display(),
        disk.display()
    )
}

/// A libvirt of our own, which ends with us.
struct Libvirt {
    daemon: Child,
}

impl Libvirt {
    /// Time that its first connection may take; it then asks QEMU for all that it can do.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn start(folder: &Path) -> Self {
        let own = folder.join("libvirt");
        for name in ["run", "lib", "etc", "log", "cache"] {
            fs::create_dir_all(own.join(name)).expect("a folder");
        }
        let settings = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\n\
                        stdio_handler = \"file\"\nnamespaces = [ ]\ncgroup_controllers = [ ]\n";
        fs::write(own.join("etc/qemu.conf"), settings).expect("settings");
        let access = "unix_sock_group = \"root\"\nauth_unix_rw = \"none\"\n";
        fs::write(own.join("etc/libvirtd.conf"), access).expect("settings");
        let script = "mount --make-rprivate / && mkdir -p /etc/libvirt /var/lib/libvirt \
                      /var/log/libvirt /var/cache/libvirt && mount --bind \"$1/run\" /run && \
                      for name in lib log cache; do \
                      mount --bind \"$1/$name\" /var/$name/libvirt || exit; done && \
                      mount --bind \"$1/etc\" /etc/libvirt && mkdir -p /run/libvirt && \
                      exec libvirtd";
        let daemon = Command::new("unshare")
            .args(["-m", "sh", "-c", script, "libvirt"])
            .arg(&own)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare is there; install util-linux");
        let libvirt = Self { daemon };
        let begun = Instant::now();
        loop {
            let answer = libvirt.virsh("version").output();
            let answer = answer.expect("virsh is there; install libvirt-clients");
            if answer.status.success() {
                return libvirt;
            }
            assert!(
                begun.elapsed() < Self::PATIENCE,
                "libvirtd does not answer; install libvirt-daemon-system: {}",
                String::from_utf8_lossy(&answer.stderr)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn virsh(&self, words: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-m", "-t", &self.daemon.id().to_string(), "virsh", "-q"])
            .args(["-c", "qemu:///system", words]);
        command
    }

    fn define_and_start(&self, domain: &Path) -> Duration {
        let begun = Instant::now();
        let words = format!("define {}; start bench", domain.display());
        said(&mut self.virsh(&words));
        let taken = begun.elapsed();
        said(&mut self.virsh("destroy bench; undefine bench"));
        taken
    }
}

impl Drop for Libvirt {
    fn drop(&mut self) {
        // Nothing can be done about what is left where even these fail.
        let _ = self.virsh("destroy bench; undefine bench").output();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
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
