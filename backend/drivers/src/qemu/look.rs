//! A VM as it is now, seen without acting on it.

use super::qmp::Qmp;
use super::record::{self, Move, Process};
use crate::folder::Folder;
use agent::driver::{DriverError, Seen};
use agent::handover::{self, Duty, Record, duty};
use agent::machine::Machine;
use agent::watch::{Unwatched, Watch};
use model::id::VmId;
use model::report::VmState;
use serde_json::Value;
use std::time::{Duration, Instant};

/// QEMU is gone this long after it closed its sockets, also on a loaded node.
const ENDING: Duration = Duration::from_secs(2);

/// QEMU's word for a VM whose receiver has told that it has everything.
pub(super) const FINISHED: &str = "postmigrate";

/// What there is to see of a VM that is defined.
pub(super) struct Look {
    /// The machine as it was last defined or scaled.
    pub(super) machine: Machine,
    /// The QEMU that runs it, or waits to.
    pub(super) process: Option<Process>,
    /// Where it is on its move.
    pub(super) place: Option<Move>,
    /// QEMU's own word for its state; `None`: there is no process.
    pub(super) status: Option<String>,
    /// What others are told.
    pub(super) seen: Seen,
}

impl Look {
    /// Looks at a VM; `None`: there is none.
    ///
    /// # Errors
    /// Where its files cannot be read or its QEMU does not answer.
    pub(super) fn at(folder: &Folder, vm: VmId) -> Result<Option<Self>, DriverError> {
        Self::under(folder, vm, &Unwatched)
    }

    /// Looks at a VM as long as a watch lets it; `None`: there is none.
    ///
    /// # Errors
    /// As [`Self::at`], and where it was called off.
    pub(super) fn under(
        folder: &Folder,
        vm: VmId,
        watch: &dyn Watch,
    ) -> Result<Option<Self>, DriverError> {
        let Some(machine) = folder.load::<Machine>(vm, record::MACHINE)? else {
            return Ok(None);
        };
        let place = folder.load(vm, record::MOVE)?;
        let process = record::running(folder, vm)?;
        let mut look = Self {
            seen: Seen {
                vm,
                state: VmState::Stopped,
                cpus: Some(machine.cpus),
                mem_mib: Some(machine.mem_mib),
            },
            machine,
            process,
            place,
            status: None,
        };
        if look.process.is_none() {
            look.seen.state = look.without_process(folder)?;
        } else if let Err(error) = look.ask(folder, watch) {
            // A QEMU that ends closes its sockets a moment before it is gone.
            let begun = Instant::now();
            while record::running(folder, vm)?.is_some() {
                if begun.elapsed() > ENDING || watch.checkpoint().is_err() {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            look.process = None;
            look.seen.state = look.without_process(folder)?;
        }
        Ok(Some(look))
    }

    /// Connects for queries that take no time.
    ///
    /// # Errors
    /// Where QEMU does not answer.
    pub(super) fn connect(folder: &Folder, vm: VmId) -> Result<Qmp, DriverError> {
        Self::connect_under(folder, vm, &Unwatched)
    }

    pub(super) fn connect_under(
        folder: &Folder,
        vm: VmId,
        watch: &dyn Watch,
    ) -> Result<Qmp, DriverError> {
        Qmp::connect(&folder.of(vm).join(record::LOOK_SOCKET), watch)
    }

    /// Whether to send it once more is to go on where the first time came to its end, or nearly so.
    pub(super) fn is_sent(&self) -> bool {
        let sent = matches!(self.place, Some(Move::Sent { .. }));
        sent || matches!(self.duty(), Some(Duty::Decide | Duty::Say))
    }

    /// What its move demands of this node; `None`: it is on none.
    pub(super) fn duty(&self) -> Option<Duty> {
        let record = match self.place {
            Some(Move::Sending { .. }) => Record::Sending,
            Some(Move::Given { .. }) => Record::Given,
            _ => return None,
        };
        let process = match &self.process {
            None => handover::Process::Gone,
            Some(_) if self.status.as_deref() == Some(FINISHED) => handover::Process::Finished,
            Some(_) => handover::Process::Here,
        };
        Some(duty(record, process))
    }

    /// Why it must not run here; `None`: it may.
    pub(super) fn elsewhere(&self) -> Option<String> {
        match &self.place {
            Some(Move::Given { address, .. } | Move::Sent { address, .. }) => {
                Some(format!("moved to {address}"))
            }
            Some(Move::Sending { address }) if self.is_sent() => Some(format!(
                "about to be given to {address}; hint: send it again, which gives it or takes it back"
            )),
            _ => None,
        }
    }

    fn without_process(&self, folder: &Folder) -> Result<VmState, DriverError> {
        if matches!(self.place, Some(Move::Receiving { .. })) {
            return Ok(VmState::Migrating);
        }
        if matches!(self.place, Some(Move::Given { .. } | Move::Sent { .. })) {
            return Ok(VmState::Stopped);
        }
        // A process that was started, not stopped, and is gone though the node was not: the guest
        // gave up.
        let started = folder.load::<Process>(self.seen.vm, record::PROCESS)?;
        Ok(match started {
            Some(process) if record::boot().is_ok_and(|boot| process.boot == boot) => {
                VmState::Failed
            }
            _ => VmState::Stopped,
        })
    }

    fn ask(&mut self, folder: &Folder, watch: &dyn Watch) -> Result<(), DriverError> {
        let vm = self.seen.vm;
        let mut qmp = Self::connect_under(folder, vm, watch)?;
        let status = qmp.execute("query-status", None, watch)?;
        let status = status["status"].as_str().unwrap_or_default().to_owned();
        self.seen.state = state(&status);
        self.seen.cpus = count(&qmp.execute("query-cpus-fast", None, watch)?);
        self.seen.mem_mib = mem_mib(&mut qmp, watch);
        let frozen = matches!(status.as_str(), "paused" | "prelaunch");
        if frozen && matches!(self.place, Some(Move::Receiving { .. })) {
            // It is whole, and waits for the word.
            self.seen.state = VmState::Migrating;
        }
        self.status = Some(status);
        Ok(())
    }
}

/// QEMU's run states (`RunState` of its QAPI schema) in our words.
fn state(status: &str) -> VmState {
    match status {
        // On its way out it still runs here, as long as nobody says that it has arrived.
        "running" | "suspended" | "save-vm" | "finish-migrate" | "colo" => VmState::Running,
        // A full disk freezes its guest; there is a way on once it has room.
        "paused" | "io-error" | "debug" => VmState::Paused,
        "inmigrate" => VmState::Migrating,
        // Not one instruction has run, or none ever will.
        "prelaunch" | "postmigrate" => VmState::Stopped,
        _ => VmState::Failed,
    }
}

fn count(cpus: &Value) -> Option<u32> {
    cpus.as_array()
        .and_then(|cpus| u32::try_from(cpus.len()).ok())
}

fn mem_mib(qmp: &mut Qmp, watch: &dyn Watch) -> Option<u32> {
    let answer = qmp.execute("query-balloon", None, watch).ok()?;
    u32::try_from(answer["actual"].as_u64()? >> 20).ok()
}
