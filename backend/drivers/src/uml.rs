//! User-mode Linux: a paravirtual Linux kernel that is a process of the node.
//!
//! ```text
//!  Act ──plan──▶ [Step] ──call──▶ what translate shows
//!                  └─────carry out─▶ exec, mconsole, signal, file
//! ```
//!
//! - `machine`: what of a machine it can honour, and the words in which the kernel is told
//! - `plan`: which steps an act comes to
//! - `step`: the calls as data
//! - `run`: the processes of one guest, found again by a lock that they hold
//! - `registers`: lets kernels run on processors that have more registers than they know
//! - `mconsole`: the kernel's management console
//! - `probe`: a guest of 200 bytes that shows whether guests run here
//! - `readings`: what can be measured
//!
//! It lacks what the kernel lacks: no snapshot and no live migration, for nothing can save a guest's
//! memory; one processor; disks of a fixed size without limits.

mod machine;
mod mconsole;
mod plan;
mod probe;
mod readings;
mod registers;
mod run;
mod step;

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
use model::report::VmState;
pub use registers::Registers;
use run::Run;
use std::path::{Path, PathBuf};
use step::{MACHINE, Step};

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
            Capability::ColdMigration,
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
        let steps = self.steps(vm, act)?;
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
        for step in self.steps(vm, act)? {
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
