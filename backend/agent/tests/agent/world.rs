//! A modelled node: folders, files, taps, and the VMs of a driver. Every step has its effect in two
//! halves, and a kill may come between them.

use crate::noted::resize;
use crate::seals::Seals;
use agent::driver::Act;
use agent::driver::ActKind;
use agent::ledger::Ledger;
use agent::lifecycle::after;
use agent::machine::{Machine, Plug};
use agent::naming::Naming;
use agent::step::{Failure, FailureKind, Gained, KernelFiles, Place, SeenState, Step};
use model::blueprint::BootLoader;
use model::hypervisor::Virtualisation;
use model::id::VmId;
use model::report::VmState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All that outlives the agent but its journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// Folders that were reserved.
    pub folders: BTreeSet<PathBuf>,
    /// Files of VMs, and whether they are whole.
    pub files: BTreeMap<PathBuf, bool>,
    /// The keys that open encrypted disks.
    pub seals: Seals,
    /// Bases, and who stands on them.
    pub bases: BTreeMap<PathBuf, BTreeSet<VmId>>,
    /// Taps and bridge ends.
    pub plugs: BTreeSet<(VmId, String)>,
    /// VMs of the driver.
    pub vms: BTreeMap<VmId, Modelled>,
    /// Images that were saved.
    pub saved: BTreeSet<String>,
    /// VMs that run on another node.
    pub elsewhere: BTreeSet<VmId>,
    /// VMs whose sender was told where to send, and will.
    pub coming: BTreeSet<VmId>,
}

/// A VM of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Modelled {
    pub machine: Machine,
    pub state: VmState,
    pub snapshots: BTreeSet<String>,
    /// Whether it was given away: its receiver may run it, or will have dropped it.
    pub given: bool,
    /// Whether its receiver has said that it has taken it, and only its note is left.
    pub sent: bool,
}

impl World {
    /// What the driver tells after a restart.
    pub fn seen(&self) -> Vec<SeenState> {
        let states = self.vms.iter().map(|(&vm, modelled)| SeenState {
            vm,
            state: Some(modelled.state),
        });
        states.collect()
    }

    /// The first half of a step: what a kill within it leaves.
    pub fn begin(&mut self, step: &Step) {
        match step {
            Step::Reserve { folders, .. } => self.folders.extend(folders.first().cloned()),
            Step::Build { at, .. } => self.touch(at.clone()),
            Step::BuildBase { blueprint, at, .. } => self.stand(blueprint.vm, at),
            Step::Replicate { to, .. } => self.touch(to.path().clone()),
            Step::Blank { disk } => self.touch(disk.path.clone()),
            Step::Kernel { files, .. } => self.touch(files.kernel.clone()),
            Step::CopyFile { to, .. } => self.touch(to.clone()),
            Step::Wipe { path } => {
                if let Some(first) = self.below(path).first() {
                    self.files.insert(first.clone(), false);
                }
            }
            Step::Act { vm, act } => self.begin_act(*vm, act),
            Step::Await { vm } if self.coming.remove(vm) => {
                // It runs here, and never at the same time there.
                assert!(self.elsewhere.remove(vm), "{vm} came from nowhere");
                self.vm(*vm).state = VmState::Running;
            }
            _ => {}
        }
    }

    /// All of a step. `late`: it was called off, so that it only tells what holds already.
    pub fn end(&mut self, step: &Step, late: bool) -> Result<Gained, Failure> {
        let called_off = || {
            Err(Failure {
                kind: FailureKind::CalledOff,
                reason: "called off".to_owned(),
            })
        };
        match step {
            Step::Act { vm, act } => return self.end_act(*vm, act, late),
            Step::Await { vm } => {
                return if self.vm(*vm).state == VmState::Running {
                    Ok(self.told(&[*vm]))
                } else {
                    called_off()
                };
            }
            Step::Store { name, .. } if self.saved.contains(name) => {}
            _ if late => return called_off(),
            Step::Reserve { folders, .. } => self.folders.extend(folders.iter().cloned()),
            Step::Build { at, kernel, .. } => {
                self.make(at.clone());
                kernel.iter().for_each(|files| self.make_kernel(files));
            }
            Step::Replicate { from, to } => {
                assert_eq!(self.files.get(from), Some(&true), "replicated too early");
                self.make(to.path().clone());
                if let Place::Disk { disk } = to {
                    self.seals.format(disk);
                }
            }
            Step::Verify { built, place } => {
                for path in [built, place.path()] {
                    assert_eq!(self.files.get(path), Some(&true), "{}", path.display());
                }
            }
            Step::Blank { disk } => {
                self.make(disk.path.clone());
                self.seals.format(disk);
            }
            Step::Resize { disk } => self.make(disk.path.clone()),
            Step::AddKey { disk, key } => self.seals.add(disk, *key),
            Step::KeepKey { disk } => self.seals.keep(disk),
            Step::Kernel { files, .. } => self.make_kernel(files),
            Step::CopyFile { to, .. } => self.make(to.clone()),
            Step::Wipe { path } => {
                for file in self.below(path) {
                    self.files.remove(&file);
                    self.seals.wipe(&file);
                }
                self.folders.remove(path);
            }
            Step::Release { vm, folders } => {
                for folder in folders {
                    assert!(self.below(folder).is_empty(), "{vm}: released unwiped");
                    self.folders.remove(folder);
                }
            }
            Step::Plug { vm, plug, .. } => {
                self.plugs.insert((*vm, plug_name(plug)));
            }
            Step::Unplug { vm, plug, .. } => {
                self.plugs.remove(&(*vm, plug_name(plug)));
            }
            Step::Store { file, name, .. } => {
                assert_eq!(self.files.get(file), Some(&true), "stored too early");
                self.saved.insert(name.clone());
            }
            Step::BuildBase { blueprint, at, .. } => self.stand(blueprint.vm, at),
            Step::CheckBases { vm } => {
                let mut users = self.bases.values();
                assert!(users.any(|users| users.contains(vm)), "{vm} stands nowhere");
            }
            Step::LeaveBases { vm } => self.bases.retain(|_, users| {
                users.remove(vm);
                !users.is_empty()
            }),
            Step::Fetch { .. } | Step::Measure { .. } => {}
        }
        for modelled in self.vms.values() {
            self.seals.open(&modelled.machine);
        }
        Ok(Gained::default())
    }

    /// What breaks at its end. A VM that is sent has been given by then, and its receiver may have
    /// taken it, but has not been heard.
    pub fn break_off(&mut self, step: &Step) -> Failure {
        let mut kind = FailureKind::Broken;
        if let Step::Act {
            vm,
            act: Act::Send { .. },
        } = step
        {
            let modelled = self.vm(*vm);
            (modelled.state, modelled.given) = (VmState::Stopped, true);
            self.elsewhere.insert(*vm);
            kind = FailureKind::Unfinished;
        }
        let reason = "it broke".to_owned();
        Failure { kind, reason }
    }

    /// That the node holds what the ledger says, and nothing else.
    pub fn check(&self, ledger: &Ledger, naming: &Naming) {
        assert!(ledger.open.is_empty(), "open: {:?}", ledger.queue);
        let mut expected = World::default();
        for (&vm, record) in &ledger.vms {
            let blueprint = &record.blueprint;
            expected.folders.insert(naming.vm_folder(vm));
            for disk in naming.disks_of(blueprint) {
                expected.make(naming.attached_disk(blueprint, disk).path);
            }
            if blueprint.virtualisation == Virtualisation::Container {
                expected.make(naming.container_root(vm));
            } else if blueprint.boot == BootLoader::Direct {
                let files = naming.kernel(vm);
                expected.make(files.kernel);
                expected.make(files.initrd);
            }
            for disk in &blueprint.disks {
                if let Some(base) = naming.base(blueprint, disk) {
                    expected.bases.entry(base).or_default().insert(vm);
                }
            }
            for (place, interface) in blueprint.interfaces.iter().enumerate() {
                let name = plug_name(&naming.plug(vm, place, interface));
                expected.plugs.insert((vm, name));
            }
            let modelled = &self.vms[&vm];
            assert_eq!(modelled.machine, naming.machine(blueprint), "{vm}");
            self.seals.check(&modelled.machine);
            assert_eq!(modelled.snapshots, record.snapshots, "{vm}");
            assert!(!modelled.given, "{vm} was given away");
        }
        assert_eq!(self.folders, expected.folders, "folders");
        assert_eq!(self.files, expected.files, "files");
        assert_eq!(self.bases, expected.bases, "bases");
        assert_eq!(self.plugs, expected.plugs, "plugs");
        let known: Vec<&VmId> = ledger.vms.keys().collect();
        assert_eq!(self.vms.keys().collect::<Vec<_>>(), known, "VMs");
    }

    fn begin_act(&mut self, vm: VmId, act: &Act) {
        match act {
            Act::Copy { to } => {
                for disk in &to.disks {
                    self.touch(disk.path.clone());
                }
            }
            Act::SaveImage { file } => self.touch(file.clone()),
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

    fn end_act(&mut self, vm: VmId, act: &Act, late: bool) -> Result<Gained, Failure> {
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
            Act::SaveImage { file } => self.make(file.clone()),
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
        for disk in &machine.disks {
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

    fn told(&self, vms: &[VmId]) -> Gained {
        let states = vms.iter().map(|&vm| SeenState {
            vm,
            state: self.vms.get(&vm).map(|modelled| modelled.state),
        });
        Gained {
            states: states.collect(),
            ..Gained::default()
        }
    }

    fn vm(&mut self, vm: VmId) -> &mut Modelled {
        self.vms
            .get_mut(&vm)
            .unwrap_or_else(|| panic!("{vm} is not defined"))
    }

    fn stand(&mut self, vm: VmId, base: &Path) {
        self.bases.entry(base.to_owned()).or_default().insert(vm);
    }

    fn touch(&mut self, path: PathBuf) {
        self.files.entry(path).or_insert(false);
    }

    fn make(&mut self, path: PathBuf) {
        self.files.insert(path, true);
    }

    fn make_kernel(&mut self, files: &KernelFiles) {
        self.make(files.kernel.clone());
        self.make(files.initrd.clone());
    }

    fn below(&self, path: &PathBuf) -> Vec<PathBuf> {
        let files = self.files.keys().filter(|file| file.starts_with(path));
        files.cloned().collect()
    }
}

fn plug_name(plug: &Plug) -> String {
    format!("{plug:?}")
}
