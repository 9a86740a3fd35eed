//! What the driver remembers of a VM on disk, and how it finds the VM's process by it.

use crate::folder::Folder;
use crate::handover::word::Saying;
pub(super) use crate::process::{Process, boot};
use crate::volume;
use agent::driver::DriverError;
use model::id::VmId;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

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
/// The folders of servers that join other nodes' volumes begin so.
const JOIN: &str = "join-";
/// Memory of snapshots.
pub(super) const MEMORY: &str = "memory.qcow2";

/// Bytes that a unix socket's path may have, with the null at its end (`sun_path` of unix(7)).
const SOCKET_PATH_BYTES: usize = 108;

/// A VM on its move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "move", rename_all = "kebab-case")]
pub(super) enum Move {
    /// It is to come here.
    Receiving {
        /// The digest of the word by which it may run.
        digest: String,
    },
    /// It is going.
    Sending {
        /// Where to.
        address: String,
    },
    /// It must not run here: its receiver may run it, once it hears the word.
    Given {
        /// Where to.
        address: String,
        /// What is said to the receiver.
        saying: Saying,
        /// Since when no vCPU runs, in microseconds since 1970 by the node's clock; `None`: nobody saw.
        still_since_micros: Option<u64>,
    },
    /// It has gone, and must never run here again.
    Sent {
        /// Where to.
        address: String,
        /// How long no vCPU ran on either node, at most.
        downtime_millis: Option<u64>,
    },
}

/// The QEMU of a VM: told by our record or by QEMU's own file, and trusted only where its command
/// line names that very file.
pub(super) fn running(folder: &Folder, vm: VmId) -> Result<Option<Process>, DriverError> {
    let recorded = folder.load::<Process>(vm, PROCESS)?;
    if let Some(process) = recorded
        && process.runs()
        // One that is just ending has lost its command line, and may still have files open.
        && (is_ours(folder, vm, &process) || process.words().is_empty())
    {
        return Ok(Some(process));
    }
    Ok(started(folder, vm))
}

/// As [`running`], by QEMU's own file alone.
pub(super) fn started(folder: &Folder, vm: VmId) -> Option<Process> {
    let pid = fs::read_to_string(folder.of(vm).join(PID_FILE)).ok()?;
    let pid = pid.trim().parse().ok()?;
    Process::of(pid).filter(|process| is_ours(folder, vm, process))
}

/// Every QEMU of a VM, also one that has not come so far as to write its file, and whatever joins its
/// disks.
pub(super) fn all(folder: &Folder, vm: VmId) -> Vec<Process> {
    let ours = Process::all().filter(|process| is_ours(folder, vm, process));
    let joins = joins(folder, vm);
    ours.chain(joins.iter().flat_map(|join| volume::found(join)))
        .collect()
}

fn is_ours(folder: &Folder, vm: VmId, process: &Process) -> bool {
    let file = folder.of(vm).join(PID_FILE);
    let file = file.as_os_str().as_encoded_bytes();
    let words = process.words();
    words
        .windows(2)
        .any(|pair| pair[0] == b"-pidfile" && pair[1] == file)
}

/// The folder, within a VM's, of the server that joins the volumes of its disk at a place.
pub(super) fn join(folder: &Path, place: usize) -> PathBuf {
    folder.join(format!("{JOIN}{place}"))
}

/// Those of all its disks.
pub(super) fn joins(folder: &Folder, vm: VmId) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.of(vm)).into_iter().flatten().flatten();
    let is_join = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().starts_with(JOIN.as_bytes())
    };
    entries.filter(is_join).map(|entry| entry.path()).collect()
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
