//! What a modelled driver does to its VMs.

use super::noted::resize;
use super::{Hands, Modelled};
use crate::driver::{Act, ActKind};
use crate::lifecycle::after;
use crate::machine::Machine;
use crate::step::{Failure, FailureKind, Gained};
use model::id::VmId;
use model::report::VmState;
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Hands {
    pub(super) fn begin_act(&mut self, vm: VmId, act: &Act) {
        match act {
            Act::Copy { to } => {
                for disk in &to.disks {
                    self.touch(disk.path.clone());
                }
            }
            Act::SaveImage { disks } => {
                for saved in disks {
                    self.touch(saved.file.clone());
                }
            }
            Act::Snapshot { name } => {
                self.vm(vm).snapshots.insert(name.clone());
            }
            Act::Start if self.vm(vm).state == VmState::Stopped => {
                self.vm(vm).state = VmState::Starting;
            }
            Act::Stop { .. } | Act::Reboot if self.vm(vm).state != VmState::Stopped => {
                self.vm(vm).state = VmState::Stopping;
            }
            Act::Destroy => {
                if let Some(modelled) = self.vms.get_mut(&vm) {
                    modelled.state = VmState::Failed;
                }
            }
            Act::Send { .. } if !self.vm(vm).given => self.vm(vm).state = VmState::Migrating,
            _ => {}
        }
    }

    pub(super) fn end_act(&mut self, vm: VmId, act: &Act, late: bool) -> Result<Gained, Failure> {
        let before = self.vms.get(&vm).map(|modelled| modelled.state);
        if late {
            // What has begun and cannot be taken back is carried through; a move can be.
            let through = match act {
                Act::Send { .. } => self.vm(vm).given,
                Act::Stop { .. } | Act::Reboot => before == Some(VmState::Stopping),
                Act::Destroy => before.is_none_or(|state| state == VmState::Failed),
                Act::DropSnapshot { name } => !self.vm(vm).snapshots.contains(name),
                _ => false,
            };
            if !through {
                if before == Some(VmState::Migrating) && matches!(act, Act::Send { .. }) {
                    self.vm(vm).state = VmState::Running;
                }
                return Err(Failure {
                    kind: FailureKind::CalledOff,
                    reason: "called off".to_owned(),
                });
            }
        }
        let mut touched = vec![vm];
        let mut listening = None;
        match act {
            Act::Define { machine } => self.define(vm, machine, VmState::Stopped),
            Act::Receive { machine, .. } => {
                self.define(vm, machine, VmState::Migrating);
                listening = Some(format!("somewhere:{}", vm.0));
            }
            Act::Copy { to } => {
                for disk in &to.disks {
                    self.make(disk.path.clone());
                    self.seals.format(disk);
                }
                self.define(to.vm, to, VmState::Stopped);
                touched.push(to.vm);
            }
            Act::Destroy => {
                let gone = self.vms.remove(&vm);
                let heard = gone.is_none_or(|modelled| modelled.given == modelled.sent);
                assert!(heard, "{vm} is gone before its receiver has answered");
            }
            Act::Start | Act::Reboot => {
                assert!(!self.elsewhere.contains(&vm), "{vm} runs twice");
                self.vm(vm).state = VmState::Running;
            }
            Act::Stop { .. } => self.vm(vm).state = VmState::Stopped,
            Act::Pause => self.vm(vm).state = VmState::Paused,
            Act::Resume => self.vm(vm).state = VmState::Running,
            Act::Snapshot { name } => {
                self.vm(vm).snapshots.insert(name.clone());
            }
            Act::DropSnapshot { name } => {
                self.vm(vm).snapshots.remove(name);
            }
            Act::Restore { name } => assert!(self.vm(vm).snapshots.contains(name)),
            Act::SaveImage { disks } => {
                for saved in disks {
                    self.make(saved.file.clone());
                }
            }
            Act::Configure { .. } => {}
            Act::Scale { scale } => resize(&mut self.vm(vm).machine, scale),
            Act::Rekey { old, new } => self.vm(vm).machine.rekey(*old, *new),
            Act::Send { .. } => {
                let modelled = self.vm(vm);
                modelled.state = VmState::Stopped;
                (modelled.given, modelled.sent) = (true, true);
                self.elsewhere.insert(vm);
            }
        }
        let kind = ActKind::from(act);
        if let Ok(then) = after(before, kind) {
            assert_eq!(self.vms.get(&vm).map(|m| m.state), then, "{kind} {vm}");
        }
        Ok(Gained {
            listening,
            ..self.told(&touched)
        })
    }

    fn define(&mut self, vm: VmId, machine: &Machine, state: VmState) {
        for disk in machine.disks.iter().filter(|disk| disk.extents.is_empty()) {
            assert_eq!(self.files.get(&disk.path), Some(&true), "{vm}: {disk:?}");
            let based = |base: &PathBuf| self.bases.get(base).is_some_and(|b| b.contains(&vm));
            assert!(disk.base.as_ref().is_none_or(based), "{vm}: {disk:?}");
        }
        let modelled = Modelled {
            machine: machine.clone(),
            state,
            snapshots: BTreeSet::new(),
            given: false,
            sent: false,
        };
        self.vms.insert(vm, modelled);
    }
}
