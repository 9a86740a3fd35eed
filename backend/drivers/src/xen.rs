//! Xen: paravirtual guests, by its own toolstack `xl`, from within domain 0.
//!
//! ```text
//!  Act ──plan──▶ [Step] ──call──▶ what translate shows
//!                  └─────carry out─▶ exec (xl), signal, file
//! ```
//!
//! A VM's domain is known by its UUID, which is made of the VM's number; others are never touched.
//! Whoever acts holds the VM's lock, and so does every `xl` that changes something until it is done:
//! one that a killed agent has left running is waited for.
//!
//! - [`told`]: what xl prints, read
//! - [`config`]: a machine as xl is told of it
//! - `check`: what of a machine can be honoured
//! - `xl`: xl as a process
//! - `look`: a VM as it is
//! - `plan`: which steps an act comes to
//! - `snapshot`: the same for instants
//! - `step`: the steps as data
//! - [`console`]: where guests' consoles are written
//! - `probe`: whether Xen rules the node
//! - [`readings`]: what can be measured
//!
//! It does not migrate: xl moves domains by a remote shell of its own choice, which orders do not
//! name. A guest is asked to follow a change of vCPUs or memory, and one that does not has kept what it
//! had: Linux gives a vCPU by itself, and takes one that its user space brings online. Disks and interfaces keep their sizes and have no limits, as xl changes neither in a domain
//! that runs. No guest's own boot loader is read, for that is done by programs of domain 0.

mod check;
pub mod config;
pub mod console;
mod look;
mod plan;
mod probe;
pub mod readings;
mod snapshot;
mod step;
pub mod told;
mod xl;

use crate::folder::Folder;
use crate::hold::Hold;
use crate::recovery;
use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use look::{BEGUN, Look, MACHINE};
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Capability, Virtualisation};
use model::id::VmId;
use std::path::Path;
use step::{Step, Tools};
use xl::Xl;

/// The driver of one node.
#[derive(Clone, Debug)]
pub struct Xen {
    folder: Folder,
    xl: Xl,
}

impl Xen {
    /// Opens the driver over its folder; `program` is the toolstack's, as `xl`.
    ///
    /// # Errors
    /// Where the folder can neither be made nor read.
    pub fn open(root: &Path, program: &str) -> Result<Self, DriverError> {
        Ok(Self {
            folder: Folder::open(root)?,
            xl: Xl::new(program),
        })
    }

    fn machine(&self, vm: VmId) -> Result<Option<Machine>, DriverError> {
        self.folder.load(vm, MACHINE)
    }

    fn look(&self, vm: VmId) -> Result<Look, DriverError> {
        Look::at(&self.folder, vm, &look::domains(&self.xl)?)
    }

    fn tools(&self, vm: VmId) -> Tools<'_> {
        Tools {
            xl: &self.xl,
            folder: &self.folder,
            vm,
        }
    }

    fn carry_out(
        &self,
        vm: VmId,
        steps: &[Step],
        hold: &Hold,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        for step in steps {
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("go on", why))?;
            watch.calling(&step.call(self.tools(vm)));
            step.carry_out(self.tools(vm), hold, watch)?;
        }
        Ok(())
    }

    /// Lets a guest go on that a failed act has left at rest.
    fn wake(&self, vm: VmId, hold: &Hold) {
        // What failed first is the news; a guest that cannot be woken is seen as paused.
        if let Ok(look) = self.look(vm) {
            let steps = plan::waking_after_failure(&look);
            let _asleep = self.carry_out(vm, &steps, hold, &Unwatched);
        }
    }
}

impl Driver for Xen {
    fn name(&self) -> &str {
        "xen"
    }

    fn fingerprint(&self, _watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        let found = probe::probe(&self.xl)?;
        Ok(FoundHypervisor {
            driver: self.name().to_owned(),
            version: found.version,
            virtualisation: vec![Virtualisation::Para],
            native: vec![Arch::X86_64],
            emulated: Vec::new(),
            capabilities: self.capabilities(),
            evidence: found.evidence,
        })
    }

    fn capabilities(&self) -> Vec<Capability> {
        vec![
            Capability::Pause,
            Capability::Snapshot,
            Capability::ScaleCpu,
            Capability::ScaleMem,
            Capability::Console,
            Capability::Copy,
            Capability::SaveImage,
        ]
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        check::validate(machine)
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        let steps = plan::steps(self, vm, act)?;
        let call = |step: &Step| step.call(self.tools(vm));
        Ok(steps.iter().map(call).collect())
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        _keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let hold = Hold::take(&self.folder, vm, MACHINE, watch)?;
        if self.folder.of(vm).join(BEGUN).exists() {
            // Whoever was building a domain has gone, with or without having got there.
            let steps = plan::settling(&self.look(vm)?);
            self.carry_out(vm, &steps, &hold, watch)?;
        }
        let steps = plan::steps(self, vm, act)?;
        let done = self.carry_out(vm, &steps, &hold, watch);
        if done.is_err() {
            self.wake(vm, &hold);
        }
        done?;
        Ok(Effect {
            state: self.inspect(vm)?.map(|seen| seen.state),
            ..Effect::default()
        })
    }

    /// By Xen itself: whoever holds the VM, or is about to build it, is not waited for.
    fn halt(&self, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
        self.tools(vm).halt(watch)
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        if self.machine(vm)?.is_none() {
            return Ok(None); // nobody need ask Xen
        }
        Ok(self.look(vm)?.seen())
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        self.folder.vms(MACHINE)
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        readings::readings(&self.xl, &self.look(vm)?)
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        let domains = look::domains(&self.xl)?;
        Ok(recovery::all(&self.list()?, |vm, _| {
            Ok(Look::at(&self.folder, vm, &domains)?.seen())
        }))
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        let path = console::file(vm).ok_or_else(|| DriverError::Missing {
            what: "the log of guests' consoles".into(),
            hint: "run xenconsoled with --log=guest".into(),
        })?;
        Ok(Console::Log { path })
    }
}
