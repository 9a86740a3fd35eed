//! Processes of the node: found, never taken for later ones of the same id, and ended for sure.

use agent::driver::DriverError;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open, pidfd_send_signal,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The kernel frees a killed machine's memory within this; longer means a stuck disk.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How often killed processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A process that is never taken for a later one of the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in the kernel's ticks since the node's boot.
    pub started_ticks: u64,
    /// The node's boot.
    pub boot: String,
}

impl Process {
    /// The process of this id, if it runs.
    pub fn of(pid: u32) -> Option<Self> {
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
            boot: boot().ok()?,
        })
    }

    /// All processes that run.
    pub fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of)
    }

    /// The words of its command line; none where it has ended.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line.split(|&byte| byte == 0).map(<[u8]>::to_vec);
        words.filter(|word| !word.is_empty()).collect()
    }

    /// Whether it has one of these files, by device and number, open for writing.
    pub fn writes(&self, files: &BTreeSet<(u64, u64)>) -> bool {
        let process = Path::new("/proc").join(self.pid.to_string());
        let open = fs::read_dir(process.join("fd")).into_iter().flatten();
        open.flatten().any(|entry| {
            let about = fs::metadata(entry.path());
            about.is_ok_and(|about| files.contains(&(about.dev(), about.ino())))
                && is_writable(&process.join("fdinfo").join(entry.file_name()))
        })
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it at once with all of the group that it leads, unless it has ended.
    pub fn kill_group(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // A leader's id is its group's, and nobody else's while it runs.
        if let Some(pid) = pid.filter(|pid| self.runs() && getpgid(Some(*pid)) == Ok(*pid)) {
            kill_process_group(pid, Signal::KILL).ok();
        }
        self.kill();
    }

    /// Ends it at once, unless it has ended.
    pub fn kill(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let held = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // Looked at once it is held: its id is then nobody else's.
        if let Some(held) = held
            && self.runs()
        {
            // It may have ended by itself since the line before; that is as good.
            pidfd_send_signal(&held, Signal::KILL).ok();
        }
    }
}

/// Whether a descriptor was opened for writing, by what the kernel tells of it (proc(5)).
fn is_writable(told: &Path) -> bool {
    let told = fs::read_to_string(told).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.is_some_and(|octal| !octal.trim().ends_with(['0', '4']))
}

/// Kills all that is found, again and again, until nothing is.
///
/// # Errors
/// Where something survives.
pub fn kill_all(found: impl Fn() -> Vec<Process>) -> Result<(), DriverError> {
    let begun = Instant::now();
    loop {
        let left = found();
        let Some(first) = left.first() else {
            return Ok(());
        };
        if begun.elapsed() > KILL_PATIENCE {
            return Err(DriverError::Hypervisor {
                doing: format!("kill process {}", first.pid),
                said: format!("it is still there after {} s", KILL_PATIENCE.as_secs()),
            });
        }
        left.iter().for_each(Process::kill);
        thread::sleep(LOOK_EVERY);
    }
}

/// The node's boot, as the kernel names it.
///
/// # Errors
/// Where it does not tell.
pub fn boot() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}
