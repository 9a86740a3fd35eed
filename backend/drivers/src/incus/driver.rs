//! What the agent asks of Incus.

use super::instance::{self, Instance, name};
use super::step::{FINGERPRINT, Step};
use super::{Incus, probe, readings, shaping};
use crate::process::{Process, kill_all};
use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::{Unwatched, Watch};
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::VmId;
use model::order::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

/// What Incus says of a container that ends as it looks at it.
const ENDS_MEANWHILE: &str = "Invalid PID";

/// A container's end takes the kernel less than this.
const ENDING_PATIENCE: Duration = Duration::from_secs(10);

/// How often Incus is asked whether one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Driver for Incus {
    fn name(&self) -> &str {
        "incus"
    }

    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        probe::probe(self, watch)
    }

    fn capabilities(&self) -> Vec<Capability> {
        let shapes = shaping::lacking().is_none();
        let mut capabilities = vec![
            Capability::Pause,
            Capability::Snapshot,
            Capability::ScaleCpu,
            Capability::ScaleMem,
            Capability::Console,
            Capability::Copy,
            Capability::SaveImage,
            Capability::ColdMigration,
        ];
        capabilities.extend(shapes.then_some(Capability::ScaleNet));
        capabilities
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        instance::validate(machine)
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        let steps = self.steps(vm, act)?;
        let call = |step: &Step| step.call(&self.api, FINGERPRINT);
        Ok(steps.iter().map(call).collect())
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        _keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let kills = Act::Stop {
            shutdown: Shutdown::Forced,
        };
        if (*act == Act::Destroy || *act == kills) && !self.operations(vm, watch)?.is_empty() {
            // A guest that is deaf to a stop that was called off would hold it up for as long as it likes.
            self.halt(vm, watch)?;
        }
        self.settle(vm, watch)?;
        self.carry_out(&self.steps(vm, act)?, watch)?;
        Ok(Effect {
            state: self.inspect(vm)?.map(|seen| seen.state),
            ..Effect::default()
        })
    }

    /// By the container's first process, with which the kernel ends all others of it: a request to
    /// stop would wait for whatever Incus does for somebody else. Incus itself takes note of it.
    fn halt(&self, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
        let path = format!("instances/{}/state", name(vm));
        let begun = Instant::now();
        let told = || {
            let told = loop {
                match self.api.read(&path, watch) {
                    Err(DriverError::Hypervisor { said, .. })
                        if said.contains(ENDS_MEANWHILE) && begun.elapsed() < ENDING_PATIENCE => {}
                    told => break told?,
                }
                thread::sleep(LOOK_EVERY);
            };
            let first = told.and_then(|told| u32::try_from(told["pid"].as_i64()?).ok());
            // Without one it is told to be 0, or -1.
            Ok::<_, DriverError>(first.filter(|pid| *pid > 0))
        };
        while let Some(pid) = told()? {
            let first = Process::of(pid);
            // An id that is told once more was nobody else's when its process was looked at.
            if told()? != Some(pid) {
                continue;
            }
            let Some(first) = first else {
                return Ok(());
            };
            kill_all(|| Vec::from_iter(Some(first.clone()).filter(Process::runs)))?;
        }
        Ok(())
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        Ok(self.instance(vm)?.as_ref().map(Instance::seen))
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        Ok(self.recover()?.iter().map(|seen| seen.vm).collect())
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        let machine = self.machine(vm)?;
        let below = format!("instances/{}/state", name(vm));
        let state = self.api.read(&below, &Unwatched)?.unwrap_or_default();
        Ok(readings::readings(&machine, &state))
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        let told = self.api.read("instances?recursion=1", &Unwatched)?;
        let told = told.unwrap_or_default();
        let instances = told.as_array().into_iter().flatten();
        let mut seen: Vec<_> = instances
            .filter_map(Instance::parse)
            .map(|instance| instance.seen())
            .collect();
        seen.sort_unstable_by_key(|seen| seen.vm);
        Ok(seen)
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        self.machine(vm)?;
        Ok(Console::Log {
            path: self.logs(vm).join("console.log"),
        })
    }
}
