//! What the driver remembers of a VM on disk, and how it finds the VM's process by it.

use crate::folder::Folder;
use agent::driver::DriverError;
use model::id::VmId;
use model::order::Storage;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The machine as it was defined or last scaled; a VM is there where this is.
pub(super) const MACHINE: &str = "machine.json";
/// The process that was started for it; there from a start to the next stop.
pub(super) const PROCESS: &str = "process.json";
/// Where it is on its move to or from another node.
pub(super) const MOVE: &str = "move.json";
/// QEMU's own file of its id, which it holds locked.
pub(super) const PID_FILE: &str = "pid";
/// What QEMU complained of.
pub(super) const LOG: &str = "qemu.log";
/// All that the guest wrote to its console.
pub(super) const CONSOLE_LOG: &str = "console.log";
/// The guest's console.
pub(super) const CONSOLE: &str = "console";
/// QMP for acts.
pub(super) const ACT_SOCKET: &str = "qmp";
/// QMP for those who look, for QEMU serves one client a socket and acts may be long.
pub(super) const LOOK_SOCKET: &str = "look";
/// The guest's own agent, where one runs in it.
pub(super) const GUEST_SOCKET: &str = "guest";
/// Memory of snapshots.
pub(super) const MEMORY: &str = "memory.qcow2";

/// Bytes that a unix socket's path may have, with the null at its end (`sun_path` of unix(7)).
const SOCKET_PATH_BYTES: usize = 108;

/// A VM on its move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "move", rename_all = "kebab-case")]
pub(super) enum Move {
    /// It is to come here.
    Receiving {
        /// Where its disks are.
        storage: Storage,
    },
    /// It is going; should its process be gone too, nobody here knows whether it has arrived.
    Sending {
        /// Where to.
        address: String,
    },
    /// It has gone, and must never run here again.
    Sent {
        /// Where to.
        address: String,
        /// How long no vCPU ran.
        downtime_millis: Option<u64>,
    },
}

/// A process that is never taken for a later one of the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: u32,
    /// When it started, in the kernel's ticks since the node's boot.
    pub(super) started_ticks: u64,
    /// The node's boot.
    pub(super) boot: String,
}

impl Process {
    /// The process of this id, if it runs.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; fields are counted from its end (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (state, started) = (fields.first()?, fields.get(19)?);
        if matches!(*state, "Z" | "X") {
            return None;
        }
        Some(Self {
            pid,
            started_ticks: started.parse().ok()?,
            boot: boot(),
        })
    }

    /// Ends it at once, unless it has ended.
    pub(super) fn kill(&self) {
        if Self::of(self.pid).as_ref() == Some(self)
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // It may have ended by itself since the line before; that is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// The node's boot, as the kernel names it.
pub(super) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The QEMU of a VM: told by our record or by QEMU's own file, and trusted only where its command
/// line names that very file.
pub(super) fn running(folder: &Folder, vm: VmId) -> Result<Option<Process>, DriverError> {
    let recorded = folder.load::<Process>(vm, PROCESS)?;
    if let Some(process) = recorded
        && process.runs()
        && is_ours(folder, vm, process.pid)
    {
        return Ok(Some(process));
    }
    Ok(started(folder, vm))
}

/// As [`running`], by QEMU's own file alone.
pub(super) fn started(folder: &Folder, vm: VmId) -> Option<Process> {
    let pid = fs::read_to_string(folder.of(vm).join(PID_FILE)).ok()?;
    let pid = pid.trim().parse().ok()?;
    Process::of(pid).filter(|_| is_ours(folder, vm, pid))
}

fn is_ours(folder: &Folder, vm: VmId, pid: u32) -> bool {
    let file = folder.of(vm).join(PID_FILE);
    let file = file.as_os_str().as_encoded_bytes();
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|&byte| byte == 0).any(|word| word == file))
}

/// The last lines that QEMU wrote, for an error.
pub(super) fn last_words(folder: &Folder, vm: VmId) -> String {
    let text = fs::read(folder.of(vm).join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

/// Checks that sockets of every VM fit under a root.
///
/// # Errors
/// Where they would not.
pub(super) fn sockets_fit(root: &Path) -> Result<(), DriverError> {
    let longest = root.join(format!("vm-{}", u64::MAX)).join(CONSOLE);
    let bytes = longest.as_os_str().len();
    if bytes < SOCKET_PATH_BYTES {
        return Ok(());
    }
    Err(DriverError::Invalid {
        field: "folder".to_owned(),
        found: format!("{} (sockets of {bytes} bytes)", root.display()),
        expected: format!(
            "a path of at most {} bytes",
            root.as_os_str().len() + SOCKET_PATH_BYTES - 1 - bytes
        ),
    })
}
