//! Modelled hands, for tests and for the simulated world: what the steps of orders do to a node's
//! folders, files, taps and VMs, where nothing is real. Every step has its effect in two halves, and a
//! kill may come between them. What no agent may ever do is an assertion.

mod acts;
mod held;
mod noted;
mod seals;

use crate::driver::Act;
use crate::machine::Machine;
use crate::step::{Failure, FailureKind, Gained, KernelFiles, Place, SeenState, Step};
use held::plug_name;
use model::blueprint::Interface;
use model::id::{KeyId, VmId};
use model::report::VmState;
pub use seals::Seals;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All that outlives the agent but its journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hands {
    /// Folders that were reserved.
    pub folders: BTreeSet<PathBuf>,
    /// Files of VMs, and whether they are whole.
    pub files: BTreeMap<PathBuf, bool>,
    /// The keys that open encrypted disks.
    pub seals: Seals,
    /// Those of them that were modified.
    pub modified: BTreeSet<PathBuf>,
    /// Bases, and who stands on them.
    pub bases: BTreeMap<PathBuf, BTreeSet<VmId>>,
    /// Taps and bridge ends, each with what it was plugged in for.
    pub plugs: BTreeMap<(VmId, String), Interface>,
    /// VMs of the driver.
    pub vms: BTreeMap<VmId, Modelled>,
    /// Images that were saved.
    pub saved: BTreeSet<String>,
    /// VMs that run on another node.
    pub elsewhere: BTreeSet<VmId>,
    /// VMs whose sender has heard where to, and sends.
    pub coming: BTreeSet<VmId>,
    /// VMs that stand still and are to come, and whether they have been taken.
    pub book: BTreeMap<VmId, bool>,
    /// Volumes that are served to VMs of other nodes, by their keys.
    pub served: BTreeMap<PathBuf, KeyId>,
}

/// A VM of the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Modelled {
    /// As its driver was told.
    pub machine: Machine,
    /// Its state.
    pub state: VmState,
    /// Its snapshots.
    pub snapshots: BTreeSet<String>,
    /// Whether it was given away: its receiver may run it, or will have dropped it.
    pub given: bool,
    /// Whether its receiver has said that it has taken it, and only its note is left.
    pub sent: bool,
}

impl Hands {
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
            Step::Unpack { to, .. } => self.touch(to.clone()),
            Step::CopyFile { to, .. } => self.touch(to.clone()),
            Step::Modify { at, .. } => self.touch(at.with_extension("part")),
            Step::Wipe { path } | Step::Clear { path } => {
                if let Some(first) = self.below(path).first() {
                    self.files.insert(first.clone(), false);
                }
            }
            Step::Act { vm, act } => self.begin_act(*vm, act),
            Step::Fill { to, .. } => {
                self.served.insert(to.path.clone(), to.extents[0].key);
            }
            Step::Arrive { vm, .. } if self.coming.remove(vm) => {
                assert!(self.elsewhere.remove(vm), "{vm} came from nowhere");
                assert_eq!(self.book.insert(*vm, true), Some(false), "{vm}");
            }
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
            Step::Arrive { vm, .. } => {
                if self.book.get(vm) != Some(&true) {
                    self.book.remove(vm);
                    return called_off();
                }
            }
            // Whoever calls it off, its receiver is asked what it has done.
            Step::Cede { vm, .. } => {
                self.shipped(*vm);
                let modelled = self.vm(*vm);
                (modelled.given, modelled.sent) = (true, true);
                self.elsewhere.insert(*vm);
                self.book.remove(vm);
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
            Step::Unpack { from, to } => {
                assert_eq!(self.files.get(from), Some(&true), "unpacked too early");
                self.make(to.clone());
            }
            Step::CopyFile { to, .. } => self.make(to.clone()),
            Step::Modify { from, at, .. } => {
                assert_eq!(self.files.get(from), Some(&true), "modified too early");
                let open = self.vms.values().find(|modelled| {
                    modelled.state != VmState::Stopped
                        && modelled.machine.disks.iter().any(|disk| disk.path == *from)
                });
                assert_eq!(open, None, "modified while it was open");
                self.files.remove(&at.with_extension("part"));
                self.make(at.clone());
                self.modified.insert(at.clone());
            }
            Step::Rename { from, to } => match self.files.remove(from) {
                Some(whole) => {
                    let replaced = self.files.insert(to.clone(), whole);
                    assert_eq!(replaced, None, "{} was lost", to.display());
                    if self.modified.remove(from) {
                        self.modified.insert(to.clone());
                    }
                }
                None => assert!(self.files.contains_key(to), "{} is gone", from.display()),
            },
            Step::Wipe { path } | Step::Clear { path } => {
                for file in self.below(path) {
                    assert!(
                        !self.served.contains_key(&file),
                        "wiped while it was served"
                    );
                    self.modified.remove(&file);
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
            Step::Plug {
                vm,
                interface,
                plug,
            } => {
                let place = (*vm, plug_name(plug));
                self.plugs.insert(place, interface.clone());
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
            Step::Expect { machine, disks, .. } => {
                for disk in disks {
                    assert_eq!(self.files.get(&disk.path), Some(&true), "{disk:?}");
                }
                self.book.insert(machine.vm, false);
                return Ok(Gained {
                    listening: Some(format!("somewhere:{}", machine.vm.0)),
                    ..Gained::default()
                });
            }
            Step::Dismiss { vm } => {
                // One that was taken may be of an earlier move.
                self.book.retain(|of, taken| of != vm || *taken);
            }
            Step::Ship { vm, .. } => self.shipped(*vm),
            Step::Lend { volume, key, .. } => {
                assert_eq!(self.files.get(&volume.path), Some(&true), "lent too early");
                self.served.insert(volume.path.clone(), *key);
                return Ok(Gained {
                    listening: Some(format!("somewhere:{}", volume.name)),
                    ..Gained::default()
                });
            }
            Step::Withdraw { volume, .. } => {
                self.served.remove(&volume.path);
            }
            Step::Fill { from, to, .. } => {
                assert_eq!(self.files.get(from), Some(&true), "copied too early");
                self.served.remove(&to.path);
            }
            Step::Fetch { .. } | Step::Knock { .. } | Step::Measure { .. } => {}
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
        if let Step::Cede { vm, .. } = step {
            self.vm(*vm).given = true;
            self.elsewhere.insert(*vm);
            kind = FailureKind::Unfinished;
        }
        let reason = "it broke".to_owned();
        Failure { kind, reason }
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

    /// A VM that is there.
    ///
    /// # Panics
    /// Where it is not.
    pub fn vm(&mut self, vm: VmId) -> &mut Modelled {
        self.vms
            .get_mut(&vm)
            .unwrap_or_else(|| panic!("{vm} is not defined"))
    }

    /// What goes to another node stands still.
    fn shipped(&mut self, vm: VmId) {
        assert_eq!(self.vm(vm).state, VmState::Stopped, "{vm} runs");
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
