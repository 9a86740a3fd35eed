//! Carries out the steps of a plan, one after the other, and tells each before it is done.

mod moving;
mod program;

use super::guest_agent::GuestAgent;
use super::qmp::Qmp;
use super::record;
use super::step::{GuestCommand, Plan, Step};
use super::until::Until;
use crate::folder::{Folder, failed};
use crate::handover::book;
use crate::handover::door::Door;
use crate::handover::word::Line;
use crate::hold::Hold;
use crate::outside::Hasty;
use agent::driver::DriverError;
use agent::handover::Book;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use model::id::VmId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Waits for programs and processes look this often.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A step that undoes another takes seconds; a guest or a QEMU that has hung may never answer.
const UNDO_PATIENCE: Duration = Duration::from_secs(30);

/// Last answers, by command.
pub(super) type Answers = BTreeMap<&'static str, Value>;

/// What steps are done with.
pub(super) struct Runner<'a> {
    /// Where the VM is kept.
    pub(super) folder: &'a Folder,
    /// Which.
    pub(super) vm: VmId,
    /// The VM, held.
    pub(super) hold: &'a Hold,
    /// Keys of this act.
    pub(super) keys: &'a Keys,
    /// Who waits.
    pub(super) watch: &'a dyn Watch,
    /// The driver's door, once a VM comes here.
    pub(super) door: &'a Mutex<Option<Door>>,
    /// The connection, once a step needed one.
    pub(super) qmp: Option<Qmp>,
    /// The connection to the guest's agent, once a step needed one.
    pub(super) guest: Option<GuestAgent>,
    /// The way to the receiver of the VM, once it was opened.
    pub(super) line: Option<Line>,
}

impl Runner<'_> {
    /// Does a plan; what it has changed where it fails is undone by the plan's own list. What
    /// finishes it cannot be called off: there is no way back by then.
    ///
    /// # Errors
    /// The first step that fails.
    pub(super) fn run(&mut self, plan: &Plan) -> Result<Answers, DriverError> {
        let mut answers = Answers::new();
        let watch = self.watch;
        let count = plan.steps.len() + plan.finish.len();
        for (done, step) in plan.steps.iter().chain(&plan.finish).enumerate() {
            if done == plan.steps.len() {
                self.watch = &Unwatched;
            }
            let go_on = self.watch.checkpoint();
            let result = go_on
                .map_err(|why| DriverError::called_off("act on the VM", why))
                .and_then(|()| {
                    watch.calling(&step.told());
                    self.step(step, &mut answers)
                });
            if let Err(error) = result {
                if done < plan.steps.len() {
                    self.undo(plan);
                }
                return Err(error);
            }
            let done_milli = u16::try_from((done + 1) * 1_000 / count).unwrap_or(1_000);
            watch.progressed(done_milli);
        }
        Ok(answers)
    }

    /// What failed has its own error; what the undoing meets is told by the next look at the VM. No
    /// connection is kept: an answer that was not waited for would be taken for the next one's.
    fn undo(&mut self, plan: &Plan) {
        (self.qmp, self.guest) = (None, None);
        for step in &plan.undo {
            let watch = Hasty {
                until: Instant::now() + UNDO_PATIENCE,
                watch: &Unwatched,
            };
            let mut runner = Runner {
                watch: &watch,
                qmp: None,
                guest: None,
                line: None,
                ..*self
            };
            let _ = runner.step(step, &mut Answers::new());
        }
    }

    fn step(&mut self, step: &Step, answers: &mut Answers) -> Result<(), DriverError> {
        match step {
            Step::Qmp { command, arguments } => {
                let answer = self.tell(command, arguments.as_ref())?;
                answers.insert(command, answer);
            }
            Step::Until(until) => {
                let answer = self.until(until)?;
                answers.insert(until.query(), answer);
            }
            Step::Halt => self.halt()?,
            Step::Exec(exec) => self.exec(exec)?,
            Step::Spawn(exec) => self.spawn(exec)?,
            Step::Join {
                servers,
                folder,
                task,
            } => {
                servers.serve(folder, task, self.keys, self.watch)?;
            }
            Step::Listen { name, host } => self.listen(name, host, answers)?,
            Step::End { patience_millis } => self.end(*patience_millis)?,
            Step::SaveMachine(machine) => self.folder.save(machine.vm, record::MACHINE, machine)?,
            Step::SaveProcess => {
                let process = record::started(self.folder, self.vm);
                let process = process.ok_or_else(|| self.died("start QEMU"))?;
                self.folder.save(self.vm, record::PROCESS, &process)?;
            }
            Step::Secure { key, end } => self.secure(*key, *end)?,
            Step::Expect { storage, key } => self.expect(*storage, *key)?,
            Step::Drop { digest } => book::settle(self.folder, digest, Book::Dropped)?,
            Step::OpenDoor { host } => self.open_door(host, answers)?,
            Step::Call { door } => self.call(door)?,
            Step::Give { address, key } => self.give(address, *key)?,
            Step::Say => self.say()?,
            Step::Abandon { disks } => self.abandon(disks)?,
            Step::SaveMove(place) => self.note(place)?,
            Step::Guest(command) => self.in_guest(command)?,
            Step::Forget { record } => self.folder.forget(self.vm, record)?,
            Step::ForgetAll => self.folder.remove(self.vm, record::MACHINE)?,
            Step::Remove(path) => gone(path)?,
            Step::Rename { from, to } => fs::rename(from, to).map_err(failed("make", to))?,
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut Qmp, DriverError> {
        if self.qmp.is_none() {
            let socket = self.folder.of(self.vm).join(record::ACT_SOCKET);
            self.qmp = Some(Qmp::connect(&socket, self.watch)?);
        }
        Ok(self.qmp.as_mut().expect("it was just made"))
    }

    fn tell(&mut self, command: &str, arguments: Option<&Value>) -> Result<Value, DriverError> {
        let watch = self.watch;
        let answer = self.connection()?.execute(command, arguments, watch);
        if answer.is_err() && record::running(self.folder, self.vm)?.is_none() {
            return Err(self.died(command));
        }
        answer
    }

    fn in_guest(&mut self, command: &GuestCommand) -> Result<(), DriverError> {
        if self.guest.is_none() {
            self.guest = Some(GuestAgent::connect(self.folder, self.vm, self.watch)?);
        }
        let guest = self.guest.as_mut().expect("it was just made");
        guest.run(command, self.keys, self.watch)
    }

    fn until(&mut self, until: &Until) -> Result<Value, DriverError> {
        let patience = until.patience();
        let limit = patience.map(|(patience, _)| patience);
        match (self.until_within(until, limit)?, patience) {
            (Some(answer), _) => Ok(answer),
            (None, patience) => {
                let (patience, hint) = patience.unwrap_or_default();
                Err(DriverError::Hypervisor {
                    doing: format!("wait for {}", until.query()),
                    said: format!("nothing within {} s; {hint}", patience.as_secs()),
                })
            }
        }
    }

    /// The answer that was waited for; `None`: it did not come in time.
    fn until_within(
        &mut self,
        until: &Until,
        patience: Option<Duration>,
    ) -> Result<Option<Value>, DriverError> {
        let begun = Instant::now();
        let watch = self.watch;
        loop {
            let answer = self.tell(until.query(), None)?;
            if until.holds(&answer)? {
                return Ok(Some(answer));
            }
            if patience.is_some_and(|patience| begun.elapsed() > patience) {
                return Ok(None);
            }
            let tells = |event: &Value| until.is_told_by(event);
            self.connection()?.rest(until.again(), tells, watch)?;
        }
    }
}

fn gone(path: &std::path::Path) -> Result<(), DriverError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}
