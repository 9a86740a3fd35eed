//! The calls of User-mode Linux as data: shown to the admin, or carried out.

use super::mconsole;
use super::registers::Registers;
use super::run::Run;
use crate::folder::{Folder, failed};
use crate::{shell, sparse};
use agent::driver::{DriverError, NativeCall};
use agent::machine::Machine;
use agent::watch::Watch;
use model::id::VmId;
use model::report::VmState;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The record that makes a VM defined.
pub const MACHINE: &str = "machine.json";
/// How much memory the guest has been left with.
const GIVEN: &str = "given.json";
/// There while the driver has frozen a running guest for its own sake.
const FROZEN: &str = "frozen.json";

/// There while the guest is being rebooted: one that stands still was stopped to be started.
const REBOOTING: &str = "rebooting.json";

/// Memory that a reduced guest is left with beyond what is taken, in MiB: its kernel takes pages one
/// by one, and stops without a word where none is free.
const SPARE_MIB: u32 = 4;

/// What a guest has been left with, and in which boot: a guest that reboots by itself has all again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    mem_mib: u32,
    boot: Option<(u64, i64, i64)>,
}

/// One step of an act.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes down a machine; the VM is defined from then on.
    Remember(Box<Machine>),
    /// Executes the kernel and waits until it answers.
    Boot { command: Vec<String> },
    /// Presses control, alt and delete, and waits while the guest shuts down or reboots.
    Ask { patience: Duration },
    /// Kills what lives of the guest.
    Kill,
    /// Removes the folder that the kernel would have removed itself.
    Sweep,
    /// Stops the kernel.
    Freeze,
    /// Lets it go on.
    Thaw,
    /// Notes that a freeze is the driver's own, before it, so that whoever resumes the act thaws.
    NoteFreeze,
    /// Takes the note back.
    ForgetFreeze,
    /// Notes that a reboot has begun, before it, so that whoever resumes the act starts the guest.
    NoteReboot,
    /// Takes the note back.
    ForgetReboot,
    /// Checks that the guest can do without this much beside what it lacks already.
    Spare { mem_mib: u32 },
    /// Gives the guest back all that was taken.
    GiveAll { mem_mib: u32 },
    /// Takes memory from the guest that has all of it, once its kernel has what it boots with.
    Take { mem_mib: u32 },
    /// Writes down with how much the guest was left.
    RememberGiven { mem_mib: u32 },
    /// Writes a copy of a file; it appears whole or not at all.
    CopyFile { from: PathBuf, to: PathBuf },
    /// Removes all that is known of the VM.
    Forget,
}

impl Step {
    /// The call that this step makes.
    pub fn call(&self, vm: VmId, folder: &Folder, run: &Run) -> NativeCall {
        let file = |verb: &str, path: PathBuf| ("file", format!("{verb} {}", path.display()));
        let mconsole = |command: String| ("mconsole", command);
        let (interface, call) = match self {
            Self::Remember(machine) => file("write", folder.of(machine.vm).join(MACHINE)),
            Self::Boot { command } => ("exec", shell::line(command.iter().map(String::as_str))),
            Self::Ask { .. } => mconsole("cad".into()),
            Self::Kill => {
                let pid = run
                    .pid()
                    .map_or("<pid>".into(), |pid| pid.as_raw_pid().to_string());
                ("signal", format!("KILL to process group {pid}"))
            }
            Self::Sweep => file("remove", run.kernel_folder()),
            Self::Freeze => mconsole("stop".into()),
            Self::Thaw => mconsole("go".into()),
            Self::NoteFreeze => file("write", folder.of(vm).join(FROZEN)),
            Self::ForgetFreeze => file("remove", folder.of(vm).join(FROZEN)),
            Self::NoteReboot => file("write", folder.of(vm).join(REBOOTING)),
            Self::ForgetReboot => file("remove", folder.of(vm).join(REBOOTING)),
            Self::Spare { .. } => mconsole("proc meminfo".into()),
            Self::GiveAll { mem_mib } => mconsole(format!("config mem=+{mem_mib}M")),
            Self::Take { mem_mib } => mconsole(format!("config mem=-{mem_mib}M")),
            Self::RememberGiven { .. } => file("write", folder.of(vm).join(GIVEN)),
            Self::CopyFile { from, to } => {
                let call = format!("copy {} to {}", from.display(), to.display());
                ("file", call)
            }
            Self::Forget => file("remove", folder.of(vm)),
        };
        NativeCall {
            interface: interface.to_owned(),
            call,
        }
    }

    /// Makes it.
    pub fn carry_out(
        &self,
        vm: VmId,
        folder: &Folder,
        run: &Run,
        registers: Registers,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let tell = |command: &str| mconsole::ask(&run.mconsole(), command, watch);
        match self {
            Self::Remember(machine) => folder.save(machine.vm, MACHINE, machine),
            Self::Boot { command } => {
                run.begin(command, registers)?;
                run.await_answer(watch)
            }
            Self::Ask { patience } => {
                let boot = run.boot();
                tell("cad")?;
                run.await_end(boot, *patience, watch).map(drop)
            }
            Self::Kill => run.kill(watch),
            Self::Sweep => remove(&run.kernel_folder()),
            Self::Freeze => {
                said_already(tell("stop"), "Already stopped")?;
                run.await_state(VmState::Paused, watch)
            }
            Self::Thaw => {
                said_already(tell("go"), "Not stopped")?;
                run.await_state(VmState::Running, watch)
            }
            Self::NoteFreeze => folder.save(vm, FROZEN, &()),
            Self::ForgetFreeze => remove(&folder.of(vm).join(FROZEN)),
            Self::NoteReboot => folder.save(vm, REBOOTING, &()),
            Self::ForgetReboot => remove(&folder.of(vm).join(REBOOTING)),
            Self::Spare { mem_mib } => spare(&tell("proc meminfo")?, *mem_mib),
            Self::GiveAll { mem_mib } => tell(&format!("config mem=+{mem_mib}M")).map(drop),
            Self::Take { mem_mib } => {
                run.await_init(watch)?;
                spare(&tell("proc meminfo")?, *mem_mib)?;
                tell(&format!("config mem=-{mem_mib}M")).map(drop)
            }
            Self::RememberGiven { mem_mib } => {
                let given = Given {
                    mem_mib: *mem_mib,
                    boot: run.boot(),
                };
                folder.save(vm, GIVEN, &given)
            }
            Self::CopyFile { from, to } => sparse::copy(from, to, watch),
            Self::Forget => folder.remove(vm, MACHINE),
        }
    }
}

/// How much memory a running guest has been left with; `None`: all of it.
pub fn given_mib(vm: VmId, folder: &Folder, run: &Run) -> Result<Option<u32>, DriverError> {
    let given: Option<Given> = folder.load(vm, GIVEN)?;
    Ok(given
        .filter(|given| given.boot == run.boot())
        .map(|given| given.mem_mib))
}

/// Whether a freeze of this VM is the driver's own, so that the act that made it must undo it.
pub fn is_frozen_by_driver(vm: VmId, folder: &Folder) -> bool {
    folder.of(vm).join(FROZEN).exists()
}

/// Whether somebody has begun to reboot a VM.
pub fn is_rebooting(vm: VmId, folder: &Folder) -> bool {
    folder.of(vm).join(REBOOTING).exists()
}

/// A figure of the guest's `/proc/meminfo`, in KiB.
pub fn meminfo_kib(text: &str, field: &str) -> Option<u64> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The kernel refuses what holds already; that is as good as done.
fn said_already(answer: Result<String, DriverError>, word: &str) -> Result<(), DriverError> {
    match answer {
        Err(DriverError::Hypervisor { said, .. }) if said == word => Ok(()),
        other => other.map(drop),
    }
}

fn spare(meminfo: &str, mem_mib: u32) -> Result<(), DriverError> {
    let free_kib = meminfo_kib(meminfo, "MemFree").unwrap_or_default();
    if free_kib >= u64::from(mem_mib + SPARE_MIB) * 1024 {
        return Ok(());
    }
    Err(DriverError::Hypervisor {
        doing: format!("take {mem_mib} mem_mib"),
        said: format!("the guest has {} mem_mib free", free_kib / 1024),
    })
}

fn remove(path: &Path) -> Result<(), DriverError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}
