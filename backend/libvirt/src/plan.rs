//! Acts as steps, and steps for people to read: what a dry run tells is what is then done.

use crate::domain::secret_xml;
use crate::door::{Door, Reboot};
use crate::identity::{domain_name, secret_usage};
use crate::look::Look;
use agent::driver::{Act, ActKind, DriverError, NativeCall};
use agent::machine::Machine;
use drivers::field::invalid;
use model::id::{KeyId, VmId};
use model::order::{Scale, Shutdown};
use model::report::VmState;
use std::collections::BTreeSet;

/// The machine as it was defined or last scaled.
pub const MACHINE: &str = "machine.json";
/// There while a VM is off in the middle of a reboot.
pub const REBOOTING: &str = "rebooting.json";
/// There once a VM that failed was stopped, for libvirt goes on telling why it ended.
pub const PUT_AWAY: &str = "put-away.json";

/// What is known of a VM before an act on it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What runs it.
    pub door: Door,
    /// Which.
    pub vm: VmId,
    /// As it is now; `None`: there is none.
    pub look: Option<&'a Look>,
    /// Its machine on record.
    pub machine: Option<&'a Machine>,
    /// Whether it is off in the middle of a reboot.
    pub is_rebooting: bool,
    /// Whether it failed and was stopped since.
    pub is_put_away: bool,
}

/// What an act does, in order.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is done.
    pub steps: Vec<Step>,
    /// What is done where one of them fails, each whether the others succeed or not.
    pub undo: Vec<Step>,
}

/// Whether a change is made to what runs, or to how it starts the next time; one call does one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affects {
    /// What runs.
    Live,
    /// The next start.
    Config,
}

/// One call.
#[derive(Clone, Debug)]
pub enum Step {
    /// Keeps the machine.
    SaveMachine(Box<Machine>),
    /// Keeps a record that is nothing but there.
    Note(&'static str),
    /// Removes a record, there or not.
    Forget(&'static str),
    /// Removes the VM's folder.
    ForgetAll,
    /// Defines its domain.
    Define(String),
    /// Boots it.
    Create,
    /// Resets it.
    Reset,
    /// Asks its guest to shut down.
    Shutdown,
    /// Ends it, once it has had its time to end by itself.
    Destroy {
        /// The time.
        patience_millis: u32,
    },
    /// Forgets its domain.
    Undefine,
    /// Freezes it.
    Suspend,
    /// Lets it go on.
    Resume,
    /// Gives it vCPUs.
    SetCpus(u32, Affects),
    /// Gives it memory, in MiB.
    SetMem(u32, Affects),
    /// Waits until its guest has given back or taken memory, to so many MiB.
    AwaitMem(u32),
    /// Makes a place for a key.
    DefineSecret(KeyId),
    /// Hands a key over.
    SetSecret(KeyId),
    /// Takes it back.
    UndefineSecret(KeyId),
}

/// The steps of an act that was admitted; `xml`: the domain of the machine that it defines.
///
/// # Errors
/// Where the machine cannot be scaled so, or is not on record.
pub fn plan(
    known: &Known,
    act: &Act,
    xml: impl FnOnce(&Machine) -> Result<String, DriverError>,
) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    if known.is_rebooting && !matches!(act, Act::Reboot) {
        plan.steps.push(Step::Forget(REBOOTING));
    }
    match act {
        Act::Define { machine } => plan.define(known, machine, xml(machine)?),
        Act::Start => plan.start(known)?,
        Act::Stop { shutdown } => plan.stop(known, *shutdown),
        Act::Destroy => plan.destroy(known),
        Act::Reboot => plan.reboot(known),
        Act::Pause if known.state() != Some(VmState::Paused) => plan.steps.push(Step::Suspend),
        Act::Resume if known.state() != Some(VmState::Running) => plan.steps.push(Step::Resume),
        Act::Pause | Act::Resume => {}
        Act::Scale { scale } => plan.scale(known, scale)?,
        // No door declares what they need, so that none is admitted.
        _ => return Err(known.unsupported(ActKind::from(act))),
    }
    Ok(plan)
}

impl Known<'_> {
    fn state(&self) -> Option<VmState> {
        self.look.map(|look| look.seen.state)
    }

    fn is_active(&self) -> bool {
        self.look.is_some_and(|look| look.is_active)
    }

    fn recorded(&self, doing: &str) -> Result<&Machine, DriverError> {
        self.machine.ok_or_else(|| DriverError::Hypervisor {
            doing: format!("{doing} {}", self.vm),
            said: "its machine is not on record; define it again".to_owned(),
        })
    }

    fn keys(&self) -> BTreeSet<KeyId> {
        let disks = self.machine.iter().flat_map(|machine| &machine.disks);
        disks.filter_map(|disk| disk.key).collect()
    }

    fn unsupported(&self, kind: ActKind) -> DriverError {
        DriverError::Unsupported {
            driver: self.door.ways().name.to_owned(),
            what: format!("{kind} a VM"),
        }
    }
}

impl Plan {
    fn define(&mut self, known: &Known, machine: &Machine, xml: String) {
        self.steps
            .push(Step::SaveMachine(Box::new(machine.clone())));
        self.steps.push(Step::Define(xml));
        self.undo.push(match known.machine {
            Some(former) => Step::SaveMachine(Box::new(former.clone())),
            None => Step::Forget(MACHINE),
        });
    }

    fn start(&mut self, known: &Known) -> Result<(), DriverError> {
        if known.state() == Some(VmState::Running) {
            // Whoever was killed within a start has not taken them back.
            self.take_back(known);
            return Ok(());
        }
        known.recorded("start")?;
        if known.is_active() {
            self.steps.push(Step::Destroy { patience_millis: 0 });
        }
        if known.is_put_away {
            // Before it runs: what it ends by then is news.
            self.steps.push(Step::Forget(PUT_AWAY));
        }
        for key in known.keys() {
            self.steps
                .extend([Step::DefineSecret(key), Step::SetSecret(key)]);
            self.undo.push(Step::UndefineSecret(key));
        }
        self.steps.push(Step::Create);
        self.take_back(known);
        Ok(())
    }

    /// Whether the hypervisor has the keys or will never ask for them: libvirt keeps none.
    fn take_back(&mut self, known: &Known) {
        let keys = known.keys().into_iter();
        self.steps.extend(keys.map(Step::UndefineSecret));
    }

    fn stop(&mut self, known: &Known, shutdown: Shutdown) {
        self.take_back(known);
        if !known.is_active() {
            if known.state() == Some(VmState::Failed) {
                self.steps.push(Step::Note(PUT_AWAY));
            }
            return;
        }
        let mut patience = 0;
        if let (Shutdown::Asked { patience_millis }, Some(VmState::Running)) =
            (shutdown, known.state())
        {
            patience = patience_millis;
            self.steps.push(Step::Shutdown);
        }
        self.steps.push(Step::Destroy {
            patience_millis: patience,
        });
    }

    fn destroy(&mut self, known: &Known) {
        if known.is_active() {
            self.steps.push(Step::Destroy { patience_millis: 0 });
        }
        if known.look.is_some() {
            self.steps.push(Step::Undefine);
        }
        self.take_back(known);
        self.steps.push(Step::ForgetAll);
    }

    fn reboot(&mut self, known: &Known) {
        if known.door.ways().reboot == Reboot::Reset {
            self.steps.push(Step::Reset);
            return;
        }
        if known.is_active() {
            self.steps.push(Step::Note(REBOOTING));
            self.steps.push(Step::Destroy { patience_millis: 0 });
        }
        self.steps.push(Step::Create);
        self.steps.push(Step::Forget(REBOOTING));
    }

    fn scale(&mut self, known: &Known, scale: &Scale) -> Result<(), DriverError> {
        let mut machine = known.recorded("scale")?.clone();
        let (most, asked, field) = match scale {
            Scale::Cpu { cpus } => (machine.max_cpus, *cpus, "cpus"),
            Scale::Mem { mem_mib } => (machine.max_mem_mib, *mem_mib, "mem_mib"),
            _ => return Err(known.unsupported(ActKind::Scale)),
        };
        if asked == 0 || asked > most {
            let expected = format!("1 to {most}");
            return Err(invalid(field, &asked.to_string(), &expected));
        }
        let set: fn(u32, Affects) -> Step = match scale {
            Scale::Cpu { .. } => Step::SetCpus,
            _ => Step::SetMem,
        };
        if known.is_active() {
            self.steps.push(set(asked, Affects::Live));
        }
        self.steps.push(set(asked, Affects::Config));
        if matches!(scale, Scale::Mem { .. }) {
            machine.mem_mib = asked;
            if known.is_active() {
                self.steps.push(Step::AwaitMem(asked));
            }
        } else {
            machine.cpus = asked;
        }
        self.steps.push(Step::SaveMachine(Box::new(machine)));
        Ok(())
    }
}

impl Step {
    /// The call for a person to read.
    pub fn told(&self, vm: VmId) -> NativeCall {
        let name = domain_name(vm);
        let libvirt = |call: String| native("libvirt", call);
        let on = |call: &str| native("libvirt", format!("{call} {name}"));
        match self {
            Self::SaveMachine(_) => native("file", format!("write {MACHINE} of {vm}")),
            Self::Note(record) => native("file", format!("write {record} of {vm}")),
            Self::Forget(record) => native("file", format!("remove {record} of {vm}")),
            Self::ForgetAll => native("file", format!("remove the folder of {vm}")),
            Self::Define(xml) => libvirt(format!("virDomainDefineXML {xml}")),
            Self::Create => on("virDomainCreate"),
            Self::Reset => on("virDomainReset"),
            Self::Shutdown => on("virDomainShutdown"),
            Self::Destroy { patience_millis: 0 } => on("virDomainDestroy"),
            Self::Destroy { patience_millis } => libvirt(format!(
                "virDomainDestroy {name} unless it ends within {patience_millis} ms"
            )),
            Self::Undefine => on("virDomainUndefineFlags"),
            Self::Suspend => on("virDomainSuspend"),
            Self::Resume => on("virDomainResume"),
            Self::SetCpus(cpus, affects) => {
                libvirt(format!("virDomainSetVcpusFlags {name} {cpus} {affects:?}"))
            }
            Self::SetMem(mib, affects) => libvirt(format!(
                "virDomainSetMemoryFlags {name} {mib} MiB {affects:?}"
            )),
            Self::AwaitMem(mib) => {
                libvirt(format!("virDomainGetInfo {name} until it has {mib} MiB"))
            }
            Self::DefineSecret(key) => {
                libvirt(format!("virSecretDefineXML {}", secret_xml(vm, *key)))
            }
            Self::SetSecret(key) => {
                libvirt(format!("virSecretSetValue {}", secret_usage(vm, *key)))
            }
            Self::UndefineSecret(key) => {
                libvirt(format!("virSecretUndefine {}", secret_usage(vm, *key)))
            }
        }
    }
}

fn native(interface: &str, call: String) -> NativeCall {
    NativeCall {
        interface: interface.to_owned(),
        call,
    }
}
