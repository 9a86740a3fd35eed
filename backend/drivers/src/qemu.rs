//! QEMU over QMP: full virtualisation, by KVM where that really works and by emulation elsewhere.
//!
//! ```text
//!  perform ── holds the VM ─▶ admit ─▶ look ─▶ plan: steps as data ─▶ runner ─▶ qemu, qemu-img, ip, tc
//!  translate ──────────────────────────┴─────────┴─▶ the same steps, told          └▶ QMP socket `qmp`
//!  inspect, statistics ────────────────┴────────────────────────────────────────────▶ QMP socket `look`
//! ```
//!
//! A VM's folder is all that is remembered of it: its machine, its process, its sockets and logs.
//! QEMU runs in the background and outlives whoever started it. It locks a file of its own as long
//! as it lives, and until it does so it holds the lock of the agent that started it; so a VM never
//! has two, whoever was killed when.
//!
//! A guest sees virtio devices. Its memory is laid out for the most that it may be scaled to, and a
//! balloon takes back what it has not; a guest without that driver keeps all of it.

mod arrival;
mod check;
mod command_line;
mod disks;
mod guest_agent;
mod leftover;
mod look;
mod migration;
mod power;
mod probe;
mod qmp;
mod record;
mod runner;
mod scale;
mod secure;
mod snapshot;
mod statistics;
mod step;
mod until;

pub use probe::kvm_works;

use crate::admission::{Admitted, admit};
use crate::folder::Folder;
use crate::handover::door::Door;
use crate::hold::Hold;
use crate::outside::Hasty;
use crate::process::kill_all;
use crate::recovery;
use crate::volume::Servers;
use agent::driver::{Act, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::Watch;
use arrival::Arrivals;
use look::Look;
use migration::Coming;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Capability};
use model::id::VmId;
use model::order::Shutdown;
use record::Move;
use runner::{Answers, Runner};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use step::Plan;

/// QEMU answers within microseconds; an order that ends it waits no longer than this for one that
/// does not.
const FROZEN_PATIENCE: Duration = Duration::from_secs(10);

/// What it can do beyond the mandatory part.
const CAPABILITIES: &[Capability] = &[
    Capability::Pause,
    Capability::Snapshot,
    Capability::LiveMigration,
    Capability::ColdMigration,
    Capability::ScaleCpu,
    Capability::ScaleMem,
    Capability::ScaleDisk,
    Capability::ScaleNet,
    Capability::Console,
    Capability::Copy,
    Capability::SaveImage,
    Capability::Configure,
    Capability::RotateKey,
];

/// QEMU on this node.
pub struct Qemu {
    folder: Folder,
    /// Whether KVM works here, once somebody had to know.
    kvm: OnceLock<bool>,
    /// Where senders say that a VM may run, once there is one to come.
    door: Mutex<Option<Door>>,
    /// Whether what former agents left was ended.
    has_recovered: AtomicBool,
    /// How other nodes' volumes are joined to disks; `None`: they are not.
    servers: Option<Servers>,
}

impl Qemu {
    /// Opens the folder of this driver; VMs that it holds are there again, running or not.
    ///
    /// # Errors
    /// Where the folder can neither be made nor read, or its path is too long for sockets in it.
    pub fn open(root: &Path) -> Result<Self, DriverError> {
        let folder = Folder::open(root)?;
        record::sockets_fit(folder.root())?;
        Ok(Self {
            folder,
            kvm: OnceLock::new(),
            door: Mutex::default(),
            has_recovered: AtomicBool::new(false),
            servers: None,
        })
    }

    /// One that gives VMs disks that lie on other nodes, by servers that are started so.
    pub fn with_servers(self, servers: Servers) -> Self {
        Self {
            servers: Some(servers),
            ..self
        }
    }

    /// Whether guests of an instruction set run on the node's own processor.
    fn accelerates(&self, arch: Arch) -> bool {
        arch.to_string() == std::env::consts::ARCH
            && *self.kvm.get_or_init(|| probe::kvm_works(arch))
    }

    fn plan(&self, vm: VmId, act: &Act) -> Result<Plan, DriverError> {
        let look = Look::at(&self.folder, vm)?;
        let there = || {
            look.as_ref().ok_or_else(|| DriverError::Illegal {
                vm,
                act: agent::driver::ActKind::from(act).to_string(),
                state: "absent".to_owned(),
            })
        };
        match act {
            Act::Define { machine } => power::define(machine, look.as_ref()),
            Act::Start => power::start(self, there()?),
            Act::Stop { shutdown } => Ok(power::stop(there()?, *shutdown)),
            Act::Destroy => Ok(power::destroy(look.as_ref())),
            Act::Reboot => Ok(power::reboot()),
            Act::Pause => Ok(power::pause(there()?)),
            Act::Resume => Ok(power::resume(there()?)),
            Act::Snapshot { name } => snapshot::keep(self, there()?, name),
            Act::Restore { name } => snapshot::restore(self, there()?, name),
            Act::DropSnapshot { name } => snapshot::drop(self, there()?, name),
            Act::Copy { to } => disks::copy(self, there()?, to),
            Act::SaveImage { disks } => disks::save_image(there()?, disks),
            Act::Scale { scale } => scale::scale(self, there()?, scale),
            Act::Configure { configuration } => Ok(guest_agent::configure(configuration)),
            Act::Rekey { old, new } => Ok(power::rekey(there()?, *old, *new)),
            Act::Receive {
                machine,
                storage,
                host,
                key,
            } => {
                let coming = Coming {
                    machine,
                    storage: *storage,
                    host,
                    key: *key,
                };
                migration::receive(self, look.as_ref(), &coming)
            }
            Act::Send {
                address,
                storage,
                key,
            } => migration::send(self, there()?, address, *storage, *key),
        }
    }

    /// Refuses what cannot be done. A VM that has gone may be sent again, so that a killed agent
    /// learns how the first time ended.
    fn admitted(&self, vm: VmId, act: &Act) -> Result<Admitted, DriverError> {
        if matches!(act, Act::Send { .. })
            && let Some(look) = Look::at(&self.folder, vm)?
            && look.is_sent()
        {
            return Ok(Admitted {
                now: Some(look.seen),
                then: Some(look.seen.state),
            });
        }
        admit(self, vm, act)
    }
}

impl Qemu {
    /// A QEMU that answers nobody is ended where its end is wanted anyway. One that a VM is to come
    /// to is stopped by no order, only by one that forgets the VM.
    fn end_frozen(&self, vm: VmId, act: &Act, watch: &dyn Watch) -> Result<(), DriverError> {
        let shutdown = Shutdown::Forced;
        let receives = || {
            let place = self.folder.load::<Move>(vm, record::MOVE);
            !matches!(
                place,
                Ok(None | Some(Move::Sending { .. } | Move::Sent { .. }))
            )
        };
        let ends = *act == Act::Destroy || (*act == Act::Stop { shutdown } && !receives());
        if !ends {
            return Ok(());
        }
        let hasty = Hasty {
            until: Instant::now() + FROZEN_PATIENCE,
            watch,
        };
        if Look::under(&self.folder, vm, &hasty).is_err() {
            let go_on = watch.checkpoint();
            go_on.map_err(|why| DriverError::called_off("look at the VM", why))?;
            self.halt(vm, watch)?;
        }
        Ok(())
    }
}

impl Driver for Qemu {
    fn name(&self) -> &str {
        "qemu"
    }

    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        probe::fingerprint(self, watch)
    }

    fn capabilities(&self) -> Vec<Capability> {
        let remote = self.servers.as_ref().map(|_| Capability::RemoteDisks);
        CAPABILITIES.iter().copied().chain(remote).collect()
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        check::machine(machine)
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        self.admitted(vm, act)?;
        Ok(self.plan(vm, act)?.told())
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let hold = Hold::take(&self.folder, vm, record::MACHINE, watch)?;
        self.end_frozen(vm, act, watch)?;
        match act.needs() {
            Some(Capability::Snapshot) => leftover::end_snapshot(&self.folder, vm, watch)?,
            Some(Capability::Copy | Capability::SaveImage) => {
                leftover::end_copies(&self.folder, vm, watch)?;
            }
            _ => {}
        }
        let admitted = self.admitted(vm, act)?;
        let plan = self.plan(vm, act)?;
        let mut runner = Runner {
            folder: &self.folder,
            vm,
            hold: &hold,
            keys,
            watch,
            door: &self.door,
            qmp: None,
            guest: None,
            line: None,
        };
        let answers = runner.run(&plan);
        let answers = answers.map_err(|error| match act {
            Act::Send { .. } => migration::unfinished(&self.folder, vm, error),
            _ => error,
        })?;
        effect(self, vm, act, &admitted, &answers)
    }

    fn halt(&self, vm: VmId, _watch: &dyn Watch) -> Result<(), DriverError> {
        kill_all(|| record::all(&self.folder, vm))
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        Ok(Look::at(&self.folder, vm)?.map(|look| look.seen))
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        self.folder.vms(record::MACHINE)
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        statistics::readings(&self.folder, vm)
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        // What was to come while there was no driver may ask.
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.is_none() {
            *door = Door::reopen(&self.folder, Arc::new(Arrivals(self.folder.clone())))?;
        }
        drop(door);
        let is_first = !self.has_recovered.swap(true, Ordering::Relaxed);
        Ok(recovery::all(&self.list()?, |vm, watch| {
            let look = Look::under(&self.folder, vm, watch)?;
            if is_first {
                // What is copied for nobody any more would fill files that are to be wiped.
                leftover::end_copies(&self.folder, vm, watch)?;
            }
            Ok(look.map(|look| look.seen))
        }))
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        let log = self.folder.of(vm).join(record::CONSOLE_LOG);
        if record::running(&self.folder, vm)?.is_some() {
            return Ok(Console::Socket {
                path: self.folder.of(vm).join(record::CONSOLE),
                log: Some(log),
            });
        }
        if log.exists() {
            return Ok(Console::Log { path: log });
        }
        Err(DriverError::Illegal {
            vm,
            act: "show its console".to_owned(),
            state: "not started".to_owned(),
        })
    }
}

fn effect(
    qemu: &Qemu,
    vm: VmId,
    act: &Act,
    admitted: &Admitted,
    answers: &Answers,
) -> Result<Effect, DriverError> {
    let mut effect = Effect {
        state: admitted.then,
        ..Effect::default()
    };
    match act {
        Act::Receive { host, .. } => effect.listening = migration::listening(host, answers),
        Act::Send { .. } => effect.downtime_millis = migration::downtime(&qemu.folder, vm)?,
        _ => {}
    }
    Ok(effect)
}
