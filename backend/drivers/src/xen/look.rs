//! A VM as it is: what was written down of it, its domain, and the process that watches over that.

use super::config::{name, uuid};
use super::told::{self, Doing, Domain, Reason};
use super::xl::Xl;
use crate::folder::{Folder, failed};
use crate::process::Process;
use agent::driver::{DriverError, Seen};
use agent::machine::Machine;
use model::id::VmId;
use model::report::VmState;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The machine as it was defined or last scaled; a VM is there where this is.
pub const MACHINE: &str = "machine.json";
/// There while its domain is being built.
pub const BEGUN: &str = "begun.json";
/// The state to which an act that has paused or woken the guest for its own sake must bring it back.
pub const RESTING: &str = "resting.json";
/// The state in which a VM that goes back to a snapshot is to end.
pub const GOING_BACK: &str = "going-back.json";
/// There while the guest is being rebooted: one that stands still was stopped to be started.
pub const REBOOTING: &str = "rebooting.json";
/// What xl is told of it.
const CONFIG: &str = "domain.cfg";

/// A VM as it is now.
#[derive(Clone, Debug)]
pub struct Look {
    /// Which.
    pub vm: VmId,
    /// What it is; `None`: it is not defined.
    pub machine: Option<Machine>,
    /// Its domain; `None`: there is none.
    pub domain: Option<Domain>,
    /// Processes of xl that watch over its domain, and begin it anew where the guest reboots.
    pub monitors: Vec<Process>,
    /// See [`RESTING`].
    pub resting: Option<VmState>,
    /// See [`GOING_BACK`].
    pub going_back: Option<VmState>,
    /// See [`REBOOTING`].
    pub rebooting: bool,
    begun: bool,
    held: bool,
    /// A domain that has the name and is not ours, or is ours and has another name.
    misnamed: Option<Domain>,
}

/// All domains of the node.
pub fn domains(xl: &Xl) -> Result<Vec<Domain>, DriverError> {
    Ok(told::domains(&xl.ask(&["list", "-v"])?))
}

/// The file that xl is told a VM by.
pub fn config_file(folder: &Folder, vm: VmId) -> PathBuf {
    folder.of(vm).join(CONFIG)
}

impl Look {
    /// Looks at a VM among these domains.
    pub fn at(folder: &Folder, vm: VmId, domains: &[Domain]) -> Result<Self, DriverError> {
        let (name, uuid) = (name(vm), uuid(vm));
        // One that is being taken away may still be listed beside its successor.
        let mut ours = domains.iter().filter(|domain| domain.uuid == uuid);
        let domain = ours.clone().find(|domain| domain.doing != Doing::Dying);
        let domain = domain.or_else(|| ours.next()).cloned();
        let wrong = |domain: &&Domain| (domain.name == name) != (domain.uuid == uuid);
        let alive = |domain: &&Domain| domain.doing != Doing::Dying;
        Ok(Self {
            vm,
            machine: folder.load(vm, MACHINE)?,
            domain,
            monitors: processes(&config_file(folder, vm)),
            resting: folder.load(vm, RESTING)?,
            going_back: folder.load(vm, GOING_BACK)?,
            rebooting: folder.of(vm).join(REBOOTING).exists(),
            begun: folder.of(vm).join(BEGUN).exists(),
            held: is_held(&folder.of(vm).join("lock"))?,
            misnamed: domains.iter().filter(alive).find(wrong).cloned(),
        })
    }

    /// Its state; `None`: it is not defined.
    pub fn state(&self) -> Option<VmState> {
        self.machine.as_ref()?;
        let Some(domain) = &self.domain else {
            return Some(self.without_domain());
        };
        Some(match domain.doing {
            Doing::Runs => VmState::Running,
            Doing::Paused if self.begun && self.held => VmState::Starting,
            // Whoever was building it has gone.
            Doing::Paused if self.begun => VmState::Stopped,
            Doing::Paused => VmState::Paused,
            Doing::Dying => self.without_domain(),
            Doing::Shut(Reason::Poweroff) => VmState::Stopped,
            Doing::Shut(Reason::Reboot) if !self.monitors.is_empty() => VmState::Running,
            Doing::Shut(Reason::Suspend) if self.held => VmState::Paused,
            Doing::Shut(_) => VmState::Failed,
        })
    }

    fn without_domain(&self) -> VmState {
        match (self.begun, self.held) {
            (true, true) => VmState::Starting,
            // It has rebooted, and its next domain is about to be there.
            (false, _) if !self.monitors.is_empty() => VmState::Running,
            _ => VmState::Stopped,
        }
    }

    /// For the agent.
    pub fn seen(&self) -> Option<Seen> {
        let (machine, state) = (self.machine.as_ref()?, self.state()?);
        let runs = matches!(state, VmState::Running | VmState::Paused);
        let domain = self.domain.as_ref().filter(|_| runs);
        Some(Seen {
            vm: self.vm,
            state,
            cpus: Some(domain.map_or(machine.cpus, |domain| domain.cpus)),
            mem_mib: Some(domain.map_or(machine.mem_mib, |domain| domain.mem_mib)),
        })
    }

    /// The machine, of a VM that was let through.
    pub fn machine(&self) -> Result<&Machine, DriverError> {
        self.machine
            .as_ref()
            .ok_or_else(|| DriverError::Hypervisor {
                doing: format!("read {MACHINE} of {}", self.vm),
                said: "it has gone".into(),
            })
    }

    /// Refuses where calls by name would reach another domain than ours.
    pub fn check_named(&self) -> Result<(), DriverError> {
        let Some(domain) = &self.misnamed else {
            return Ok(());
        };
        let (name, uuid) = (name(self.vm), uuid(self.vm));
        let said = if domain.uuid == uuid {
            format!(
                "it is called {}; hint: xl rename {} {name}",
                domain.name, domain.id
            )
        } else {
            format!(
                "{name} is somebody else's, {}; hint: rename that",
                domain.uuid
            )
        };
        Err(DriverError::Hypervisor {
            doing: format!("find the domain of {}", self.vm),
            said,
        })
    }
}

/// Processes of xl that were given a file.
pub fn processes(file: &Path) -> Vec<Process> {
    let file = file.as_os_str().as_encoded_bytes();
    let given = |process: &Process| {
        let words = process.words();
        let mut words = words.iter();
        let program = words.next().map_or(&b""[..], Vec::as_slice);
        (program == b"xl" || program.ends_with(b"/xl")) && words.any(|word| word == file)
    };
    Process::all().filter(given).collect()
}

/// Whether somebody acts on a VM: an agent, or what a killed one has left running.
fn is_held(path: &Path) -> Result<bool, DriverError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.map_err(failed("open", path))?,
    };
    // Shared, so that two who look at the same time do not take each other for it.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(failed("lock", path)(error)),
    }
}
