//! The processes of one guest: begun apart from the driver, found again, ended to the last one.
//!
//! Every process of a guest inherits, as its standard input, a file on which the driver took a lock
//! before it forked. The lock is therefore held exactly as long as anything of the guest lives,
//! whatever becomes of the driver; no process id has to be trusted for that. The id of the first
//! process, which leads their process group, is written by that process itself before the kernel is
//! executed: while the lock is held, the group is this guest's and nobody else's.

use super::mconsole;
use super::registers::{Registers, execute};
use crate::folder::failed;
use crate::process::Process;
use crate::wait::pause;
use agent::driver::DriverError;
use agent::watch::Watch;
use model::id::VmId;
use model::report::VmState;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A kernel that has not begun to answer by then hangs; it takes a second on an idle node.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// Killed processes are gone in milliseconds; a node that swaps takes longer.
const KILL_LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at while an act waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The number of `recvfrom` on x86-64, the only machine that User-mode Linux runs on: a kernel that
/// mconsole has stopped waits in it for `go`, and a running one never does.
const RECVFROM: &str = "45";

/// Where the processes of one guest keep their files.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    umid: String,
}

impl Run {
    /// The run of a VM in its folder; nothing is touched.
    pub fn of(folder: PathBuf, vm: VmId) -> Self {
        Self {
            folder,
            umid: format!("uml-{}", vm.0),
        }
    }

    /// The kernel's own words for its name and its folder, and what keeps guests from reading the
    /// node's files through hostfs.
    pub fn words(&self) -> [String; 3] {
        [
            format!("umid={}", self.umid),
            format!("uml_dir={}", self.folder.display()),
            format!("hostfs={}", self.empty().display()),
        ]
    }

    /// The socket of the kernel's management console.
    pub fn mconsole(&self) -> PathBuf {
        self.kernel_folder().join("mconsole")
    }

    /// What the guest has said.
    pub fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// The folder that the kernel makes for itself, and removes when it ends in order.
    pub fn kernel_folder(&self) -> PathBuf {
        self.folder.join(&self.umid)
    }

    fn empty(&self) -> PathBuf {
        self.folder.join("hostfs")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    /// What the guest does now. A kernel that ended in order has removed its folder; one that
    /// panicked or was killed by somebody else has not.
    ///
    /// # Errors
    /// Where the node does not tell.
    pub fn state(&self) -> Result<VmState, DriverError> {
        if !self.lives()? {
            return Ok(if self.kernel_folder().exists() {
                VmState::Failed
            } else {
                VmState::Stopped
            });
        }
        let Some(pid) = self.pid() else {
            return Ok(VmState::Starting);
        };
        let process = Path::new("/proc").join(pid.as_raw_pid().to_string());
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        Ok(if status.is_empty() || status.contains("\nState:\tZ") {
            VmState::Failed
        } else if !self.mconsole().exists() {
            VmState::Starting
        } else if waits_for_go(&process) {
            VmState::Paused
        } else {
            VmState::Running
        })
    }

    /// Whether any process of the guest lives.
    ///
    /// # Errors
    /// Where the lock cannot be tried.
    pub fn lives(&self) -> Result<bool, DriverError> {
        let path = self.lock_file();
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed("open", &path))?,
        };
        // Shared, so that two who look at the same time do not take each other for the guest.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
        }
    }

    /// The first process, which leads the group; `None`: it has not come so far.
    pub fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        text.trim().parse().ok().and_then(Pid::from_raw)
    }

    /// Which boot of the guest this is: it changes when the guest reboots by itself.
    pub fn boot(&self) -> Option<(u64, i64, i64)> {
        let socket = fs::metadata(self.mconsole()).ok()?;
        Some((socket.ino(), socket.ctime(), socket.ctime_nsec()))
    }

    /// The command that boots the guest: in a session of its own, without a parent that waits.
    pub fn command(&self, kernel: &[String]) -> Vec<String> {
        const FIRST: &str = r#"ulimit -c 0; echo $$ >"$0" && exec "$@""#;
        let pid_file = self.pid_file().display().to_string();
        let begin = ["setsid", "--fork", "sh", "-c", FIRST, &pid_file];
        let begin = begin.into_iter().map(str::to_owned);
        begin.chain(kernel.iter().cloned()).collect()
    }

    /// Executes [`Self::command`].
    ///
    /// # Errors
    /// Where the node refuses, or something of the guest still lives.
    pub fn begin(&self, command: &[String], registers: Registers) -> Result<(), DriverError> {
        let path = self.lock_file();
        fs::create_dir_all(self.empty()).map_err(failed("make", &self.empty()))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        lock_alone(&lock).map_err(failed("lock", &path))?;
        // Only now: whoever holds the lock is found by this file.
        match fs::remove_file(self.pid_file()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove", &self.pid_file())(error));
            }
            _ => {}
        }
        let log = File::create(self.console())
            .and_then(|_emptied| OpenOptions::new().append(true).open(self.console()))
            .map_err(failed("make", &self.console()))?;
        let errors = log.try_clone().map_err(failed("open", &self.console()))?;
        let mut begin = Command::new(&command[0]);
        begin
            .args(&command[1..])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::from(lock))
            .stdout(log)
            .stderr(errors);
        let ended = execute(begin, registers);
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error),
        }
        .map_err(|said| DriverError::Hypervisor {
            doing: format!("execute {}", command[0]),
            said,
        })
    }

    /// Waits while the kernel is on its way up: a boot that a killed driver has begun goes on.
    ///
    /// # Errors
    /// Where it does not get there, or the watch calls off.
    pub fn settle(&self, watch: &dyn Watch) -> Result<(), DriverError> {
        let settled = || Ok(self.state()? != VmState::Starting);
        self.wait_until("boot", BOOT_LIMIT, watch, settled)
    }

    /// Waits until the kernel answers.
    ///
    /// # Errors
    /// Where it ended instead, with the last lines of its console.
    pub fn await_answer(&self, watch: &dyn Watch) -> Result<(), DriverError> {
        self.wait_until("boot", BOOT_LIMIT, watch, || {
            self.check_lives()?;
            Ok(self.state()? == VmState::Running)
        })?;
        mconsole::ask(&self.mconsole(), "version", watch).map(drop)
    }

    /// Waits until the kernel has begun the guest's first program, and so has done with itself.
    ///
    /// # Errors
    /// Where it ended instead, with the last lines of its console.
    pub fn await_init(&self, watch: &dyn Watch) -> Result<(), DriverError> {
        self.wait_until("boot", BOOT_LIMIT, watch, || {
            self.check_lives()?;
            let Some(kernel) = self.pid() else {
                return Ok(false);
            };
            // Programs of the guest are children of its kernel that it traces; its threads are not.
            let tracer = format!("\nTracerPid:\t{}\n", kernel.as_raw_pid());
            let mut children = descendants(kernel.as_raw_pid()).into_iter().skip(1);
            Ok(children.any(|child| {
                let status = fs::read_to_string(format!("/proc/{child}/status"));
                status.is_ok_and(|status| status.contains(&tracer))
            }))
        })
    }

    /// Waits until the guest has ended, or, where one is given, has begun another boot; `false`: its time ran
    /// out.
    ///
    /// # Errors
    /// Where the watch calls off.
    pub fn await_end(
        &self,
        boot: Option<(u64, i64, i64)>,
        patience: Duration,
        watch: &dyn Watch,
    ) -> Result<bool, DriverError> {
        let deadline = Instant::now() + patience;
        while self.lives()? && (boot.is_none() || self.boot() == boot) {
            if Instant::now() > deadline {
                return Ok(false);
            }
            pause("shut down", LOOK_EVERY, watch)?;
        }
        Ok(true)
    }

    /// Waits for a state of the kernel.
    ///
    /// # Errors
    /// Where it does not come, or the watch calls off.
    pub fn await_state(&self, state: VmState, watch: &dyn Watch) -> Result<(), DriverError> {
        let until = || Ok(self.state()? == state);
        self.wait_until(&format!("wait until {state}"), KILL_LIMIT, watch, until)
    }

    /// Kills whatever lives of the guest; done once nothing does.
    ///
    /// # Errors
    /// Where something survives.
    pub fn kill(&self, watch: &dyn Watch) -> Result<(), DriverError> {
        self.wait_until("kill", KILL_LIMIT, watch, || {
            if !self.lives()? {
                return Ok(true);
            }
            if let Some(pid) = self.pid() {
                // A group that has just ended is as good as killed; the lock tells.
                kill_process_group(pid, Signal::KILL).ok();
            }
            Ok(false)
        })
    }

    /// All processes of the guest, whoever else holds the lock with them: a driver that hangs while
    /// it begins a guest does, but not as its standard input.
    pub fn processes(&self) -> Vec<Process> {
        let Ok(lock) = fs::metadata(self.lock_file()) else {
            return Vec::new();
        };
        let holds = |process: &Process| {
            let input = fs::metadata(format!("/proc/{}/fd/0", process.pid));
            input.is_ok_and(|input| (input.dev(), input.ino()) == (lock.dev(), lock.ino()))
        };
        Process::all().filter(holds).collect()
    }

    fn check_lives(&self) -> Result<(), DriverError> {
        if self.lives()? {
            return Ok(());
        }
        Err(DriverError::Hypervisor {
            doing: "boot".into(),
            said: format!("the kernel ended: {}", self.last_words()),
        })
    }

    fn wait_until(
        &self,
        doing: &str,
        limit: Duration,
        watch: &dyn Watch,
        mut holds: impl FnMut() -> Result<bool, DriverError>,
    ) -> Result<(), DriverError> {
        let deadline = Instant::now() + limit;
        while !holds()? {
            if Instant::now() > deadline {
                return Err(DriverError::Hypervisor {
                    doing: doing.to_owned(),
                    said: format!("not within {limit:?}: {}", self.last_words()),
                });
            }
            pause(doing, LOOK_EVERY, watch)?;
        }
        Ok(())
    }

    /// The end of what the guest said, on one line.
    fn last_words(&self) -> String {
        const LAST: usize = 400;
        let said = fs::read(self.console()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST)..]).into_owned();
        let lines: Vec<_> = said.lines().map(str::trim).collect();
        lines.join(" / ")
    }
}

/// Whether a kernel waits in `recvfrom`. A signal may have it look around for a moment, so one that
/// is in no system call is looked at again.
fn waits_for_go(process: &Path) -> bool {
    const LOOKS: usize = 5;
    for _ in 0..LOOKS {
        let call = fs::read_to_string(process.join("syscall")).unwrap_or_default();
        if call.trim() != "running" {
            return call.split(' ').next() == Some(RECVFROM);
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// A process and all that descend from it, itself first.
pub fn descendants(first: i32) -> Vec<i32> {
    let mut pids = vec![first];
    let mut next = 0;
    while let Some(pid) = pids.get(next) {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        pids.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
        next += 1;
    }
    pids
}

/// Takes the lock that the guest is to hold. Somebody who looks holds it for microseconds.
fn lock_alone(file: &File) -> Result<(), std::io::Error> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
