//! The plug-in that turns acts into one hypervisor's own calls.
//!
//! A driver has one door, [`Driver::perform`], over a closed list of [`Act`]s: the same list is what
//! a driver outside the agent receives as framed JSON, what the conformance suite walks through,
//! and what [`Driver::translate`] shows to the admin.

mod error;

pub use error::DriverError;

use crate::machine::Machine;
use crate::secret::Keys;
use crate::watch::Watch;
use model::configuration::Configuration;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::{KeyId, VmId};
use model::order::{Scale, Shutdown, Storage};
use model::report::VmState;
use model::sample::{Metric, Source, Subject};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A disk on its way to become an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDisk {
    /// The disk's name.
    pub disk: String,
    /// The file to make; a raw disk, or a tar stream of a container's root.
    pub file: PathBuf,
}

/// One act on one VM. Every act may be repeated: where its effect already holds, it changes nothing
/// and succeeds. That is how a killed agent resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[serde(tag = "act", rename_all = "kebab-case")]
#[strum_discriminants(
    name(ActKind),
    doc = "An [`Act`] without its particulars.",
    derive(
        PartialOrd,
        Ord,
        Hash,
        Serialize,
        Deserialize,
        strum::VariantArray,
        strum::IntoStaticStr,
        strum::Display
    ),
    serde(rename_all = "kebab-case"),
    strum(serialize_all = "kebab-case")
)]
pub enum Act {
    /// Take note of a VM whose disks and taps are there; nothing runs yet.
    Define {
        /// The VM.
        machine: Box<Machine>,
    },
    /// Boot it; done once its vCPUs run.
    Start,
    /// Shut it down; done once nothing of it runs.
    Stop {
        /// How.
        shutdown: Shutdown,
    },
    /// Stop if it runs, and forget it; its disks stay.
    Destroy,
    /// Stop and start.
    Reboot,
    /// Freeze it.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Keep this instant: disks, and memory where it runs.
    Snapshot {
        /// The snapshot's name.
        name: String,
    },
    /// Go back to an instant.
    Restore {
        /// The snapshot's name.
        name: String,
    },
    /// Drop an instant that was kept.
    DropSnapshot {
        /// The snapshot's name.
        name: String,
    },
    /// Make and define another VM whose disks begin as copies of this one's.
    Copy {
        /// The new VM; the driver makes the files of its disks.
        to: Box<Machine>,
    },
    /// Write disks of it as images, all as of one instant.
    SaveImage {
        /// Which, and where to; of a container, its root alone.
        disks: Vec<SavedDisk>,
    },
    /// Give it more or less.
    Scale {
        /// Of what.
        scale: Scale,
    },
    /// Write files into its running guest and run commands there, all or nothing; it waits for the
    /// guest to be up.
    Configure {
        /// What.
        configuration: Box<Configuration>,
    },
    /// Open its disks of one key by another one from its next start on; both open them by now. A VM
    /// without such disks is as it was.
    Rekey {
        /// The key by which they were opened.
        old: KeyId,
        /// The key by which they are to be.
        new: KeyId,
    },
    /// Define it and listen for it, as it moves here; its disks are there and empty. It runs once its
    /// sender has given it up, and never before ([`crate::handover`]).
    Receive {
        /// The VM as it is to be here.
        machine: Box<Machine>,
        /// Where its disks are.
        storage: Storage,
        /// The node's address on which to listen.
        host: String,
        /// The key of this move, which its sender has too.
        key: KeyId,
    },
    /// Move it, running, to where another driver listens; done once it runs there and never here.
    Send {
        /// As [`Effect::listening`] of the other driver told.
        address: String,
        /// Where its disks are.
        storage: Storage,
        /// The key of this move, which its receiver has too.
        key: KeyId,
    },
}

impl Act {
    /// What a driver must declare to be asked for it; `None`: every driver does it.
    pub fn needs(&self) -> Option<Capability> {
        match self {
            Self::Define { machine } if machine.has_remote_disks() => Some(Capability::RemoteDisks),
            Self::Define { .. }
            | Self::Start
            | Self::Stop { .. }
            | Self::Destroy
            | Self::Reboot => None,
            Self::Pause | Self::Resume => Some(Capability::Pause),
            Self::Snapshot { .. } | Self::Restore { .. } | Self::DropSnapshot { .. } => {
                Some(Capability::Snapshot)
            }
            Self::Copy { .. } => Some(Capability::Copy),
            Self::SaveImage { .. } => Some(Capability::SaveImage),
            Self::Configure { .. } => Some(Capability::Configure),
            Self::Rekey { .. } => Some(Capability::RotateKey),
            Self::Scale { scale } => Some(scale.needs()),
            Self::Receive { .. } | Self::Send { .. } => Some(Capability::LiveMigration),
        }
    }
}

/// What came of an act.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The VM's state after it; `None`: it is gone.
    pub state: Option<VmState>,
    /// Of [`Act::Receive`]: where the other driver connects to.
    #[serde(default)]
    pub listening: Option<String>,
    /// Of [`Act::Send`]: how long no vCPU ran on either node, in milliseconds, at most.
    #[serde(default)]
    pub downtime_millis: Option<u64>,
}

/// One call of a hypervisor's own interface, for a person to read; keys are named by id only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeCall {
    /// The interface: `exec`, `utility` (a program in the utility VM), `qmp`, `mconsole`, `http`,
    /// `signal`, `file`.
    pub interface: String,
    /// The call, in that interface's own notation, on one line.
    pub call: String,
}

/// What a driver sees of a VM now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub vm: VmId,
    /// Its state.
    pub state: VmState,
    /// vCPUs it has now; `None`: the hypervisor does not tell.
    pub cpus: Option<u32>,
    /// Memory it has now, in MiB; `None`: the hypervisor does not tell.
    pub mem_mib: Option<u32>,
}

/// One figure of a VM, in the schema's unit. What a source cannot tell is absent, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Of which part of the VM.
    pub subject: Subject,
    /// Who measured.
    pub source: Source,
    /// Of what.
    pub metric: Metric,
    /// How much; where `metric` is a rate, the running total, which the agent makes a rate.
    pub value: f64,
}

/// The way to a VM's console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "console", rename_all = "kebab-case")]
pub enum Console {
    /// A unix socket of the node that carries the bytes both ways.
    Socket {
        /// Its path.
        path: PathBuf,
        /// A file to which the guest's output is appended as well, where there is one.
        #[serde(default)]
        log: Option<PathBuf>,
    },
    /// A file of the node to which the guest's output is appended.
    Log {
        /// Its path.
        path: PathBuf,
    },
}

/// One hypervisor on this node. A driver keeps what it must remember in files of its own folder, so
/// that a new process finds all VMs again.
///
/// Promises, held by one conformance suite for all drivers:
/// 1. [`Self::perform`] follows the table of [`crate::lifecycle`]: an act that it forbids is refused
///    as [`DriverError::Illegal`] and changes nothing.
/// 2. An act that needs an undeclared capability is refused as [`DriverError::Unsupported`].
/// 3. Every act may be repeated, also after the agent was killed within it.
/// 4. Acts on different VMs run in parallel; the caller sends one VM one act at a time.
pub trait Driver: Send + Sync {
    /// The word by which profiles name it, as `qemu`.
    fn name(&self) -> &str;

    /// Tries what works here, by a probe and not by a file's existence.
    ///
    /// # Errors
    /// Where the hypervisor does not work here at all, with what is missing.
    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError>;

    /// What it can do beyond the mandatory part.
    fn capabilities(&self) -> Vec<Capability>;

    /// Whether it could run this machine.
    ///
    /// # Errors
    /// The first field that it could not honour.
    fn validate(&self, machine: &Machine) -> Result<(), DriverError>;

    /// The calls that [`Self::perform`] would make now, in order, with keys by id; what only an
    /// answer can tell stands as `<name>`.
    ///
    /// # Errors
    /// As [`Self::perform`] would, without having tried.
    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError>;

    /// Does it.
    ///
    /// # Errors
    /// Where it could not; the VM is then as it was, or in a state that [`Self::inspect`] tells.
    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError>;

    /// Ends all that runs of a VM at once, for a watchdog whose agent may hang: it waits for nobody
    /// who acts on the VM, and takes no lock. Done once nothing of the VM runs. The driver of a
    /// hypervisor that has such locks of its own goes past them, by the VM's processes.
    ///
    /// # Errors
    /// Where something of it may still run.
    fn halt(&self, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
        let shutdown = Shutdown::Forced;
        if self.inspect(vm)?.is_some() {
            self.perform(vm, &Act::Stop { shutdown }, &Keys::default(), watch)?;
        }
        Ok(())
    }

    /// A VM as it is now; `None`: there is none.
    ///
    /// # Errors
    /// Where the hypervisor does not answer.
    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError>;

    /// All VMs that are defined, by id.
    ///
    /// # Errors
    /// Where the hypervisor does not answer.
    fn list(&self) -> Result<Vec<VmId>, DriverError>;

    /// What can be measured of a VM now.
    ///
    /// # Errors
    /// Where the hypervisor does not answer.
    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError>;

    /// Looks at all VMs, as after the agent was restarted, and touches none: what a killed agent left
    /// half done is told as it is. Those that [`Self::list`] tells and that do not answer within
    /// seconds, or cannot be read, are left out and hold up no other; the next look may find them.
    ///
    /// # Errors
    /// Where the hypervisor itself does not answer.
    fn recover(&self) -> Result<Vec<Seen>, DriverError>;

    /// The way to a VM's console.
    ///
    /// # Errors
    /// Where there is none.
    fn console(&self, vm: VmId) -> Result<Console, DriverError>;
}
