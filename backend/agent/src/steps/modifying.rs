//! The steps of modifying a VM that is deployed: a modified disk is made beside its own and takes its
//! name.
//!
//! ```text
//!  in place    modify ──────────────────▶ swap ─▶ plug ─▶ define ──────────▶ wipe the old disk
//!  suspended   stop ─▶ modify ──────────▶ swap ─▶ plug ─▶ define ─▶ start ─▶ wipe the old disk
//!  duplicate   copy ─▶ modify ─▶ stop ──▶ swap ─▶ plug ─▶ define ─▶ start ─▶ wipe the old disk
//! ```
//! Until the wipe all of it can be undone. The swap is two plain renames, each of which may be repeated,
//! which no exchange of two names may: nobody has the disk open meanwhile.

use super::{Planner, act, by_act, plain, with};
use crate::driver::{Act, ActKind, SavedDisk};
use crate::lending::starting_keys;
use crate::lifecycle::after;
use crate::machine::DiskFormat;
use crate::modify::modification;
use crate::refusal::{Refusal, check_blueprint, invalid, keys_of};
use crate::shared::bases;
use crate::step::{Planned, Step, Undo};
use model::blueprint::Blueprint;
use model::id::VmId;
use model::order::{Shutdown, Way};
use model::report::VmState;
use std::path::Path;

impl Planner<'_> {
    pub(super) fn modify(
        &self,
        vm: VmId,
        to: &Blueprint,
        way: Way,
    ) -> Result<Vec<Planned>, Refusal> {
        let record = self.record(vm)?;
        let from = &record.blueprint;
        if to.vm != vm {
            return Err(Refusal::WrongVm {
                order: vm,
                blueprint: to.vm,
            });
        }
        check_blueprint(to)?;
        let added = modification(from, to)?.add;
        check_way(vm, self.state(vm), way)?;
        if from == to {
            return Ok(Vec::new());
        }
        if !record.snapshots.is_empty() {
            let count = record.snapshots.len();
            return Err(Refusal::KeepsSnapshots { vm, count });
        }
        let naming = self.now.naming;
        let (disk, keys) = (naming.attached_disk(from, &from.disks[0]), keys_of(from));
        let places = naming.modified(vm);
        let modify = |source: &Path| Planned {
            step: Step::Modify {
                from: source.to_owned(),
                at: places.made.clone(),
                disk: disk.clone(),
                before: Box::new(from.clone()),
                after: Box::new(to.clone()),
            },
            keys: disk.key.into_iter().collect(),
            undo: Undo::Nothing,
        };
        let mut steps = vec![self.workplace(vm)];
        if bases(from).next().is_some() {
            steps.push(plain(Step::CheckBases { vm }));
        }
        let images = added.into_iter().map(|image| Step::Fetch { image });
        steps.extend(images.map(plain));
        match way {
            Way::InPlace => steps.push(modify(&disk.path)),
            Way::Suspended { shutdown } => {
                self.check_lease(from)?;
                steps.extend([self.halt(vm, from, shutdown), modify(&disk.path)]);
            }
            Way::Duplicate { shutdown } => {
                self.check_lease(from)?;
                after(self.state(vm), ActKind::SaveImage)?;
                if disk.format != DiskFormat::Raw {
                    let expected = "raw: a duplicate is neither encrypted nor on a base; hint: modify it suspended";
                    return Err(invalid("disks[0]", disk.format.into(), expected));
                }
                let copy = SavedDisk {
                    disk: disk.name.clone(),
                    file: places.copy.clone(),
                };
                steps.push(act(
                    vm,
                    Act::SaveImage { disks: vec![copy] },
                    keys.clone(),
                    Undo::Nothing,
                ));
                steps.extend([modify(&places.copy), self.halt(vm, from, shutdown)]);
            }
        }
        steps.extend([
            renamed(&disk.path, &places.before),
            renamed(&places.made, &disk.path),
        ]);
        steps.extend(self.replugs(from, to));
        let machine = |blueprint| Box::new(naming.machine(blueprint));
        if machine(from) != machine(to) {
            let (there, back) = (machine(to), machine(from));
            let undo = by_act(vm, Act::Define { machine: back });
            let define = Act::Define { machine: there };
            steps.push(act(vm, define, keys.clone(), undo));
        }
        if way != Way::InPlace {
            let shutdown = Shutdown::Forced;
            let undo = by_act(vm, Act::Stop { shutdown });
            steps.push(act(vm, Act::Start, starting_keys(from), undo));
        }
        let path = naming.build_folder(vm);
        steps.push(with(Step::Wipe { path }, Undo::Forward));
        Ok(steps)
    }

    /// Room beside the VM's disks; its undoing wipes whatever later steps have put there.
    pub(super) fn workplace(&self, vm: VmId) -> Planned {
        let path = self.now.naming.build_folder(vm);
        let folders = vec![path.clone()];
        let steps = vec![Step::Wipe { path }];
        let mib = self.asked_mib;
        with(Step::Reserve { vm, folders, mib }, Undo::By { steps })
    }

    /// Shuts a VM down, which runs again whatever happens: not before there are the keys to start it.
    /// Its undoing stops it first, as a guest that was asked may go down later.
    fn halt(&self, vm: VmId, blueprint: &Blueprint, shutdown: Shutdown) -> Planned {
        let stop = Act::Stop { shutdown };
        let acts = [stop.clone(), Act::Start];
        let steps = acts.map(|act| Step::Act { vm, act }).to_vec();
        act(vm, stop, starting_keys(blueprint), Undo::By { steps })
    }

    /// The other ends of interfaces know the addresses that these may use.
    fn replugs(&self, from: &Blueprint, to: &Blueprint) -> Vec<Planned> {
        let vm = from.vm;
        let mut steps = Vec::new();
        let pairs = from.interfaces.iter().zip(&to.interfaces).enumerate();
        for (place, (old, new)) in pairs.filter(|(_, (old, new))| old != new) {
            let plug = |interface: &model::blueprint::Interface| Step::Plug {
                vm,
                interface: interface.clone(),
                plug: self.now.naming.plug(vm, place, interface),
            };
            let unplug = |interface: &model::blueprint::Interface| Step::Unplug {
                vm,
                interface: interface.clone(),
                plug: self.now.naming.plug(vm, place, interface),
            };
            let by = |step| Undo::By { steps: vec![step] };
            steps.push(with(unplug(old), by(plug(old))));
            steps.push(with(plug(new), by(unplug(new))));
        }
        steps
    }
}

fn renamed(from: &Path, to: &Path) -> Planned {
    let rename = |from: &Path, to: &Path| Step::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let steps = vec![rename(to, from)];
    with(rename(from, to), Undo::By { steps })
}

/// What can be done with a VM that does not run.
const NOT_RUNNING: &str = "start it first, or modify it in place while it is off";

fn check_way(vm: VmId, state: Option<VmState>, way: Way) -> Result<(), Refusal> {
    let (way, wanted, hint) = match way {
        Way::InPlace => (
            "in place",
            VmState::Stopped,
            "stop it first, or modify it suspended while it runs",
        ),
        Way::Suspended { .. } => ("suspended", VmState::Running, NOT_RUNNING),
        Way::Duplicate { .. } => ("on a duplicate", VmState::Running, NOT_RUNNING),
    };
    if state == Some(wanted) {
        return Ok(());
    }
    Err(Refusal::WrongWay {
        vm,
        way,
        state,
        hint,
    })
}
