//! The calls of Xen's toolstack as data: shown to the admin, or carried out.

use super::config::{self, name};
use super::look::{
    BEGUN, GOING_BACK, Look, MACHINE, REBOOTING, RESTING, config_file, domains, processes,
};
use super::told::{Doing, Domain};
use super::xl::{CalledOffIt, Xl};
use crate::folder::{Folder, failed};
use crate::hold::Hold;
use crate::process::Process;
use crate::sparse;
use crate::wait::pause;
use agent::driver::{DriverError, NativeCall};
use agent::machine::Machine;
use agent::watch::{Unwatched, Watch};
use model::id::VmId;
use model::report::VmState;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A guest that has not followed by then has no driver for it; an emulated one takes seconds.
const GUEST_LIMIT: Duration = Duration::from_secs(300);

/// What is left of a domain is taken away by then; of a large one, page by page.
const END_LIMIT: Duration = Duration::from_secs(300);

/// How often a domain is looked at while an act waits for it; each look is a process of its own.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Memory that a guest may keep from Xen's count when it has followed, in MiB: its balloon gives
/// and takes pages, and Xen's table tells whole MiB.
const MEM_SLACK_MIB: u32 = 1;

/// One step of an act.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes down a machine; the VM is defined from then on.
    Remember(Box<Machine>),
    /// Writes down what xl is to be told.
    Configure(Box<Machine>),
    /// Takes note of something, before what it is about.
    Note(Note),
    /// Takes the note back, there or not.
    Forget(&'static str),
    /// Builds a domain, which runs unless it is told otherwise.
    Build(Vec<String>),
    /// Any other command of xl.
    Tell(Vec<String>),
    /// Asks the guest to shut down, and waits; one that does not heed has not failed.
    Ask { patience: Duration },
    /// Gives and takes memory, and waits until the guest has followed.
    SetMem(u32),
    /// Lets the guest have so many of its vCPUs, and waits until it has followed.
    SetCpus(u32),
    /// Writes the guest's memory to a file and leaves it paused.
    Save(PathBuf),
    /// Ends what would begin the domain anew.
    Unwatch(Process),
    /// Takes the domain away, if it is there.
    End,
    /// Writes a copy of a file; it appears whole or not at all.
    CopyFile { from: PathBuf, to: PathBuf },
    /// Writes a record of a snapshot, which is there from then on.
    Keep {
        record: String,
        machine: Box<Machine>,
    },
    /// Removes a file, there or not.
    Remove(PathBuf),
    /// Removes all that is known of the VM.
    ForgetAll,
}

/// What is noted for whoever resumes an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// See [`BEGUN`].
    Begun,
    /// See [`RESTING`].
    Resting(VmState),
    /// See [`GOING_BACK`].
    GoingBack(VmState),
    /// See [`REBOOTING`].
    Rebooting,
}

impl Note {
    fn file(self) -> &'static str {
        match self {
            Self::Begun => BEGUN,
            Self::Resting(_) => RESTING,
            Self::GoingBack(_) => GOING_BACK,
            Self::Rebooting => REBOOTING,
        }
    }
}

/// What steps are carried out with.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// The toolstack.
    pub xl: &'a Xl,
    /// Where VMs are remembered.
    pub folder: &'a Folder,
    /// Which VM.
    pub vm: VmId,
}

impl Step {
    /// The call that this step makes.
    pub fn call(&self, tools: Tools) -> NativeCall {
        let folder = tools.folder;
        let exec = |words: &[String]| ("exec", tools.xl.line(words));
        let file = |verb: &str, path: PathBuf| ("file", format!("{verb} {}", path.display()));
        let own = |record: &str| folder.of(tools.vm).join(record);
        let (interface, call) = match self {
            Self::Remember(machine) => file("write", folder.of(machine.vm).join(MACHINE)),
            Self::Configure(_) => file("write", config_file(folder, tools.vm)),
            Self::Note(note) => file("write", own(note.file())),
            Self::Forget(note) => file("remove", own(note)),
            Self::Build(words) | Self::Tell(words) => exec(words),
            Self::Ask { .. } => exec(&told(tools.vm, "shutdown")),
            Self::SetMem(mem_mib) => exec(&set_mem(tools.vm, *mem_mib)),
            Self::SetCpus(cpus) => exec(&set_cpus(tools.vm, *cpus)),
            Self::Save(to) => exec(&save(tools.vm, to)),
            Self::Unwatch(process) => ("signal", format!("KILL to process {}", process.pid)),
            Self::End => exec(&told(tools.vm, "destroy")),
            Self::CopyFile { from, to } => {
                let call = format!("copy {} to {}", from.display(), to.display());
                ("file", call)
            }
            Self::Keep { record, .. } => file("write", own(record)),
            Self::Remove(path) => file("remove", path.clone()),
            Self::ForgetAll => file("remove", folder.of(tools.vm)),
        };
        NativeCall {
            interface: interface.to_owned(),
            call,
        }
    }

    /// Makes it.
    pub fn carry_out(
        &self,
        tools: Tools,
        hold: &Hold,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let Tools { xl, folder, vm } = tools;
        let tell = |words: &[String]| xl.tell(words, hold, CalledOffIt::Dies, watch);
        match self {
            Self::Remember(machine) => folder.save(machine.vm, MACHINE, machine),
            Self::Configure(machine) => {
                let path = config_file(folder, vm);
                fs::write(&path, config::text(machine)).map_err(failed("write", &path))
            }
            Self::Note(note) => match note {
                Note::Begun | Note::Rebooting => folder.save(vm, note.file(), &()),
                Note::Resting(then) | Note::GoingBack(then) => {
                    folder.save::<VmState>(vm, note.file(), then)
                }
            },
            Self::Forget(note) => folder.forget(vm, note),
            Self::Build(words) => tell(words).inspect_err(|_| tools.take_away(hold)),
            Self::Tell(words) => tell(words),
            Self::Ask { patience } => {
                // A guest without Xen's drivers cannot be asked, and is ended all the same.
                match tell(&told(vm, "shutdown")) {
                    Err(DriverError::Hypervisor { .. }) => return Ok(()),
                    other => other?,
                }
                tools.await_end(*patience, watch, has_shut_down).map(drop)
            }
            Self::SetMem(mem_mib) => {
                tell(&set_mem(vm, *mem_mib))?;
                tools.await_memory(*mem_mib, watch)
            }
            Self::SetCpus(cpus) => {
                tell(&set_cpus(vm, *cpus))?;
                tools.await_cpus(*cpus, watch)
            }
            Self::Save(to) => xl.tell(&save(vm, to), hold, CalledOffIt::Ends, watch),
            Self::Unwatch(process) => {
                process.kill();
                Ok(())
            }
            Self::End => tools.end(hold, watch),
            Self::CopyFile { from, to } => sparse::copy(from, to, watch),
            Self::Keep { record, machine } => folder.save(vm, record, machine),
            Self::Remove(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(failed("remove", path)(error))
                }
                _ => Ok(()),
            },
            Self::ForgetAll => folder.remove(vm, MACHINE),
        }
    }
}

impl Tools<'_> {
    fn look(&self) -> Result<Look, DriverError> {
        Look::at(self.folder, self.vm, &domains(self.xl)?)
    }

    fn end(&self, hold: &Hold, watch: &dyn Watch) -> Result<(), DriverError> {
        if self.look()?.domain.is_none() {
            return Ok(());
        }
        let destroyed = self
            .xl
            .tell(&told(self.vm, "destroy"), hold, CalledOffIt::Ends, watch);
        if self.await_end(END_LIMIT, watch, is_gone)? {
            return Ok(()); // whether by this or by itself
        }
        destroyed.and_then(|()| Err(self.stayed()))
    }

    /// Ends all that runs of the VM, whoever holds it. Its domain is told by its number, which is
    /// never another's.
    pub fn halt(&self, watch: &dyn Watch) -> Result<(), DriverError> {
        let uuid = config::uuid(self.vm);
        let deadline = Instant::now() + END_LIMIT;
        loop {
            // They build the domain, or would begin it anew.
            let builders = processes(&config_file(self.folder, self.vm));
            builders.iter().for_each(Process::kill);
            let mut domains = domains(self.xl)?.into_iter();
            let domain = domains.find(|domain| domain.uuid == uuid);
            let Some(domain) = domain else {
                if builders.is_empty() {
                    return Ok(());
                }
                continue;
            };
            let destroyed = match domain.doing {
                Doing::Dying => Ok(()),
                _ => self.xl.destroy(domain.id),
            };
            if Instant::now() > deadline {
                return destroyed.and_then(|()| Err(self.stayed()));
            }
            pause("end the guest", LOOK_EVERY, watch)?;
        }
    }

    fn stayed(&self) -> DriverError {
        DriverError::Hypervisor {
            doing: self.xl.line(&told(self.vm, "destroy")),
            said: format!("the domain was there after {END_LIMIT:?}"),
        }
    }

    /// Takes away what a failed or killed build has left.
    fn take_away(&self, hold: &Hold) {
        // What made the build fail is the news; what cannot be taken away is seen by the next look.
        let _left = self.end(hold, &Unwatched);
        let _left = self.folder.forget(self.vm, BEGUN);
    }

    /// Waits until a look shows that it has ended; `false`: its time ran out.
    fn await_end(
        &self,
        patience: Duration,
        watch: &dyn Watch,
        ended: impl Fn(&Look) -> bool,
    ) -> Result<bool, DriverError> {
        let deadline = Instant::now() + patience;
        while !ended(&self.look()?) {
            if Instant::now() > deadline {
                return Ok(false);
            }
            pause("end the guest", LOOK_EVERY, watch)?;
        }
        Ok(true)
    }

    fn await_memory(&self, mem_mib: u32, watch: &dyn Watch) -> Result<(), DriverError> {
        let close = |has: u32| has.abs_diff(mem_mib) <= MEM_SLACK_MIB;
        let wanted = format!("{mem_mib} mem_mib");
        self.await_guest(&wanted, |domain| domain.mem_mib, close, watch)
    }

    fn await_cpus(&self, cpus: u32, watch: &dyn Watch) -> Result<(), DriverError> {
        let wanted = format!("{cpus} vCPUs");
        self.await_guest(&wanted, |domain| domain.cpus, |has| has == cpus, watch)
    }

    /// Waits until the domain has what the guest was asked to take or to give.
    fn await_guest(
        &self,
        wanted: &str,
        amount: impl Fn(&Domain) -> u32,
        enough: impl Fn(u32) -> bool,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let deadline = Instant::now() + GUEST_LIMIT;
        loop {
            let has = self.look()?.domain.map(|domain| amount(&domain));
            if has.is_some_and(&enough) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let found = has.map_or("it has gone".to_owned(), |has| format!("it has {has}"));
                return Err(DriverError::Hypervisor {
                    doing: format!("bring {} to {wanted}", name(self.vm)),
                    said: format!("{found} after {GUEST_LIMIT:?}"),
                });
            }
            pause("wait for the guest", LOOK_EVERY, watch)?;
        }
    }
}

/// Nothing of the guest runs, nor will.
fn has_shut_down(look: &Look) -> bool {
    let doing = look.domain.as_ref().map(|domain| domain.doing);
    look.monitors.is_empty() && matches!(doing, None | Some(Doing::Shut(_)))
}

/// Nothing of the domain is left.
fn is_gone(look: &Look) -> bool {
    look.monitors.is_empty() && look.domain.is_none()
}

/// A command of xl that takes the domain and nothing else.
pub fn told(vm: VmId, command: &str) -> Vec<String> {
    vec![command.to_owned(), name(vm)]
}

fn set_mem(vm: VmId, mem_mib: u32) -> Vec<String> {
    vec!["mem-set".into(), name(vm), format!("{mem_mib}m")]
}

fn set_cpus(vm: VmId, cpus: u32) -> Vec<String> {
    vec!["vcpu-set".into(), name(vm), cpus.to_string()]
}

fn save(vm: VmId, to: &std::path::Path) -> Vec<String> {
    vec![
        "save".into(),
        "-p".into(),
        name(vm),
        to.display().to_string(),
    ]
}
