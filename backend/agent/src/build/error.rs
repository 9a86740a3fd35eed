//! Why a disk cannot be built.

use model::blueprint::BootLoader;

/// Why a disk cannot be built as its blueprint has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The VM has no disk of that index.
    #[error("vm {vm} has no disk {index}")]
    NoDisk {
        /// The VM's name.
        vm: String,
        /// The index asked for.
        index: usize,
    },
    /// The partitions do not fit.
    #[error("partition {partition} of disk {disk} ends beyond its {disk_mib} size_mib")]
    TooSmall {
        /// The disk.
        disk: String,
        /// The first partition that does not fit.
        partition: String,
        /// Size of the disk.
        disk_mib: u64,
    },
    /// Only the last partition may take what is left.
    #[error(
        "partition {partition} of disk {disk} has no size_mib\nhint: only the last partition may leave it out"
    )]
    SizeMissing {
        /// The disk.
        disk: String,
        /// The partition.
        partition: String,
    },
    /// The table cannot hold as many.
    #[error("disk {disk} has {count} partitions, its table holds {most}")]
    TooMany {
        /// The disk.
        disk: String,
        /// How many it has.
        count: usize,
        /// How many the table holds.
        most: usize,
    },
    /// A disk with an image has nowhere to put it.
    #[error("disk {disk} has an image and no partition mounted at /")]
    NoRoot {
        /// The disk.
        disk: String,
    },
    /// The boot loader cannot start from such a disk.
    #[error("{loader} cannot start from disk {disk}: {why}")]
    CannotBoot {
        /// The disk.
        disk: String,
        /// Which.
        loader: BootLoader,
        /// Why.
        why: &'static str,
    },
    /// The root folder of a container cannot be what is asked of its disk.
    #[error("disk {disk} is a container's root folder and {found}, expected {expected}")]
    NoFolder {
        /// The disk.
        disk: String,
        /// What it has, as `has partitions`.
        found: &'static str,
        /// What it should have.
        expected: &'static str,
    },
    /// A disk cannot hold a seed.
    #[error(
        "disk {disk} has a seed and {why}\nhint: a seed is the one partition of a disk of its own, which is not the first"
    )]
    NoSeed {
        /// The disk.
        disk: String,
        /// What is in its way.
        why: &'static str,
    },
    /// A script names a step that there is none of.
    #[error("script {script} runs after unknown step {after}")]
    NoSuchStep {
        /// The script's name.
        script: String,
        /// What it names.
        after: String,
    },
    /// A disk that is changed after it was built is changed in its ext4 root alone.
    #[error(
        "disk {disk} cannot stand on a shared base: {why}\nhint: ask for it without shared_base"
    )]
    NotChangeable {
        /// The disk.
        disk: String,
        /// Why.
        why: String,
    },
    /// A script would run where a disk is only changed.
    #[error(
        "script {script} runs after {after}, where a disk on a shared base is no tree of files any more\nhint: run it after unpack, remove, add or boot, or ask for the disk without shared_base"
    )]
    ScriptOnBase {
        /// The script's name.
        script: String,
        /// The step that it names.
        after: String,
    },
}
