//! The steps of orders that move a VM between nodes, running or standing still.
//!
//! ```text
//!  sender                                      receiver
//!                                              reserve, blank, plug
//!                                              expect: from here on it listens
//!  knock                                       arrive ┐
//!  stop, where it runs                                │
//!  ship ─────── disks, by TLS with the key ──────────▶│
//!  cede ─────── the word ────────────────────────────▶│ `taken` is written
//!       ◀────── answer ───────────────────────────────┘
//!  destroy, wipe                               define, start where it ran
//! ```
//! That is a VM that stands still: who may run it when, whatever dies, is in [`crate::handover`]. The
//! beginning of `cede` in the journal is the sender's *given*. A container's root is saved as a tar stream
//! before it is shipped, and unpacked before it is defined.

use super::making::fetches;
use super::{Planner, act, by_act, plain, with};
use crate::driver::{Act, ActKind, SavedDisk};
use crate::lending::refuse_remote;
use crate::lifecycle::{Illegal, after};
use crate::machine::AttachedDisk;
use crate::refusal::{Refusal, invalid, keys_of};
use crate::step::{Planned, Step, Undo};
use model::blueprint::Blueprint;
use model::id::{KeyId, VmId};
use model::order::{Passage, Shutdown, Storage};
use model::report::VmState;

/// Why a VM with disks on other nodes stays where it is.
const NOT_MOVED: &str = "are not handed over; hint: create it on the other node with the same volumes, \
                         once it is stopped here for good";

impl Planner<'_> {
    pub(super) fn receive(
        &self,
        vm: VmId,
        blueprint: &Blueprint,
        (storage, key): (Storage, KeyId),
        passage: Passage,
    ) -> Result<Vec<Planned>, Refusal> {
        self.check_new(vm, blueprint)?;
        refuse_remote(blueprint, NOT_MOVED)?;
        self.check_lease(blueprint)?;
        let host = self.now.host.ok_or(Refusal::NoHost)?;
        let disks = match passage {
            Passage::Live => self.disks(blueprint, storage),
            Passage::Cold { .. } => self.shipped(blueprint, storage)?,
        };
        let mut steps = Vec::new();
        if storage == Storage::Local {
            let folders = match self.now.naming.moving_root(blueprint) {
                Some(_) => self.folders(vm),
                None => vec![self.now.naming.vm_folder(vm)],
            };
            steps.push(self.reserve(vm, folders));
            steps.extend(fetches(blueprint));
            for disk in self.now.naming.disks_of(blueprint) {
                steps.extend(self.base(blueprint, disk));
            }
            steps.extend(disks.iter().map(|disk| Planned {
                keys: disk.key.into_iter().collect(),
                step: Step::Blank { disk: disk.clone() },
                undo: Undo::Nothing,
            }));
            steps.extend(self.kernel(blueprint));
        }
        steps.extend(self.plugs(blueprint));
        let machine = Box::new(self.now.naming.machine(blueprint));
        if let Passage::Cold { shutdown } = passage {
            let expect = Step::Expect {
                machine: machine.clone(),
                disks: disks.clone(),
                host: host.to_owned(),
                key,
            };
            let undo = Undo::By {
                steps: vec![Step::Dismiss { vm }],
            };
            steps.extend([
                keyed(expect, key, undo),
                keyed(Step::Arrive { vm, disks, key }, key, Undo::AskAgain),
            ]);
            let keys = keys_of(blueprint);
            let define = Act::Define { machine };
            steps.extend(self.unpack(blueprint));
            steps.push(act(vm, define, keys.clone(), Undo::Forward));
            steps.extend(self.drop_root(blueprint, Undo::Forward));
            let start = shutdown.map(|_| act(vm, Act::Start, keys, Undo::Forward));
            steps.extend(start);
            return Ok(steps);
        }
        let receive = Act::Receive {
            machine,
            storage,
            host: host.to_owned(),
            key,
        };
        let undo = by_act(vm, Act::Destroy);
        let mut keys = keys_of(blueprint);
        keys.push(key);
        steps.push(act(vm, receive, keys, undo));
        steps.push(with(Step::Await { vm }, Undo::AskAgain));
        Ok(steps)
    }

    pub(super) fn migrate(
        &self,
        vm: VmId,
        address: &str,
        storage: Storage,
        key: KeyId,
    ) -> Result<Vec<Planned>, Refusal> {
        let record = self.record(vm)?;
        refuse_remote(&record.blueprint, NOT_MOVED)?;
        after(self.state(vm), ActKind::Send)?;
        if !record.snapshots.is_empty() {
            let count = record.snapshots.len();
            let what = "cannot move";
            return Err(Refusal::HasSnapshots { vm, count, what });
        }
        let send = Act::Send {
            address: address.to_owned(),
            storage,
            key,
        };
        let mut keys = keys_of(&record.blueprint);
        keys.push(key);
        let mut steps = vec![
            act(vm, send, keys, Undo::AskAgain),
            act(vm, Act::Destroy, Vec::new(), Undo::Forward),
        ];
        steps.extend(self.forget(vm, Some(&record.blueprint), storage));
        Ok(steps)
    }

    /// Moves a VM that stands still, or is shut down for it.
    pub(super) fn ship(
        &self,
        vm: VmId,
        address: &str,
        (storage, key): (Storage, KeyId),
        shutdown: Option<Shutdown>,
    ) -> Result<Vec<Planned>, Refusal> {
        let record = self.record(vm)?;
        refuse_remote(&record.blueprint, NOT_MOVED)?;
        let state = self.state(vm);
        if shutdown.is_some() {
            after(state, ActKind::Stop)?;
        } else if state != Some(VmState::Stopped) {
            let act = ActKind::Send;
            return Err(Illegal { act, state }.into());
        }
        if !record.snapshots.is_empty() {
            let count = record.snapshots.len();
            let what = "cannot move";
            return Err(Refusal::HasSnapshots { vm, count, what });
        }
        let disks = self.shipped(&record.blueprint, storage)?;
        let root = self.now.naming.moving_root(&record.blueprint);
        let address = address.to_owned();
        let mut steps = vec![plain(Step::Knock {
            vm,
            address: address.clone(),
        })];
        steps.extend(root.iter().map(|_| self.workplace(vm)));
        if let Some(shutdown) = shutdown {
            let undo = match state {
                Some(VmState::Running | VmState::Paused) => by_act(vm, Act::Start),
                _ => Undo::Nothing,
            };
            let keys = keys_of(&record.blueprint);
            steps.push(act(vm, Act::Stop { shutdown }, keys, undo));
        }
        let saves = root.map(|root| {
            let (disk, file) = (root.name, root.path);
            let disks = vec![SavedDisk { disk, file }];
            Act::SaveImage { disks }
        });
        steps.extend(saves.map(|save| act(vm, save, Vec::new(), Undo::Nothing)));
        let ship = Step::Ship {
            vm,
            disks,
            address: address.clone(),
            key,
        };
        let cede = Step::Cede { vm, address, key };
        steps.extend([
            keyed(ship, key, Undo::Nothing),
            keyed(cede, key, Undo::AskAgain),
            act(vm, Act::Destroy, Vec::new(), Undo::Forward),
        ]);
        steps.extend(self.forget(vm, Some(&record.blueprint), storage));
        Ok(steps)
    }

    /// Makes the root folder of a container that has come.
    fn unpack(&self, blueprint: &Blueprint) -> Vec<Planned> {
        let naming = self.now.naming;
        let steps = naming.moving_root(blueprint).map(|root| {
            let unpack = Step::Unpack {
                from: root.path,
                to: naming.container_root(blueprint.vm),
            };
            let path = naming.build_folder(blueprint.vm);
            [unpack, Step::Wipe { path }]
        });
        let steps = steps.into_iter().flatten();
        steps.map(|step| with(step, Undo::Forward)).collect()
    }

    /// What goes over the network with a VM as its disks.
    fn shipped(
        &self,
        blueprint: &Blueprint,
        storage: Storage,
    ) -> Result<Vec<AttachedDisk>, Refusal> {
        let root = self.now.naming.moving_root(blueprint);
        if root.is_some() && storage == Storage::Shared {
            let expected = "local: a container's root is its hypervisor's";
            return Err(invalid("storage", "shared", expected));
        }
        let disks = self.disks(blueprint, storage).into_iter();
        Ok(root.into_iter().chain(disks).collect())
    }

    /// The disks of a VM that its other node does not have.
    fn disks(&self, blueprint: &Blueprint, storage: Storage) -> Vec<AttachedDisk> {
        let naming = self.now.naming;
        let disks = match storage {
            Storage::Local => naming.disks_of(blueprint),
            Storage::Shared => &[],
        };
        let disks = disks.iter();
        disks
            .map(|disk| naming.attached_disk(blueprint, disk))
            .collect()
    }
}

/// A step that needs the key of its move.
fn keyed(step: Step, key: KeyId, undo: Undo) -> Planned {
    let keys = vec![key];
    Planned { step, keys, undo }
}
