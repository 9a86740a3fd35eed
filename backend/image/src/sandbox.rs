//! The cage in which tools open what nobody vouches for.
//!
//! A tool in it is a user of its own, sees `/usr` read-only and the files that it was given, has no
//! network, no other process, no capability, and hard limits of processor time, memory and file
//! size. bubblewrap builds the namespaces, `prlimit` sets the limits, `setpriv` changes the user.

use rustix::process::geteuid;
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};

use crate::error::{At, Error};

/// The user as whom tools run where the agent is root: above every range that Debian and systemd
/// give to people, services and containers.
pub const SANDBOX_USER: u32 = 1_900_000_019;

/// Tools and data that every tool may read; absent ones are left out.
const READABLE: [&str; 2] = ["/etc/mke2fs.conf", "/etc/alternatives"];

/// Top folders of the node that are links into `/usr` on a merged system.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// All of a tool's environment.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/sbin:/usr/bin"), ("LC_ALL", "C.UTF-8")];

/// What a tool may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor time in seconds.
    pub cpu_seconds: u64,
    /// Address space in bytes.
    pub memory_bytes: u64,
    /// Largest file that it may write, in bytes; `None`: any, for what insists on lifting the limit.
    pub file_bytes: Option<u64>,
    /// From start to end, in seconds.
    pub wall_seconds: u64,
}

impl Default for Limits {
    /// Enough for the largest file system of the tests many times over: checking 1 TiB of ext4 takes
    /// e2fsck under 1 GiB and a minute.
    fn default() -> Self {
        Self {
            cpu_seconds: 600,
            memory_bytes: 4 << 30,
            file_bytes: Some(16 << 40),
            wall_seconds: 1_800,
        }
    }
}

/// The files that a tool sees beside `/usr`, each under its own path.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub(crate) root: Option<PathBuf>,
    pub(crate) reads: Vec<PathBuf>,
    pub(crate) writes: Vec<PathBuf>,
}

/// Hands a file or a folder, with all in it, to the tools' user.
///
/// # Errors
/// Where it is not ours to give.
pub fn hand_over(path: &Path) -> Result<(), Error> {
    if !geteuid().is_root() {
        return Ok(());
    }
    lchown(path, Some(SANDBOX_USER), Some(SANDBOX_USER)).at(path)?;
    if path.symlink_metadata().at(path)?.is_dir() {
        for entry in path.read_dir().at(path)? {
            hand_over(&entry.at(path)?.path())?;
        }
    }
    Ok(())
}

/// Closes a folder to all but its owner and the tools' user, who may go through it and not list it.
///
/// # Errors
/// Where it is not ours to change.
pub fn let_through(folder: &Path) -> Result<(), Error> {
    let mode = if geteuid().is_root() {
        chown(folder, None, Some(SANDBOX_USER)).at(folder)?;
        0o710
    } else {
        0o700
    };
    std::fs::set_permissions(folder, Permissions::from_mode(mode)).at(folder)
}

/// The command that runs a program in the cage; the program and its arguments follow.
pub(crate) fn cage(sight: &Sight, limits: &Limits) -> Vec<OsString> {
    let mut words = outside(limits, None);
    words.extend(seen(sight, ""));
    words.push("--".into());
    words
}

/// What it takes to make a file of any owner, with any attribute, and devices.
const MAKING: [&str; 7] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_MKNOD",
    "CAP_SETFCAP",
    "CAP_SYS_ADMIN",
];

/// The command that runs a program as root in a cage of its own, where it reads one file and writes one
/// folder, each under another name; the program and its arguments follow.
pub(crate) fn cage_of_root(reads: (&Path, &str), writes: (&Path, &str)) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |parts: &[&str]| words.extend(parts.iter().map(OsString::from));
    say(&["bwrap", "--unshare-ipc", "--unshare-net", "--unshare-pid"]);
    say(&["--unshare-uts", "--die-with-parent", "--new-session"]);
    say(&["--clearenv", "--cap-drop", "ALL"]);
    for capability in MAKING {
        say(&["--cap-add", capability]);
    }
    for (name, value) in ENVIRONMENT {
        say(&["--setenv", name, value]);
    }
    words.extend(programs(""));
    for (option, (path, name)) in [("--ro-bind", reads), ("--bind", writes)] {
        words.extend([option.into(), path.into(), name.into()]);
    }
    words.push("--".into());
    words
}

/// What a utility VM has of the node beside what its tool sees.
pub(crate) struct Around<'a> {
    /// What QEMU itself may use up.
    pub(crate) limits: Limits,
    /// Files that QEMU reads, under names of their own.
    pub(crate) files: [(&'a Path, &'a str); 2],
    /// Where the tool's root is, and where the call is told and answered, in memory of this size.
    pub(crate) root: &'a str,
    pub(crate) call: (&'a str, u64),
    /// A device that QEMU opens.
    pub(crate) device: Option<&'a Path>,
}

/// The command that runs QEMU in the cage: it sees the node's programs, and what the tool is to see
/// below a folder, which is all that it shares with its guest.
pub(crate) fn cage_of_vm(sight: &Sight, around: &Around<'_>) -> Vec<OsString> {
    let mut words = outside(&around.limits, around.device);
    words.extend(seen(&Sight::default(), ""));
    words.extend(seen(sight, around.root));
    let (call, bytes) = around.call;
    words.extend(["--size", &bytes.to_string(), "--tmpfs", call].map(OsString::from));
    for (file, name) in around.files {
        words.extend(["--ro-bind".into(), file.into(), name.into()]);
    }
    if let Some(device) = around.device {
        words.extend(["--dev-bind".into(), device.into(), device.into()]);
    }
    words.push("--".into());
    words
}

/// The limits, the user and the namespaces; a device's group is kept.
fn outside(limits: &Limits, device: Option<&Path>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut say = |parts: &[&str]| words.extend(parts.iter().map(OsString::from));
    let Limits {
        cpu_seconds,
        memory_bytes,
        file_bytes,
        ..
    } = limits;
    say(&["prlimit", "--core=0", "--nofile=1024"]);
    say(&[
        &format!("--cpu={cpu_seconds}"),
        &format!("--as={memory_bytes}"),
    ]);
    if let Some(bytes) = file_bytes {
        say(&[&format!("--fsize={bytes}")]);
    }
    say(&["--"]);
    if geteuid().is_root() {
        let user = SANDBOX_USER;
        say(&[
            "setpriv",
            &format!("--reuid={user}"),
            &format!("--regid={user}"),
        ]);
        // A device that cannot be looked at is not opened either, which QEMU then tells.
        match device.and_then(|device| device.metadata().ok()) {
            Some(about) => say(&[&format!("--groups={}", about.gid())]),
            None => say(&["--clear-groups"]),
        }
        say(&["--no-new-privs", "--"]);
    }
    say(&[
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
    ]);
    say(&[
        "--cap-drop",
        "ALL",
        "--uid",
        "0",
        "--gid",
        "0",
        "--clearenv",
    ]);
    for (name, value) in ENVIRONMENT {
        say(&["--setenv", name, value]);
    }
    words
}

/// What shows a tool its files, below a folder: in that of a VM, which has processes of its own,
/// processes are not shown.
fn seen(sight: &Sight, below: &str) -> Vec<OsString> {
    let at = |path: &Path| {
        let mut at = OsString::from(below);
        at.push(path);
        at
    };
    let mut words = match &sight.root {
        Some(root) => vec!["--bind".into(), root.into(), at(Path::new("/"))],
        None => programs(below),
    };
    let processes = match below {
        "" => "--proc",
        _ => "--dir",
    };
    for (option, folder) in [(processes, "/proc"), ("--dev", "/dev"), ("--tmpfs", "/tmp")] {
        words.extend([option.into(), at(Path::new(folder))]);
    }
    for (option, paths) in [("--ro-bind", &sight.reads), ("--bind", &sight.writes)] {
        for path in paths {
            words.extend([option.into(), path.into(), at(path)]);
        }
    }
    words
}

/// What shows the node's own programs, read-only, below a folder.
fn programs(below: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut say = |option: &str, from: &str, at: &str| {
        words.extend([option.into(), from.into(), format!("{below}{at}").into()]);
    };
    say("--ro-bind", "/usr", "/usr");
    for folder in MERGED {
        let (inside, at) = (format!("usr/{folder}"), format!("/{folder}"));
        match Path::new(&at).is_symlink() {
            true => say("--symlink", &inside, &at),
            false => say("--ro-bind-try", &at, &at),
        }
    }
    for file in READABLE {
        say("--ro-bind-try", file, file);
    }
    words
}
