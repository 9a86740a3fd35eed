//! The steps of orders that make a VM on this node: create and copy.

use super::{Planner, act, by_act, give_back, plain, with};
use crate::driver::{Act, ActKind};
use crate::lending::{is_built, is_remote, refuse_remote, volume_keys};
use crate::lifecycle::after;
use crate::naming::Roots;
use crate::refusal::{Refusal, check_blueprint, invalid, keys_of};
use crate::step::{Place, Planned, Step, Undo};
use model::blueprint::{Blueprint, BootLoader, Disk};
use model::hypervisor::Virtualisation;
use model::id::{KeyId, VmId};
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Planner<'_> {
    pub(super) fn create(&self, vm: VmId, blueprint: &Blueprint) -> Result<Vec<Planned>, Refusal> {
        self.check_new(vm, blueprint)?;
        let mut steps = vec![self.reserve(vm, self.folders(vm))];
        steps.extend(fetches(blueprint));
        for (index, disk) in blueprint.disks.iter().enumerate() {
            steps.extend(self.disk(blueprint, index, disk));
        }
        steps.push(plain(Step::Wipe {
            path: self.now.naming.build_folder(vm),
        }));
        steps.extend(self.plugs(blueprint));
        let machine = Box::new(self.now.naming.machine(blueprint));
        let define = Act::Define { machine };
        steps.push(act(
            vm,
            define,
            keys_of(blueprint),
            by_act(vm, Act::Destroy),
        ));
        steps.extend(self.drop_root(blueprint, Undo::Nothing));
        Ok(steps)
    }

    /// Wipes the root folder of a container that the hypervisor has its own copy of.
    pub(super) fn drop_root(&self, blueprint: &Blueprint, undo: Undo) -> Option<Planned> {
        let container = blueprint.virtualisation == Virtualisation::Container;
        let dropped = container && self.now.naming.roots == Roots::Copied;
        let path = self.now.naming.container_root(blueprint.vm);
        dropped.then(|| with(Step::Wipe { path }, undo))
    }

    /// One disk, or a container's root folder, from its image to where it stays.
    fn disk(&self, blueprint: &Blueprint, index: usize, disk: &Disk) -> Vec<Planned> {
        let naming = self.now.naming;
        let vm = blueprint.vm;
        let container = blueprint.virtualisation == Virtualisation::Container;
        let attached = naming.attached_disk(blueprint, disk);
        let keys: Vec<KeyId> = attached.key.into_iter().collect();
        if is_remote(disk) {
            return self.fill(blueprint, disk);
        }
        let root = container && index == 0;
        if !root && !is_built(disk) {
            return vec![Planned {
                step: Step::Blank { disk: attached },
                keys,
                undo: Undo::Nothing,
            }];
        }
        let mut steps = self.base(blueprint, disk);
        let base = attached.base.clone();
        let built = naming.built(vm, &disk.name);
        let place = if root {
            let path = naming.container_root(vm);
            Place::Folder { path }
        } else {
            Place::Disk { disk: attached }
        };
        steps.push(Planned {
            step: Step::Build {
                blueprint: Box::new(blueprint.clone()),
                disk: disk.name.clone(),
                at: built.clone(),
                base,
                kernel: (index == 0 && boots_directly(blueprint)).then(|| naming.kernel(vm)),
            },
            keys: disk.encryption.iter().map(|e| e.key).collect(),
            undo: Undo::Nothing,
        });
        steps.push(Planned {
            step: Step::Replicate {
                from: built.clone(),
                to: place.clone(),
            },
            keys: keys.clone(),
            undo: Undo::Nothing,
        });
        steps.push(Planned {
            step: Step::Verify {
                built: built.clone(),
                place,
            },
            keys,
            undo: Undo::Nothing,
        });
        steps.push(plain(Step::Wipe { path: built }));
        steps
    }

    /// A disk of other nodes' volumes, which are zeros as they were lent: built beside and copied there.
    fn fill(&self, blueprint: &Blueprint, disk: &Disk) -> Vec<Planned> {
        if !is_built(disk) {
            return Vec::new();
        }
        let vm = blueprint.vm;
        let from = self.now.naming.built(vm, &disk.name);
        let to = self.now.naming.attached_disk(blueprint, disk);
        let build = Step::Build {
            blueprint: Box::new(blueprint.clone()),
            disk: disk.name.clone(),
            at: from.clone(),
            base: None,
            kernel: None,
        };
        // It may be larger than its own node, so that its holes are never filled.
        let clear = |path| Step::Clear { path };
        let undo_build = Undo::By {
            steps: vec![clear(self.now.naming.build_folder(vm))],
        };
        // Whoever dies while it is served leaves its server.
        let withdraw = Step::Withdraw {
            vm,
            volume: to.clone(),
        };
        let undo = Undo::By {
            steps: vec![withdraw],
        };
        let cleared = clear(from.clone());
        let fill = Planned {
            step: Step::Fill { vm, from, to },
            keys: volume_keys(disk),
            undo,
        };
        vec![with(build, undo_build), fill, plain(cleared)]
    }

    pub(super) fn copy(&self, vm: VmId, to: &Blueprint) -> Result<Vec<Planned>, Refusal> {
        let from = &self.record(vm)?.blueprint;
        self.check_new(to.vm, to)?;
        let what = "are not copied; hint: lend it volumes of its own and create it";
        refuse_remote(from, what)?;
        refuse_remote(to, what)?;
        let shape = |blueprint: &Blueprint| -> Vec<(String, u64)> {
            let disks = blueprint.disks.iter();
            disks.map(|d| (d.name.clone(), d.size_mib)).collect()
        };
        if shape(from) != shape(to) {
            let (found, expected) = (format!("{:?}", shape(to)), format!("{:?}", shape(from)));
            return Err(invalid("disks", &found, &expected));
        }
        after(self.state(vm), ActKind::Copy)?;
        let mut steps = vec![self.reserve(to.vm, vec![self.now.naming.vm_folder(to.vm)])];
        if boots_directly(to) {
            let (here, there) = (self.now.naming.kernel(vm), self.now.naming.kernel(to.vm));
            let pairs = [(here.kernel, there.kernel), (here.initrd, there.initrd)];
            for (from, to) in pairs {
                steps.push(plain(Step::CopyFile { from, to }));
            }
        }
        for disk in self.now.naming.disks_of(to) {
            steps.extend(self.base(to, disk));
        }
        steps.extend(self.plugs(to));
        let keys: BTreeSet<KeyId> = keys_of(from).into_iter().chain(keys_of(to)).collect();
        let machine = Box::new(self.now.naming.machine(to));
        steps.push(act(
            vm,
            Act::Copy { to: machine },
            keys.into_iter().collect(),
            by_act(to.vm, Act::Destroy),
        ));
        Ok(steps)
    }

    pub(super) fn check_new(&self, vm: VmId, blueprint: &Blueprint) -> Result<(), Refusal> {
        if blueprint.vm != vm {
            return Err(Refusal::WrongVm {
                order: vm,
                blueprint: blueprint.vm,
            });
        }
        if self.now.vms.contains_key(&vm) || self.now.seen.contains_key(&vm) {
            return Err(Refusal::VmExists(vm));
        }
        check_blueprint(blueprint)?;
        for interface in &blueprint.interfaces {
            let owner = self.now.vms.values().find(|record| {
                let others = &record.blueprint.interfaces;
                others.iter().any(|other| other.mac == interface.mac)
            });
            if let Some(owner) = owner {
                return Err(Refusal::MacTaken {
                    mac: interface.mac,
                    vm: owner.blueprint.vm,
                });
            }
        }
        Ok(())
    }

    /// Room for a new VM; its undoing wipes whatever later steps have put there.
    pub(super) fn reserve(&self, vm: VmId, folders: Vec<PathBuf>) -> Planned {
        let undo = Undo::By {
            steps: give_back(vm, folders.clone()),
        };
        let mib = self.asked_mib;
        with(Step::Reserve { vm, folders, mib }, undo)
    }

    pub(super) fn base(&self, blueprint: &Blueprint, disk: &Disk) -> Vec<Planned> {
        let base = self.now.naming.base(blueprint, disk);
        let step = base.map(|at| Step::BuildBase {
            blueprint: Box::new(blueprint.clone()),
            disk: disk.name.clone(),
            at,
        });
        let leave = Step::LeaveBases { vm: blueprint.vm };
        let undo = Undo::By { steps: vec![leave] };
        let planned = step.map(|step| with(step, undo));
        planned.into_iter().collect()
    }

    pub(super) fn kernel(&self, blueprint: &Blueprint) -> Vec<Planned> {
        let image = blueprint.disks.first().and_then(|disk| disk.image.clone());
        let image = image.filter(|_| boots_directly(blueprint));
        let step = image.map(|_| Step::Kernel {
            blueprint: Box::new(blueprint.clone()),
            files: self.now.naming.kernel(blueprint.vm),
        });
        step.map(plain).into_iter().collect()
    }

    pub(super) fn plugs(&self, blueprint: &Blueprint) -> Vec<Planned> {
        let vm = blueprint.vm;
        let interfaces = blueprint.interfaces.iter().enumerate();
        let steps = interfaces.map(|(place, interface)| {
            let plug = self.now.naming.plug(vm, place, interface);
            let interface = interface.clone();
            let undo = Step::Unplug {
                vm,
                interface: interface.clone(),
                plug: plug.clone(),
            };
            let step = Step::Plug {
                vm,
                interface,
                plug,
            };
            with(step, Undo::By { steps: vec![undo] })
        });
        steps.collect()
    }
}

fn boots_directly(blueprint: &Blueprint) -> bool {
    blueprint.boot == BootLoader::Direct && blueprint.virtualisation != Virtualisation::Container
}

pub(super) fn fetches(blueprint: &Blueprint) -> Vec<Planned> {
    let images = blueprint.disks.iter().filter_map(|disk| disk.image.clone());
    let images: BTreeSet<String> = images.chain(blueprint.customisation.add.clone()).collect();
    let steps = images.into_iter().map(|image| Step::Fetch { image });
    steps.map(plain).collect()
}
