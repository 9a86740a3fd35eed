//! Carries out the steps of a plan, one after the other, and tells each before it is done.

use super::check::missing;
use super::guest_agent::GuestAgent;
use super::migration::{mirror_job, remote_node};
use super::qmp::Qmp;
use super::record::{self, Move, Process};
use super::step::{Argument, Exec, GuestCommand, Plan, Step, Until};
use crate::folder::{Folder, failed};
use crate::hold::Hold;
use crate::process::kill_all;
use agent::driver::DriverError;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use model::id::{KeyId, VmId};
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A guest that neither takes memory nor lets go of a vCPU within this has no driver for it; a
/// loaded node with an emulated guest takes some seconds.
const GUEST_PATIENCE: Duration = Duration::from_secs(30);

/// A query is repeated after any event, and after this where none comes.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// QEMU writes its disks' tables out and ends within this, unless a disk is stuck.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

/// Waits for programs and processes look this often.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

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
    /// The connection, once a step needed one.
    pub(super) qmp: Option<Qmp>,
    /// The connection to the guest's agent, once a step needed one.
    pub(super) guest: Option<GuestAgent>,
}

impl Runner<'_> {
    /// Does a plan; what it has changed where it fails is undone by the plan's own list. What
    /// finishes it cannot be called off: there is no way back by then.
    ///
    /// # Errors
    /// The first step that fails.
    pub(super) fn run(&mut self, plan: &Plan) -> Result<Answers, DriverError> {
        let mut answers = Answers::new();
        let count = plan.steps.len() + plan.finish.len();
        for (done, step) in plan.steps.iter().chain(&plan.finish).enumerate() {
            let go_on = match done < plan.steps.len() {
                true => self.watch.checkpoint(),
                false => Ok(()),
            };
            let result = go_on
                .map_err(|why| DriverError::called_off("act on the VM", why))
                .and_then(|()| {
                    self.watch.calling(&step.told());
                    self.step(step, &mut answers)
                });
            if let Err(error) = result {
                if done < plan.steps.len() {
                    self.undo(plan);
                }
                return Err(error);
            }
            let done_milli = u16::try_from((done + 1) * 1_000 / count).unwrap_or(1_000);
            self.watch.progressed(done_milli);
        }
        Ok(answers)
    }

    /// What failed has its own error; what the undoing meets is told by the next look at the VM.
    fn undo(&mut self, plan: &Plan) {
        self.watch = &Unwatched;
        for step in &plan.undo {
            let _ = self.step(step, &mut Answers::new());
        }
    }

    fn step(&mut self, step: &Step, answers: &mut Answers) -> Result<(), DriverError> {
        match step {
            Step::Qmp { command, arguments } => {
                let answer = self.tell(command, arguments.as_ref())?;
                answers.insert(command, answer);
            }
            Step::Until(until) => self.until(until, answers)?,
            Step::Exec(exec) => self.exec(exec)?,
            Step::Spawn(exec) => self.spawn(exec)?,
            Step::Listen { name, host } => self.listen(name, host, answers)?,
            Step::End { patience_millis } => self.end(*patience_millis)?,
            Step::SaveMachine(machine) => self.folder.save(machine.vm, record::MACHINE, machine)?,
            Step::SaveProcess => {
                let process = record::started(self.folder, self.vm);
                let process = process.ok_or_else(|| self.died("start QEMU"))?;
                self.folder.save(self.vm, record::PROCESS, &process)?;
            }
            Step::Abandon { disks } => self.abandon(disks)?,
            Step::SaveSent { address } => {
                let sent = Move::Sent {
                    address: address.clone(),
                    downtime_millis: answers
                        .get("query-migrate")
                        .and_then(|answer| answer["downtime"].as_u64()),
                };
                self.folder.save(self.vm, record::MOVE, &sent)?;
            }
            Step::SaveMove(place) => self.folder.save(self.vm, record::MOVE, place)?,
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

    fn until(&mut self, until: &Until, answers: &mut Answers) -> Result<(), DriverError> {
        let begun = Instant::now();
        let watch = self.watch;
        loop {
            let answer = self.tell(until.query(), None)?;
            if until.holds(&answer)? {
                answers.insert(until.query(), answer);
                return Ok(());
            }
            if let Some(hint) = until.guest_lacks()
                && begun.elapsed() > GUEST_PATIENCE
            {
                return Err(DriverError::Hypervisor {
                    doing: "wait for the guest".to_owned(),
                    said: format!("nothing within {} s; {hint}", GUEST_PATIENCE.as_secs()),
                });
            }
            self.connection()?.rest(ASK_AGAIN, watch)?;
        }
    }

    /// QEMU listens on a port that the node chose; the answer is the port.
    fn listen(
        &mut self,
        name: &'static str,
        host: &str,
        answers: &mut Answers,
    ) -> Result<(), DriverError> {
        let bound = TcpListener::bind((host, 0))
            .and_then(|socket| socket.local_addr().map(|address| (socket, address.port())));
        let (socket, port) = bound.map_err(|error| DriverError::Hypervisor {
            doing: format!("listen on {host}"),
            said: error.to_string(),
        })?;
        let watch = self.watch;
        self.connection()?.give_file(name, &socket, watch)?;
        answers.insert("getfd", port.into());
        Ok(())
    }

    fn exec(&self, exec: &Exec) -> Result<(), DriverError> {
        let (mut command, _keys) = self.command(exec)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(exec, &error))?;
        let status = loop {
            match child
                .try_wait()
                .map_err(|error| not_started(exec, &error))?
            {
                Some(status) => break status,
                None => std::thread::sleep(LOOK_AGAIN),
            }
            if let Err(why) = self.watch.checkpoint() {
                // It has no other child than itself, so nothing is left of it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(DriverError::called_off(exec.program, why));
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(mut pipe) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut pipe, &mut said);
        }
        Err(DriverError::Hypervisor {
            doing: exec.program.to_owned(),
            said: format!("{} ({status})", said.trim()),
        })
    }

    /// QEMU goes into the background once it is ready, and has then locked its own file; until then
    /// it holds the VM's lock as its standard input.
    fn spawn(&self, exec: &Exec) -> Result<(), DriverError> {
        let folder = self.folder.of(self.vm);
        let log = folder.join(record::LOG);
        let stderr = File::create(&log).map_err(failed("make", &log))?;
        let lock = self.hold.share().map_err(failed("share", &folder))?;
        let (mut command, _keys) = self.command(exec)?;
        let status = command
            .stdin(lock)
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .status()
            .map_err(|error| not_started(exec, &error))?;
        if status.success() {
            return Ok(());
        }
        Err(self.died("start QEMU"))
    }

    /// A command with its keys in files of memory, which live as long as they are held.
    fn command(&self, exec: &Exec) -> Result<(Command, Vec<File>), DriverError> {
        let mut command = Command::new(exec.program);
        let mut files = Vec::new();
        for argument in &exec.arguments {
            let mut path = String::new();
            if let Argument::Secret(key) = argument {
                let file = self.key_file(*key)?;
                path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                files.push(file);
            }
            command.arg(argument.text(&path));
        }
        Ok((command, files))
    }

    fn key_file(&self, key: KeyId) -> Result<File, DriverError> {
        let bytes = self
            .keys
            .bytes(key)
            .ok_or(DriverError::KeyMissing { key })?;
        let made = memfd_create("key", MemfdFlags::CLOEXEC)
            .map_err(std::io::Error::from)
            .and_then(|fd| {
                let mut file = File::from(fd);
                file.write_all(bytes)?;
                Ok(file)
            });
        made.map_err(|error| DriverError::Hypervisor {
            doing: format!("hand over {key}"),
            said: error.to_string(),
        })
    }

    fn end(&mut self, patience_millis: u32) -> Result<(), DriverError> {
        let Some(process) = record::running(self.folder, self.vm)? else {
            self.qmp = None;
            return Ok(());
        };
        let begun = Instant::now();
        let patience = Duration::from_millis(patience_millis.into());
        while process.runs() && begun.elapsed() < patience {
            std::thread::sleep(LOOK_AGAIN);
            self.watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("wait for the guest to end", why))?;
        }
        if process.runs() && self.tell("quit", None).is_ok() {
            let begun = Instant::now();
            while process.runs() && begun.elapsed() < QUIT_PATIENCE {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        self.qmp = None;
        kill_all(|| Vec::from_iter(Some(process.clone()).filter(Process::runs)))
    }

    /// Nothing here may fail the rest: what is not there need not be undone.
    fn abandon(&mut self, disks: &[usize]) -> Result<(), DriverError> {
        let _ = self.tell("migrate_cancel", None);
        loop {
            let answer = self.tell("query-migrate", None)?;
            match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                None | Some("none" | "failed" | "cancelled") => break,
                Some(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
        for index in disks {
            let job = mirror_job(*index);
            let _ = self.tell(
                "block-job-cancel",
                Some(&json!({ "device": job, "force": true })),
            );
            while self
                .tell("job-dismiss", Some(&json!({ "id": job })))
                .is_err_and(|error| error.to_string().contains("status"))
            {
                std::thread::sleep(LOOK_AGAIN);
            }
            let _ = self.tell(
                "blockdev-del",
                Some(&json!({ "node-name": remote_node(*index) })),
            );
        }
        self.tell("cont", None)?;
        self.folder.forget(self.vm, record::MOVE)
    }

    fn died(&self, doing: &str) -> DriverError {
        let words = record::last_words(self.folder, self.vm);
        DriverError::Hypervisor {
            doing: doing.to_owned(),
            said: if words.is_empty() {
                "QEMU ended without a word".to_owned()
            } else {
                format!("QEMU ended: {words}")
            },
        }
    }
}

impl Until {
    /// Whether an answer tells what is waited for.
    fn holds(&self, answer: &Value) -> Result<bool, DriverError> {
        let jobs = || answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let job = |id: &String| jobs().iter().find(|job| job["id"] == id.as_str());
        match self {
            Self::JobEnded { id } => {
                let Some(job) = job(id) else { return Ok(false) };
                job_error(job)?;
                Ok(job["status"] == "concluded")
            }
            Self::JobsReady { ids } => {
                for id in ids {
                    match job(id) {
                        Some(job) => job_error(job)?,
                        None => return Err(broken(id, "it is gone")),
                    }
                }
                let ready = |id| job(id).is_some_and(|job| job["status"] == "ready");
                Ok(ids.iter().all(ready))
            }
            Self::MigrationPaused => migration_is(answer, "pre-switchover"),
            Self::MigrationDone => migration_is(answer, "completed"),
            Self::Balloon { bytes, slack } => Ok(answer["actual"]
                .as_u64()
                .is_some_and(|actual| actual.abs_diff(*bytes) <= *slack)),
            Self::Cpus { count } => Ok(answer.as_array().is_some_and(|cpus| cpus.len() == *count)),
        }
    }

    /// What a guest may lack that never does this.
    fn guest_lacks(&self) -> Option<&'static str> {
        match self {
            Self::Balloon { .. } => Some("hint: does the guest have the virtio_balloon driver?"),
            Self::Cpus { .. } => Some("hint: the guest may still run something on that vCPU"),
            _ => None,
        }
    }
}

fn job_error(job: &Value) -> Result<(), DriverError> {
    match job["error"].as_str() {
        Some(error) => Err(broken(job["id"].as_str().unwrap_or_default(), error)),
        None => Ok(()),
    }
}

fn broken(job: &str, said: &str) -> DriverError {
    DriverError::Hypervisor {
        doing: format!("job {job}"),
        said: said.to_owned(),
    }
}

fn migration_is(answer: &Value, wanted: &str) -> Result<bool, DriverError> {
    let status = answer["status"].as_str().unwrap_or("none");
    if matches!(status, "failed" | "cancelled" | "cancelling") {
        return Err(DriverError::Hypervisor {
            doing: "move the VM".to_owned(),
            said: answer["error-desc"].as_str().unwrap_or(status).to_owned(),
        });
    }
    Ok(status == wanted)
}

fn not_started(exec: &Exec, error: &std::io::Error) -> DriverError {
    if error.kind() == ErrorKind::NotFound {
        return missing(exec.program, &format!("install {}", exec.package));
    }
    DriverError::Hypervisor {
        doing: exec.program.to_owned(),
        said: error.to_string(),
    }
}

fn gone(path: &std::path::Path) -> Result<(), DriverError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}
