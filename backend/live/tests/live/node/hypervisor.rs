//! The hypervisors of the tests, and what their guests are.

use drivers::process::Process;
use model::hypervisor::Virtualisation;
use rustix::process::{Pid, getsid};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What all guests do: they sleep, and end when they are asked to.
const INIT: &str = "#!/bin/busybox sh\ntrap 'exit 0' PWR INT TERM\n\
                    while :; do /bin/busybox sleep 1000 & wait $!; done\n";

/// The hypervisors of these tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// User-mode Linux.
    Uml,
    /// QEMU, by emulation where it must.
    Qemu,
    /// Incus, by containers.
    Incus,
    /// gVisor, by the driver program that ships as an example.
    Gvisor,
}

impl Hypervisor {
    /// What a node's configuration says of it.
    pub(super) fn lines(self) -> String {
        match self {
            Self::Uml => "driver = \"uml\"".to_owned(),
            Self::Qemu => "driver = \"qemu\"".to_owned(),
            Self::Incus => "driver = \"incus\"".to_owned(),
            Self::Gvisor => {
                let program = repository().join("assets/drivers/gvisor.py");
                format!("driver = \"outside\"\nprogram = {program:?}")
            }
        }
    }

    pub(super) fn virtualisation(self) -> Virtualisation {
        match self {
            Self::Uml => Virtualisation::Para,
            Self::Qemu => Virtualisation::Full,
            Self::Incus | Self::Gvisor => Virtualisation::Container,
        }
    }

    /// Whether a process is the first of a guest.
    pub(super) fn is_first(self, (process, words): &(Process, String)) -> bool {
        match self {
            // Threads and programs of a guest are in the session that its first process leads.
            Self::Uml => {
                let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
                pid.is_some_and(|pid| getsid(Some(pid)) == Ok(pid))
            }
            Self::Qemu => words.contains(" -pidfile "),
            Self::Incus => words.starts_with("[lxc monitor]") && words.contains("_vm-"),
            Self::Gvisor => words.starts_with("runsc-sandbox ") && !words.contains("probe-"),
        }
    }

    /// Makes what a guest's disk or root folder holds.
    pub(super) fn write_system(self, root: &Path) {
        let kernel: PathBuf = match self {
            Self::Uml => "/usr/bin/linux.uml".into(),
            Self::Qemu => repository().join("target/guests/x86_64/vmlinuz"),
            Self::Incus | Self::Gvisor => return write_root(root, "sbin/init"),
        };
        let work = tempfile::tempdir().expect("a folder for the guest");
        write_root(work.path(), "init");
        fs::create_dir_all(root.join("boot")).expect("a folder");
        fs::copy(kernel, root.join("boot/vmlinuz")).expect("a kernel; run `make guests`");
        pack(work.path(), &root.join("boot/initrd"));
    }
}

fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository")
}

/// Busybox and an init that sleeps.
fn write_root(root: &Path, init: &str) {
    for folder in ["bin", "dev", "etc", "proc", "sbin", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder)).expect("a folder for the guest");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    symlink("busybox", root.join("bin/sh")).expect("a link");
    let init = root.join(init);
    fs::write(&init, INIT).expect("an init");
    fs::set_permissions(&init, Permissions::from_mode(0o755)).expect("a program");
}

/// Packs a folder as an initial RAM disk.
fn pack(root: &Path, to: &Path) {
    let mut command = Command::new("sh");
    command.args(["-c", "find . | cpio --quiet -o -H newc"]);
    let status = command
        .current_dir(root)
        .stdout(File::create(to).expect("a file"))
        .status();
    assert!(status.expect("sh runs").success(), "cpio is installed");
}
