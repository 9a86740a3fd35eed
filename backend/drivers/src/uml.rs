//! User-mode Linux: a paravirtual Linux kernel that is a process of the node.
//!
//! ```text
//!  Act ──plan──▶ [Step] ──call──▶ what translate shows
//!                  └─────carry out─▶ exec, mconsole, signal, file
//! ```
//!
//! - `machine`: what of a machine it can honour, and the words in which the kernel is told
//! - `step`: the calls as data
//! - `run`: the processes of one guest, found again by a lock that they hold
//! - `registers`: lets kernels run on processors that have more registers than they know
//! - `mconsole`: the kernel's management console
//! - `probe`: a guest of 200 bytes that shows whether guests run here
//! - `readings`: what can be measured
//!
//! It lacks what the kernel lacks: no snapshot and no migration, for nothing can save a guest's
//! memory; one processor; disks of a fixed size without limits.

mod machine;
mod mconsole;
mod probe;
mod readings;
mod registers;
mod run;
mod step;

use crate::admission::{Admitted, admit};
use crate::folder::Folder;
use crate::process::kill_all;
use crate::recovery;
use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::Watch;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
pub use registers::Registers;
use run::Run;
use std::path::{Path, PathBuf};
use std::time::Duration;
use step::{MACHINE, Step};

/// A guest that is rebooted gets this long for its own shutdown; then its plug is pulled.
const REBOOT_PATIENCE: Duration = Duration::from_secs(30);

/// The driver of one node.
#[derive(Clone, Debug)]
pub struct Uml {
    root: PathBuf,
    folder: Folder,
    program: PathBuf,
    registers: Registers,
}

impl Uml {
    /// Opens the driver over its folder; `program` is the kernel that a probe boots.
    ///
    /// # Errors
    /// Where the folder can neither be made nor read.
    pub fn open(root: &Path, program: &Path) -> Result<Self, DriverError> {
        Ok(Self {
            root: root.to_owned(),
            folder: Folder::open(root)?,
            program: program.to_owned(),
            registers: Registers::of_this_node(),
        })
    }

    /// The same driver, whose guests keep other registers than this node calls for.
    pub fn with_registers(self, registers: Registers) -> Self {
        Self { registers, ..self }
    }

    fn run(&self, vm: VmId) -> Run {
        Run::of(self.folder.of(vm), vm)
    }

    fn machine(&self, vm: VmId) -> Result<Machine, DriverError> {
        let machine = self.folder.load(vm, MACHINE)?;
        machine.ok_or_else(|| DriverError::Hypervisor {
            doing: format!("read {MACHINE} of {vm}"),
            said: "it has gone".into(),
        })
    }

    /// The steps of an act that was let through.
    fn plan(&self, vm: VmId, act: &Act, admitted: Admitted) -> Result<Vec<Step>, DriverError> {
        let state = admitted.state();
        match act {
            Act::Define { machine } => Ok(vec![Step::Remember(machine.clone())]),
            Act::Start if state == Some(VmState::Running) => self.completing(vm),
            Act::Start => {
                let mut steps = self.ending(vm, state)?;
                steps.extend(self.beginning(&self.machine(vm)?)?);
                Ok(steps)
            }
            Act::Stop { shutdown } => {
                let mut steps = match (state, shutdown) {
                    (Some(VmState::Paused), Shutdown::Asked { .. }) => vec![Step::Thaw],
                    _ => Vec::new(),
                };
                steps.extend(asking(state, *shutdown));
                steps.extend(self.ending(vm, state)?);
                Ok(steps)
            }
            Act::Destroy => {
                let mut steps = self.ending(vm, state)?;
                if self.folder.of(vm).exists() {
                    steps.push(Step::Forget);
                }
                Ok(steps)
            }
            Act::Reboot => {
                let patience = REBOOT_PATIENCE;
                let mut steps = vec![Step::Ask { patience }];
                steps.extend(self.ending(vm, state)?);
                steps.extend(self.beginning(&self.machine(vm)?)?);
                Ok(steps)
            }
            Act::Pause if state == Some(VmState::Paused) => Ok(vec![Step::ForgetFreeze]),
            Act::Pause => Ok(vec![Step::Freeze]),
            Act::Resume if state == Some(VmState::Running) => Ok(Vec::new()),
            Act::Resume => Ok(vec![Step::Thaw, Step::ForgetFreeze]),
            Act::Copy { to } => self.copying(vm, to, state),
            Act::SaveImage { file } => {
                let machine = self.machine(vm)?;
                let first = machine.disks.first().ok_or_else(|| DriverError::Invalid {
                    field: "disks".into(),
                    found: "none".into(),
                    expected: "a disk to save".into(),
                })?;
                let copy = Step::CopyFile {
                    from: first.path.clone(),
                    to: file.clone(),
                };
                Ok(self.at_rest(vm, state, vec![copy]))
            }
            Act::Scale {
                scale: Scale::Mem { mem_mib },
            } => self.scaling(vm, *mem_mib, state),
            Act::Scale { .. }
            | Act::Snapshot { .. }
            | Act::Restore { .. }
            | Act::DropSnapshot { .. }
            | Act::Configure { .. }
            | Act::Receive { .. }
            | Act::Send { .. } => unreachable!("admission refuses what is not declared"),
        }
    }

    /// Nothing of the guest lives, nor is left.
    fn ending(&self, vm: VmId, state: Option<VmState>) -> Result<Vec<Step>, DriverError> {
        let run = self.run(vm);
        let mut steps = Vec::new();
        if run.lives()? {
            steps.push(Step::Kill);
        }
        if !matches!(state, None | Some(VmState::Stopped)) {
            steps.extend([Step::Sweep, Step::ForgetFreeze]);
        }
        Ok(steps)
    }

    /// The guest boots and has the memory that it is to have.
    fn beginning(&self, machine: &Machine) -> Result<Vec<Step>, DriverError> {
        let run = self.run(machine.vm);
        let kernel = machine::kernel(machine, &run, self.registers);
        let mut steps = vec![Step::Boot {
            command: run.command(&kernel),
        }];
        steps.extend(taking(machine, machine.mem_mib));
        Ok(steps)
    }

    /// What a start that was cut short, or a reboot by the guest itself, left undone.
    fn completing(&self, vm: VmId) -> Result<Vec<Step>, DriverError> {
        let machine = self.machine(vm)?;
        if step::given_mib(vm, &self.folder, &self.run(vm))?.is_some() {
            return Ok(Vec::new());
        }
        let mut steps = vec![Step::GiveAll {
            mem_mib: machine.max_mem_mib,
        }];
        steps.extend(taking(&machine, machine.mem_mib));
        Ok(steps)
    }

    /// Steps that read the disks, with the guest frozen where it runs.
    fn at_rest(&self, vm: VmId, state: Option<VmState>, steps: Vec<Step>) -> Vec<Step> {
        let running = state == Some(VmState::Running);
        if !running && !step::is_frozen_by_driver(vm, &self.folder) {
            return steps;
        }
        let before = [Step::NoteFreeze, Step::Freeze];
        let after = [Step::Thaw, Step::ForgetFreeze];
        before.into_iter().chain(steps).chain(after).collect()
    }

    fn copying(
        &self,
        vm: VmId,
        to: &Machine,
        state: Option<VmState>,
    ) -> Result<Vec<Step>, DriverError> {
        if let Some(there) = self.folder.load::<Machine>(to.vm, MACHINE)? {
            if there == *to {
                return Ok(Vec::new()); // the copy is there, and may have changed its disks since
            }
            return Err(DriverError::Illegal {
                vm: to.vm,
                act: "be copied to".into(),
                state: "another VM".into(),
            });
        }
        let from = self.machine(vm)?;
        if from.disks.len() != to.disks.len() {
            return Err(DriverError::Invalid {
                field: "disks".into(),
                found: to.disks.len().to_string(),
                expected: format!("as many as {vm} has, {}", from.disks.len()),
            });
        }
        let files = from.disks.iter().zip(&to.disks);
        let mut steps: Vec<_> = files
            .map(|(from, to)| Step::CopyFile {
                from: from.path.clone(),
                to: to.path.clone(),
            })
            .collect();
        steps.push(Step::Remember(Box::new(to.clone())));
        Ok(self.at_rest(vm, state, steps))
    }

    /// The kernel takes memory by differences only, and does not tell how much it has; so a guest
    /// gets all back first, which may be repeated.
    fn scaling(
        &self,
        vm: VmId,
        mem_mib: u32,
        state: Option<VmState>,
    ) -> Result<Vec<Step>, DriverError> {
        let mut machine = self.machine(vm)?;
        if mem_mib > machine.max_mem_mib {
            return Err(DriverError::Invalid {
                field: "mem_mib".into(),
                found: mem_mib.to_string(),
                expected: format!("at most max_mem_mib, {}", machine.max_mem_mib),
            });
        }
        machine.mem_mib = mem_mib;
        let mut steps = Vec::new();
        if state == Some(VmState::Running) {
            let run = self.run(vm);
            let now = step::given_mib(vm, &self.folder, &run)?.unwrap_or(machine.max_mem_mib);
            if mem_mib < now {
                steps.push(Step::Spare {
                    mem_mib: now - mem_mib,
                });
            }
            steps.push(Step::GiveAll {
                mem_mib: machine.max_mem_mib,
            });
            steps.extend(taking(&machine, mem_mib));
        }
        steps.push(Step::Remember(Box::new(machine)));
        Ok(steps)
    }
}

/// A guest that has all its memory is left with this much.
fn taking(machine: &Machine, mem_mib: u32) -> Vec<Step> {
    let taken = machine.max_mem_mib - mem_mib;
    let take = (taken > 0).then_some(Step::Take { mem_mib: taken });
    take.into_iter()
        .chain([Step::RememberGiven { mem_mib }])
        .collect()
}

/// A guest that can hear is asked.
fn asking(state: Option<VmState>, shutdown: Shutdown) -> Option<Step> {
    let hears = matches!(state, Some(VmState::Running | VmState::Paused));
    match shutdown {
        Shutdown::Asked { patience_millis } if hears => Some(Step::Ask {
            patience: Duration::from_millis(patience_millis.into()),
        }),
        _ => None,
    }
}

impl Driver for Uml {
    fn name(&self) -> &str {
        "uml"
    }

    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        let found = probe::probe(&self.root, &self.program, self.registers, watch)?;
        Ok(FoundHypervisor {
            driver: self.name().to_owned(),
            version: found.version,
            virtualisation: vec![model::hypervisor::Virtualisation::Para],
            native: vec![model::hypervisor::Arch::X86_64],
            emulated: Vec::new(),
            capabilities: self.capabilities(),
            evidence: found.evidence,
        })
    }

    fn capabilities(&self) -> Vec<Capability> {
        vec![
            Capability::Pause,
            Capability::ScaleMem,
            Capability::Console,
            Capability::Copy,
            Capability::SaveImage,
        ]
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        machine::validate(machine, &self.run(machine.vm))
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        let steps = self.plan(vm, act, admit(self, vm, act)?)?;
        let run = self.run(vm);
        let call = |step: &Step| step.call(vm, &self.folder, &run);
        Ok(steps.iter().map(call).collect())
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        _keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let run = self.run(vm);
        run.settle(watch)?;
        let admitted = admit(self, vm, act)?;
        for step in self.plan(vm, act, admitted)? {
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("go on", why))?;
            watch.calling(&step.call(vm, &self.folder, &run));
            step.carry_out(vm, &self.folder, &run, self.registers, watch)?;
        }
        Ok(Effect {
            state: self.inspect(vm)?.map(|seen| seen.state),
            ..Effect::default()
        })
    }

    fn halt(&self, vm: VmId, _watch: &dyn Watch) -> Result<(), DriverError> {
        kill_all(|| self.run(vm).processes())
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        let Some(machine) = self.folder.load::<Machine>(vm, MACHINE)? else {
            return Ok(None);
        };
        let run = self.run(vm);
        let state = run.state()?;
        let mem_mib = match state {
            VmState::Running | VmState::Paused => {
                step::given_mib(vm, &self.folder, &run)?.unwrap_or(machine.max_mem_mib)
            }
            _ => machine.mem_mib,
        };
        Ok(Some(Seen {
            vm,
            state,
            cpus: Some(machine.cpus),
            mem_mib: Some(mem_mib),
        }))
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        self.folder.vms(MACHINE)
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        let machine = self.machine(vm)?;
        readings::readings(&machine, &self.run(vm))
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        Ok(recovery::all(&self.list()?, |vm, _| self.inspect(vm)))
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        self.machine(vm)?;
        Ok(Console::Log {
            path: self.run(vm).console(),
        })
    }
}
