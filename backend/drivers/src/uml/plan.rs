//! Which steps an act comes to.

use super::step::{self, MACHINE, Step};
use super::{Uml, machine};
use crate::admission::{Admitted, admit};
use crate::copying;
use agent::driver::{Act, Driver, DriverError};
use agent::machine::Machine;
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use std::time::Duration;

/// A guest that is rebooted gets this long for its own shutdown; then its plug is pulled.
const REBOOT_PATIENCE: Duration = Duration::from_secs(30);

impl Uml {
    /// The steps of an act, if it may be: a reboot that was cut short goes on where it was.
    pub(super) fn steps(&self, vm: VmId, act: &Act) -> Result<Vec<Step>, DriverError> {
        let cut_short = step::is_rebooting(vm, &self.folder);
        let state = self.inspect(vm)?.map(|seen| seen.state);
        let has_ended = matches!(state, Some(VmState::Stopped | VmState::Failed));
        if cut_short && has_ended && *act == Act::Reboot {
            return self.booting_again(vm, state);
        }
        let planned = self.plan(vm, act, admit(self, vm, act)?)?;
        // Any other act takes the VM as it stands.
        let forget = (cut_short && *act != Act::Reboot).then_some(Step::ForgetReboot);
        Ok(forget.into_iter().chain(planned).collect())
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
                let mut steps = vec![Step::NoteReboot, Step::Ask { patience }];
                steps.extend(self.booting_again(vm, state)?);
                Ok(steps)
            }
            Act::Pause if state == Some(VmState::Paused) => Ok(vec![Step::ForgetFreeze]),
            Act::Pause => Ok(vec![Step::Freeze]),
            Act::Resume if state == Some(VmState::Running) => Ok(Vec::new()),
            Act::Resume => Ok(vec![Step::Thaw, Step::ForgetFreeze]),
            Act::Copy { to } => self.copying(vm, to, state),
            Act::SaveImage { disks } => {
                let machine = self.machine(vm)?;
                let saved = copying::saved(&machine, disks)?.into_iter();
                let copies = saved.map(|(place, file)| Step::CopyFile {
                    from: machine.disks[place].path.clone(),
                    to: file.clone(),
                });
                Ok(self.at_rest(vm, state, copies.collect()))
            }
            Act::Scale {
                scale: Scale::Mem { mem_mib },
            } => self.scaling(vm, *mem_mib, state),
            Act::Scale { .. }
            | Act::Snapshot { .. }
            | Act::Restore { .. }
            | Act::DropSnapshot { .. }
            | Act::Configure { .. }
            | Act::Rekey { .. }
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

    /// The second half of a reboot.
    fn booting_again(&self, vm: VmId, state: Option<VmState>) -> Result<Vec<Step>, DriverError> {
        let mut steps = self.ending(vm, state)?;
        steps.extend(self.beginning(&self.machine(vm)?)?);
        steps.push(Step::ForgetReboot);
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
        if copying::is_there(self.folder.load(to.vm, MACHINE)?.as_ref(), to)? {
            return Ok(Vec::new());
        }
        let files = copying::files(&self.machine(vm)?, to)?.into_iter();
        let mut steps: Vec<_> = files
            .map(|(from, to)| Step::CopyFile { from, to })
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
