//! One act of an order on a node, as data: what a hand is told, and how it is undone.

mod end;
mod words;

pub use end::{Failure, FailureKind, Gained, SeenState};

use crate::driver::Act;
use crate::machine::{AttachedDisk, Machine, Plug};
use model::blueprint::{Blueprint, Interface};
use model::hypervisor::{Arch, Guest};
use model::id::{KeyId, VmId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a hand does. Every step may be repeated, also after the agent was killed within it: where
/// its effect already holds it changes nothing and succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[strum_discriminants(
    name(StepKind),
    doc = "A [`Step`] without its particulars.",
    derive(
        PartialOrd,
        Ord,
        Hash,
        strum::VariantArray,
        strum::IntoStaticStr,
        strum::Display
    ),
    strum(serialize_all = "kebab-case")
)]
pub enum Step {
    /// Make the folders of a VM, and see that this much space is really free.
    Reserve {
        /// Whose.
        vm: VmId,
        /// The folders.
        folders: Vec<PathBuf>,
        /// Space in MiB.
        mib: u64,
    },
    /// Have an image and all its parts in the node's store.
    Fetch {
        /// SHA-256 of its manifest, in hex.
        image: String,
    },
    /// Have the read-only base that VMs share, as it was built, and note that this VM does.
    BuildBase {
        /// The VM for whose disk it is.
        blueprint: Box<Blueprint>,
        /// Which of its disks.
        disk: String,
        /// Where.
        at: PathBuf,
    },
    /// See that the bases on which a VM stands are as they were built.
    CheckBases {
        /// Whose.
        vm: VmId,
    },
    /// A VM stands on no base any more; a base on which nobody stands is wiped and removed.
    LeaveBases {
        /// Which.
        vm: VmId,
    },
    /// Partition, format, unpack, customise, make bootable: a disk, or a container's root folder.
    Build {
        /// Of which VM.
        blueprint: Box<Blueprint>,
        /// Which of its disks.
        disk: String,
        /// Where: a raw disk, an overlay where its base is shared, a folder for a container.
        at: PathBuf,
        /// The base that it shares; `None`: none.
        base: Option<PathBuf>,
        /// Where kernel and initial RAM disk go, for a hypervisor that loads them itself.
        kernel: Option<KernelFiles>,
    },
    /// Have the kernel of a VM whose disks come from elsewhere, as building them would give it.
    Kernel {
        /// The VM.
        blueprint: Box<Blueprint>,
        /// Where it goes.
        files: KernelFiles,
    },
    /// Copy what was built to where it stays, holes left out, encrypted where asked.
    Replicate {
        /// From where.
        from: PathBuf,
        /// To where.
        to: Place,
    },
    /// Compare what was replicated with what was built, and check its file systems.
    Verify {
        /// What was built.
        built: PathBuf,
        /// Where it went.
        place: Place,
    },
    /// Make a container's root folder of a tar stream of one, as it was, and compare it with that.
    Unpack {
        /// The stream.
        from: PathBuf,
        /// The folder: all or nothing.
        to: PathBuf,
    },
    /// Copy a file that is no disk.
    CopyFile {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
    },
    /// Make a disk of nothing but zeros, or of nothing but its base.
    Blank {
        /// The disk.
        disk: AttachedDisk,
    },
    /// Change the size of a disk that nobody has open; what a smaller one lets go of is wiped first.
    Resize {
        /// The disk, with its new size.
        disk: AttachedDisk,
    },
    /// Let another key open an encrypted disk, beside its own.
    AddKey {
        /// The disk, with its own key.
        disk: AttachedDisk,
        /// The other one.
        key: KeyId,
    },
    /// Let nothing but its own key open an encrypted disk; that it does is seen first.
    KeepKey {
        /// The disk, with its own key.
        disk: AttachedDisk,
    },
    /// Make a modified copy of a VM's system disk that nobody has open, and check it.
    Modify {
        /// The disk, or a copy of it as it was while it ran.
        from: PathBuf,
        /// Where: all or nothing.
        at: PathBuf,
        /// How the bytes lie in both.
        disk: AttachedDisk,
        /// The VM as it is on the disk.
        before: Box<Blueprint>,
        /// The VM as it is to be.
        after: Box<Blueprint>,
    },
    /// Give a file another name that no file has; done where it has that already.
    Rename {
        /// What it is called.
        from: PathBuf,
        /// What it is to be called.
        to: PathBuf,
    },
    /// Overwrite a file, or all files of a folder, read them back, and remove them.
    Wipe {
        /// The file or folder; done once it is gone.
        path: PathBuf,
    },
    /// Overwrite what a temporary file, or all files of a temporary folder, hold, and remove them; holes,
    /// for which there may be no room, stay holes.
    Clear {
        /// The file or folder; done once it is gone.
        path: PathBuf,
    },
    /// Give back the folders of a VM, empty by then; its space may be lent again.
    Release {
        /// Whose.
        vm: VmId,
        /// The folders.
        folders: Vec<PathBuf>,
    },
    /// Make the other end of an interface, its addresses, its firewall and its limit.
    Plug {
        /// Whose.
        vm: VmId,
        /// The interface.
        interface: Interface,
        /// Where its other end is.
        plug: Plug,
    },
    /// Take all of that away.
    Unplug {
        /// Whose.
        vm: VmId,
        /// The interface.
        interface: Interface,
        /// Where its other end was.
        plug: Plug,
    },
    /// Ask the driver.
    Act {
        /// For which VM.
        vm: VmId,
        /// What.
        act: Act,
    },
    /// Wait until a VM that moves here is this node's, which runs it as soon as it may. Called off, it looks once more, and tells of a VM
    /// that has arrived by succeeding.
    Await {
        /// Which.
        vm: VmId,
    },
    /// Listen for a VM that comes as its disks alone, which are there and empty.
    Expect {
        /// As it is to be here.
        machine: Box<Machine>,
        /// Which of its disks come; none where both nodes see the same.
        disks: Vec<AttachedDisk>,
        /// The node's address on which to listen.
        host: String,
        /// The key of this move, which its sender has too.
        key: KeyId,
    },
    /// Let its disks in until its sender has given it up ([`crate::handover`]). Called off, it tells its
    /// sender from then on that it was dropped, unless it has been taken, of which it tells by succeeding.
    Arrive {
        /// Which.
        vm: VmId,
        /// As [`Self::Expect`] says.
        disks: Vec<AttachedDisk>,
        /// As [`Self::Expect`] says.
        key: KeyId,
    },
    /// Tell the sender of a VM that has not been taken, from then on, that it was dropped.
    Dismiss {
        /// Which.
        vm: VmId,
    },
    /// See that a VM can go, and that its receiver listens.
    Knock {
        /// Which.
        vm: VmId,
        /// Where its receiver listens.
        address: String,
    },
    /// Copy disks of a VM that stands still to where they are expected; holes are left out.
    Ship {
        /// Which.
        vm: VmId,
        /// Its disks.
        disks: Vec<AttachedDisk>,
        /// Where its receiver listens.
        address: String,
        /// The key of this move.
        key: KeyId,
    },
    /// Give a VM up that has been shipped: done once its receiver has taken it, broken once it has
    /// dropped it, and unfinished until one of them is known.
    Cede {
        /// Which.
        vm: VmId,
        /// Where its receiver listens.
        address: String,
        /// The key of this move.
        key: KeyId,
    },
    /// Serve a volume to whoever has this key, and to nobody else; it is served on whatever becomes of
    /// the agent.
    Lend {
        /// To whose VM.
        vm: VmId,
        /// The volume.
        volume: AttachedDisk,
        /// The node's address on which to listen.
        host: String,
        /// The key.
        key: KeyId,
    },
    /// Serve a volume no more, or a disk that was to be filled.
    Withdraw {
        /// From whose VM.
        vm: VmId,
        /// The volume or the disk.
        volume: AttachedDisk,
    },
    /// Copy what was built on to a disk of other nodes' volumes, zeros where it has holes, and read
    /// back what was copied.
    Fill {
        /// Whose.
        vm: VmId,
        /// What was built.
        from: PathBuf,
        /// The disk.
        to: AttachedDisk,
    },
    /// Take a saved disk, or a saved root, into the store as an image of this name.
    Store {
        /// The disk's name.
        disk: String,
        /// Whether its VM boots from it, so that what only that VM may know lies there and is taken out.
        is_system: bool,
        /// What was saved.
        file: PathBuf,
        /// Whether that is a tar stream of a container's root.
        #[serde(default)]
        is_root: bool,
        /// The image's name.
        name: String,
        /// Instruction set of its programs.
        arch: Arch,
        /// Its operating system.
        guest: Guest,
    },
    /// Measure a VM now.
    Measure {
        /// Which.
        vm: VmId,
    },
}

impl Step {
    /// The key without which it cannot undo another step.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Resize { disk } | Self::KeepKey { disk } => disk.key,
            _ => None,
        }
    }
}

/// Where kernel and initial RAM disk of a VM lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFiles {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial RAM disk; there and empty where the guest has none.
    pub initrd: PathBuf,
}

/// Where something built stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "kebab-case")]
pub enum Place {
    /// In a disk.
    Disk {
        /// The disk.
        disk: AttachedDisk,
    },
    /// In the root folder of a container.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

impl Place {
    /// The file or folder.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Disk { disk } => &disk.path,
            Self::Folder { path } => path,
        }
    }
}

/// A step in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What is done.
    pub step: Step,
    /// Keys without which it cannot be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyId>,
    /// How to get back from it.
    pub undo: Undo,
}

/// How to get back from a step that was begun, whether it ended or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// It leaves nothing, or what the VM may keep.
    Nothing,
    /// By these steps.
    By {
        /// In the order in which they are done.
        steps: Vec<Step>,
    },
    /// It leaves nothing unless it succeeds, and then there is no way back. Only repeating it tells
    /// whether it has: after a crash it is always asked again, if need be with its deadline passed.
    AskAgain,
    /// There is no way back: from here the order goes forward, whoever calls it off and however
    /// long it takes.
    Forward,
}
