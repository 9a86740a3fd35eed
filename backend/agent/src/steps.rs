//! Turns an order into the steps that carry it out, each with its way back; decides nothing later.

mod control;
mod making;
mod modifying;
mod moving;

use crate::driver::{Act, ActKind, SavedDisk};
use crate::lending::{self, Volume};
use crate::lifecycle::after;
use crate::naming::Naming;
use crate::refusal::{Refusal, check_configuration, check_name, invalid, keys_of};
use crate::rotation::rotate;
use crate::scaling::scale;
use crate::shared::bases;
use crate::space::space_mib;
use crate::step::{Planned, Step, Undo};
use crate::tally::Tally;
use model::blueprint::Blueprint;
use model::configuration::Configuration;
use model::id::{KeyId, VmId};
use model::order::{Order, Passage, Storage, Verb};
use model::report::VmState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A VM of this node, as the orders that were carried out have left it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Record {
    /// What it is.
    pub blueprint: Blueprint,
    /// Its snapshots.
    pub snapshots: BTreeSet<String>,
    /// How often it has stopped and was rebooted.
    #[serde(default)]
    pub tally: Tally,
}

/// The node when an order's turn has come.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Where things are.
    pub naming: &'a Naming,
    /// The address on which the node listens for VMs that move here; `None`: none may.
    pub host: Option<&'a str>,
    /// Its VMs.
    pub vms: &'a BTreeMap<VmId, Record>,
    /// Its volumes that are lent to VMs.
    pub lent: &'a BTreeMap<VmId, Vec<Volume>>,
    /// Their states, as last seen; a VM that is not in here is not there.
    pub seen: &'a BTreeMap<VmId, VmState>,
    /// VMs that are there and do not answer.
    pub silent: &'a BTreeSet<VmId>,
    /// Disk space that is promised to nobody, in MiB.
    pub free_mib: u64,
    /// Whether the node may run highly available VMs.
    pub leased: bool,
}

/// The steps of an order; empty where its effect holds already.
///
/// # Errors
/// Where it cannot begin; nothing has happened then.
pub fn steps(order: &Order, now: Circumstances) -> Result<Vec<Planned>, Refusal> {
    let vm = order.vm;
    let asked_mib = space_mib(order, now.vms, now.lent);
    if asked_mib > now.free_mib {
        let free_mib = now.free_mib;
        return Err(Refusal::NoSpace {
            asked_mib,
            free_mib,
        });
    }
    let node = Planner { now, asked_mib };
    match &order.verb {
        Verb::Create { blueprint } => node.create(vm, blueprint),
        Verb::Delete => Ok(node.delete(vm)),
        Verb::Copy { to } => node.copy(vm, to),
        Verb::Scale { scale: to } => scale(node.record(vm)?, node.state(vm), to, now),
        Verb::Start
        | Verb::Stop { .. }
        | Verb::Pause
        | Verb::Resume
        | Verb::Reboot
        | Verb::Snapshot { .. }
        | Verb::Restore { .. }
        | Verb::DropSnapshot { .. } => node.control(vm, &order.verb),
        Verb::ReportStatistics => {
            node.record(vm)?;
            Ok(vec![plain(Step::Measure { vm })])
        }
        Verb::SaveImage { name, disks } => node.save_image(vm, name, disks),
        Verb::Configure { configuration } => node.configure(vm, configuration),
        Verb::RotateKey { from, to } => {
            rotate(node.record(vm)?, node.state(vm), (*from, *to), now.naming)
        }
        Verb::Modify { blueprint, way } => node.modify(vm, blueprint, *way),
        Verb::Receive {
            blueprint,
            storage,
            key,
            passage,
        } => node.receive(vm, blueprint, (*storage, *key), *passage),
        Verb::Migrate {
            address,
            storage,
            key,
            passage,
            ..
        } => match passage {
            Passage::Live => node.migrate(vm, address, *storage, *key),
            Passage::Cold { shutdown } => node.ship(vm, address, (*storage, *key), *shutdown),
        },
        Verb::Lend {
            volume,
            size_mib,
            key,
        } => {
            let volume = Volume {
                name: volume.clone(),
                size_mib: *size_mib,
            };
            let host = now.host.ok_or(Refusal::NoHost)?;
            lending::lend(vm, &volume, (node.lent(vm), now.naming), (host, *key))
        }
    }
}

/// VMs that an order touches; no other order does meanwhile.
pub fn vms_of(order: &Order) -> Vec<VmId> {
    match &order.verb {
        Verb::Copy { to } => vec![order.vm, to.vm],
        _ => vec![order.vm],
    }
}

/// A step that leaves nothing to undo and needs no keys.
pub fn plain(step: Step) -> Planned {
    with(step, Undo::Nothing)
}

/// A step that needs no keys.
pub fn with(step: Step, undo: Undo) -> Planned {
    Planned {
        step,
        keys: Vec::new(),
        undo,
    }
}

/// An act of the driver that needs keys.
pub fn act(vm: VmId, act: Act, keys: Vec<KeyId>, undo: Undo) -> Planned {
    Planned {
        step: Step::Act { vm, act },
        keys,
        undo,
    }
}

/// Undone by one act.
pub fn by_act(vm: VmId, act: Act) -> Undo {
    Undo::By {
        steps: vec![Step::Act { vm, act }],
    }
}

struct Planner<'a> {
    now: Circumstances<'a>,
    asked_mib: u64,
}

impl Planner<'_> {
    fn record(&self, vm: VmId) -> Result<&Record, Refusal> {
        self.now.vms.get(&vm).ok_or(Refusal::UnknownVm(vm))
    }

    fn state(&self, vm: VmId) -> Option<VmState> {
        let seen = self.now.seen.get(&vm).copied();
        // What does not answer runs, as far as anybody can tell.
        seen.or_else(|| self.now.silent.contains(&vm).then_some(VmState::Running))
    }

    fn delete(&self, vm: VmId) -> Vec<Planned> {
        let record = self.now.vms.get(&vm);
        let lent = lending::withdraw(vm, self.lent(vm), self.now.naming);
        if record.is_none() && self.state(vm).is_none() {
            return lent;
        }
        // Of a VM that only the driver knows, the folder alone tells what it has.
        let blueprint = record.map(|record| &record.blueprint);
        let mut steps = vec![act(vm, Act::Destroy, Vec::new(), Undo::AskAgain)];
        steps.extend(self.forget(vm, blueprint, Storage::Local));
        steps.extend(lent);
        steps
    }

    fn lent(&self, vm: VmId) -> &[Volume] {
        self.now.lent.get(&vm).map_or(&[], Vec::as_slice)
    }

    /// Takes away all that a VM has here but the driver's part; there is no way back.
    fn forget(&self, vm: VmId, blueprint: Option<&Blueprint>, storage: Storage) -> Vec<Planned> {
        let naming = self.now.naming;
        let mut steps = Vec::new();
        let interfaces = blueprint.map_or(&[][..], |b| &b.interfaces);
        for (place, interface) in interfaces.iter().enumerate() {
            steps.push(Step::Unplug {
                vm,
                interface: interface.clone(),
                plug: naming.plug(vm, place, interface),
            });
        }
        if storage == Storage::Local {
            if let Some(blueprint) = blueprint {
                let own = naming.disks_of(blueprint).iter();
                for disk in own.filter(|disk| !lending::is_remote(disk)) {
                    let path = naming.attached_disk(blueprint, disk).path;
                    steps.push(Step::Wipe { path });
                }
            }
            // Snapshots, copies and what a migration left lie beside the disks.
            steps.extend(give_back(vm, self.folders(vm)));
            if blueprint.is_none_or(|blueprint| bases(blueprint).next().is_some()) {
                steps.push(Step::LeaveBases { vm });
            }
        }
        steps
            .into_iter()
            .map(|step| with(step, Undo::Forward))
            .collect()
    }

    fn save_image(&self, vm: VmId, name: &str, disks: &[String]) -> Result<Vec<Planned>, Refusal> {
        let record = self.record(vm)?;
        check_name("name", name)?;
        after(self.state(vm), ActKind::SaveImage)?;
        let folder = self.now.naming.saved_folder(vm, name);
        let places = saved_disks(&record.blueprint, disks)?;
        let (mut saved, mut stores) = (Vec::new(), Vec::new());
        for place in places {
            let disk = &record.blueprint.disks[place].name;
            let file = folder.join(disk);
            stores.push(with(
                Step::Store {
                    disk: disk.clone(),
                    is_system: place == 0,
                    is_root: place == 0 && self.now.naming.moving_root(&record.blueprint).is_some(),
                    file: file.clone(),
                    name: match disks.is_empty() {
                        true => name.to_owned(),
                        false => format!("{name}-{disk}"),
                    },
                    arch: record.blueprint.arch,
                    guest: record.blueprint.guest,
                },
                Undo::AskAgain,
            ));
            let disk = disk.clone();
            saved.push(SavedDisk { disk, file });
        }
        let wipe = Step::Wipe {
            path: folder.clone(),
        };
        let mut steps = vec![
            with(
                Step::Reserve {
                    vm,
                    folders: vec![folder],
                    mib: self.asked_mib,
                },
                Undo::By {
                    steps: vec![wipe.clone()],
                },
            ),
            act(
                vm,
                Act::SaveImage { disks: saved },
                keys_of(&record.blueprint),
                Undo::Nothing,
            ),
        ];
        steps.extend(stores);
        steps.push(with(wipe, Undo::Forward));
        Ok(steps)
    }

    fn configure(&self, vm: VmId, configuration: &Configuration) -> Result<Vec<Planned>, Refusal> {
        self.record(vm)?;
        check_configuration(configuration)?;
        after(self.state(vm), ActKind::Configure)?;
        let keys = configuration.keys().into_iter().collect();
        let configuration = Box::new(configuration.clone());
        let act = self::act(vm, Act::Configure { configuration }, keys, Undo::AskAgain);
        Ok(vec![act])
    }

    fn check_lease(&self, blueprint: &Blueprint) -> Result<(), Refusal> {
        if blueprint.highly_available && !self.now.leased {
            return Err(Refusal::NoLease(blueprint.vm));
        }
        Ok(())
    }

    fn folders(&self, vm: VmId) -> Vec<PathBuf> {
        vec![
            self.now.naming.vm_folder(vm),
            self.now.naming.build_folder(vm),
        ]
    }
}

/// The places of the disks that are to be saved, in a VM's own order.
fn saved_disks(blueprint: &Blueprint, names: &[String]) -> Result<BTreeSet<usize>, Refusal> {
    let mut places = BTreeSet::new();
    for name in names {
        let place = blueprint.disks.iter().position(|disk| disk.name == *name);
        let place = place.ok_or_else(|| {
            let there: Vec<&str> = blueprint.disks.iter().map(|d| d.name.as_str()).collect();
            let expected = format!("one of {}", there.join(", "));
            invalid("disks", &format!("{name:?}"), &expected)
        })?;
        places.insert(place);
    }
    if names.is_empty() {
        places.insert(0);
    }
    for &place in &places {
        let disk = blueprint.disks.get(place);
        if disk.is_some_and(lending::is_remote) {
            let field = format!("disks[{place}].extents");
            let expected =
                "none: volumes of other nodes are not saved; hint: back it up from its guest";
            return Err(invalid(&field, "given", expected));
        }
        if disk.is_some_and(|disk| disk.encryption.is_some()) {
            let field = format!("disks[{place}].encryption");
            let expected = "none: its image would be readable by all who take it";
            return Err(invalid(&field, "given", expected));
        }
    }
    Ok(places)
}

/// Wipes all that is in these folders of a VM, and gives them back.
pub fn give_back(vm: VmId, folders: Vec<PathBuf>) -> Vec<Step> {
    let wipes = folders.iter().map(|path| Step::Wipe { path: path.clone() });
    let mut steps: Vec<Step> = wipes.collect();
    steps.push(Step::Release { vm, folders });
    steps
}
