//! What goes wrong is told by its name, and leaves nothing behind.

use super::node::Node;
use crate::guest::run;
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{AttachedInterface, Boot, DiskFormat, Machine, Plug};
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use image::manifest::hex;
use model::id::{KeyId, VmId};
use model::report::VmState;
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;

const VM: VmId = VmId(1);

/// The error of defining a machine and starting it.
fn refusal(node: &Node, machine: Machine) -> String {
    let machine = Box::new(machine);
    let error = node
        .try_perform(VM, &Act::Define { machine })
        .and_then(|_| node.try_perform(VM, &Act::Start))
        .expect_err("a refusal");
    assert_ne!(node.state(VM), Some(VmState::Running));
    error.to_string()
}

/// Each fault is told with what is wrong.
#[test]
fn faults_are_told_by_name() {
    let node = Node::new();
    let check = |change: &dyn Fn(&mut Machine), expected: &str| {
        let mut machine = node.machine(VM);
        change(&mut machine);
        let said = refusal(&node, machine);
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
        node.perform(VM, &Act::Destroy);
        assert!(
            !node.path("vms/vm-1").exists(),
            "files are left after {said}"
        );
    };
    let no_kernel = |machine: &mut Machine| {
        machine.boot = Boot::Kernel {
            kernel: "/nowhere/vmlinuz".into(),
            initrd: None,
            command_line: String::new(),
        };
    };
    check(&no_kernel, "boot.kernel is /nowhere/vmlinuz");
    check(
        &|m| m.disks[0].path = "/nowhere/disk".into(),
        "disks[0].path",
    );
    let raw = node.disk(VM, "raw", DiskFormat::Raw);
    let raw_path = raw.path.clone();
    check(&|m| m.disks[0].path = raw_path.clone(), "no qcow2 header");
    let foreign = node.path("foreign.qcow2");
    run(Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .args([&raw_path, &foreign]));
    check(&|m| m.disks[0].path = foreign.clone(), "names a base");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    check(
        &|m| {
            m.interfaces = vec![AttachedInterface {
                name: "lan".into(),
                mac: [0x52, 0x54, 0, 0, 0, 1],
                plug: Plug::User {
                    forwards: vec![(port, 80)],
                },
                mbps: None,
            }];
        },
        &port.to_string(),
    );
    check(&|m| m.cpus = 0, "cpus is 0, expected at least 1");
}

/// Notes all calls that are told.
#[derive(Default)]
struct Told(Mutex<String>);

impl Watch for Told {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, call: &agent::driver::NativeCall) {
        let mut told = self.0.lock().expect("nobody panics here");
        told.push_str(&call.call);
        told.push('\n');
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        Ok(())
    }
}

/// An encrypted disk opens by its key alone, and the key is neither in the command line, nor told,
/// nor in any file of the VM.
#[test]
fn keys_open_disks_and_are_never_seen() {
    // No text: what a generator gives is none.
    let key = [0xff, 0, b'\n', 0x80, 0xc3].repeat(6);
    let digits = hex(&key);
    let node = Node::new();
    let path = node.path("luks.img");
    let secret = node.path("key");
    fs::write(&secret, &digits).expect("a key");
    fs::File::create(&path)
        .and_then(|file| file.set_len(16 << 20))
        .expect("a file");
    // Few iterations, for the test's speed alone.
    run(Command::new("cryptsetup")
        .args([
            "luksFormat",
            "-q",
            "--type",
            "luks1",
            "--pbkdf-force-iterations",
            "1000",
        ])
        .arg("--key-file")
        .arg(&secret)
        .arg(&path));
    let mut machine = node.machine(VM);
    let mut disk = machine.disks[0].clone();
    disk.name = "safe".into();
    (disk.path, disk.format, disk.key) = (path, DiskFormat::Luks, Some(KeyId(700)));
    machine.disks = vec![disk];
    node.perform(
        VM,
        &Act::Define {
            machine: Box::new(machine),
        },
    );

    let missing = node.try_perform(VM, &Act::Start).expect_err("no key");
    assert_eq!(missing, DriverError::KeyMissing { key: KeyId(700) });
    let mut keys = Keys::default();
    keys.insert(KeyId(700), b"a wrong one".to_vec());
    let wrong = node.qemu().perform(VM, &Act::Start, &keys, &Unwatched);
    let wrong = wrong.expect_err("a wrong key").to_string();
    assert!(wrong.contains("nvalid password"), "{wrong}");
    assert!(!wrong.contains("a wrong one"), "{wrong}");
    assert_eq!(node.state(VM), Some(VmState::Stopped));

    keys.insert(KeyId(700), key.clone());
    let told = Told::default();
    let start = node.qemu().perform(VM, &Act::Start, &keys, &told);
    start.expect("the right key");
    node.wait_console(VM, "disks=1");
    let told = told.0.into_inner().expect("nobody panics here");
    assert!(told.contains("key-700"), "{told}");
    let pid = fs::read_to_string(node.path("vms/vm-1/pid")).expect("a process");
    let arguments = fs::read(format!("/proc/{}/cmdline", pid.trim())).expect("its arguments");
    let mut seen = vec![told.into_bytes(), arguments];
    for entry in fs::read_dir(node.path("vms/vm-1")).expect("the VM's folder") {
        seen.extend(fs::read(entry.expect("a file").path()));
    }
    for bytes in seen {
        for text in [&key[..], digits.as_bytes()] {
            assert!(!bytes.windows(text.len()).any(|part| part == text));
        }
    }
}

/// A QEMU that is frozen, with nobody's connection let in any more, is forgotten and forced to stop all
/// the same.
#[test]
fn a_frozen_qemu_is_ended() {
    let node = Node::new();
    let shutdown = model::order::Shutdown::Forced;
    for act in [Act::Stop { shutdown }, Act::Destroy] {
        let machine = Box::new(node.machine(VM));
        node.perform(VM, &Act::Define { machine });
        node.perform(VM, &Act::Start);
        let pid = fs::read_to_string(node.path("vms/vm-1/pid")).expect("a process");
        let proc = std::path::Path::new("/proc").join(pid.trim());
        run(Command::new("kill").args(["-STOP", pid.trim()]));
        let (told, heard) = channel();
        for socket in ["qmp", "look"] {
            let path = node.path(&format!("vms/vm-1/{socket}"));
            // QEMU has room for one that it has not let in, and the kernel for one more.
            for _ in 0..4 {
                let (path, told) = (path.clone(), told.clone());
                std::thread::spawn(move || {
                    let come = UnixStream::connect(path);
                    // The test may have ended by then.
                    let _ = told.send(come);
                });
            }
        }
        let come: Vec<_> = (0..4).map(|_| heard.recv().expect("it comes")).collect();
        node.perform(VM, &act);
        let words = fs::read(proc.join("cmdline")).unwrap_or_default();
        assert!(words.is_empty(), "{act:?}: it is still there");
        let state = (act != Act::Destroy).then_some(VmState::Stopped);
        assert_eq!(node.state(VM), state, "{act:?}");
        drop(come);
    }
}

/// A driver that is killed between the start of QEMU and its record leaves a VM that the next one
/// finds; and two that start at once start one.
#[test]
fn a_killed_start_is_found_and_never_doubled() {
    let node = Node::new();
    let machine = Box::new(node.machine(VM));
    node.perform(VM, &Act::Define { machine });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| node.perform(VM, &Act::Start));
        }
    });
    let folder = node.path("vms/vm-1").display().to_string();
    let count = || {
        let processes = fs::read_dir("/proc").expect("processes");
        processes
            .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
            .filter(|line| String::from_utf8_lossy(line).contains(&format!("{folder}/pid")))
            .count()
    };
    assert_eq!(count(), 1, "one VM, one process");
    // As a driver that was killed before it wrote leaves it.
    fs::remove_file(node.path("vms/vm-1/process.json")).expect("a record");
    assert_eq!(node.state(VM), Some(VmState::Running));
    node.perform(VM, &Act::Start);
    assert_eq!(count(), 1);
    // A process of the same id that is another's is not taken for it.
    let stopped = Act::Stop {
        shutdown: model::order::Shutdown::Forced,
    };
    node.perform(VM, &stopped);
    fs::write(node.path("vms/vm-1/pid"), std::process::id().to_string()).expect("a file");
    assert_eq!(node.state(VM), Some(VmState::Stopped));
    node.perform(VM, &stopped);
    node.perform(VM, &Act::Destroy);
    assert_eq!(count(), 0);
}
