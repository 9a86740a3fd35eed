//! Why an order is not carried out, and what of a blueprint a node would not touch.

use crate::edit::{EditError, check_path};
use crate::lending::check_extents;
use crate::lifecycle::{Illegal, state_word};
use crate::naming::MOST_INTERFACES;
use model::blueprint::{Blueprint, Disk, EncryptedPart, Format};
use model::configuration::{Configuration, Piece};
use model::hypervisor::Virtualisation;
use model::id::{KeyId, NodeId, VmId};
use model::report::VmState;
use std::collections::BTreeSet;

/// Why an order cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It went to the wrong node.
    #[error("the order is for {0}, which is not here")]
    WrongNode(NodeId),
    /// Its blueprint is another VM's.
    #[error("the order is about {order} and its blueprint about {blueprint}")]
    WrongVm {
        /// The order's VM.
        order: VmId,
        /// The blueprint's.
        blueprint: VmId,
    },
    /// Ids from 2^63 on are the agent's own.
    #[error("operation ids from 2^63 on are the agent's own")]
    ReservedId,
    /// The newest generation is newer.
    #[error("the order is of an older generation")]
    Outdated,
    /// No room to wait.
    #[error("{0} orders are waiting already; hint: send it again later")]
    QueueFull(usize),
    /// The deadline was over before it came.
    #[error("the deadline has passed")]
    Expired,
    /// The node listens for no VM.
    #[error("no VM may move here; hint: name the node's host in its configuration")]
    NoHost,
    /// No such VM.
    #[error("{0} is unknown here")]
    UnknownVm(VmId),
    /// There is such a VM.
    #[error("{0} is here already")]
    VmExists(VmId),
    /// The VM's state forbids it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// No such disk, interface or snapshot.
    #[error("{vm} has no {what} {name}")]
    UnknownPart {
        /// The VM.
        vm: VmId,
        /// `disk`, `interface` or `snapshot`.
        what: &'static str,
        /// The name that was given.
        name: String,
    },
    /// There is a snapshot of this name.
    #[error("{vm} has a snapshot {name} already")]
    SnapshotExists {
        /// The VM.
        vm: VmId,
        /// The name.
        name: String,
    },
    /// Snapshots stay as and where they are.
    #[error("{vm} has {count} snapshots, which {what}; hint: drop them first")]
    HasSnapshots {
        /// The VM.
        vm: VmId,
        /// How many.
        count: usize,
        /// What stands in the way, as `cannot move`.
        what: &'static str,
    },
    /// Snapshots hold what is to be changed.
    #[error(
        "{vm} has {count} snapshots, which would bring back what is modified; hint: drop them first"
    )]
    KeepsSnapshots {
        /// The VM.
        vm: VmId,
        /// How many.
        count: usize,
    },
    /// A VM is not modified in this way in this state.
    #[error("{vm} is {}, so it cannot be modified {way}; hint: {hint}", state_word(*state))]
    WrongWay {
        /// The VM.
        vm: VmId,
        /// How it was to be modified, in words.
        way: &'static str,
        /// Its state; `None`: it is gone.
        state: Option<VmState>,
        /// What can be done.
        hint: &'static str,
    },
    /// A field of the order cannot be honoured.
    #[error("{field} is {found}, expected {expected}")]
    Invalid {
        /// The field.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// A file of it has no place in a guest.
    #[error(transparent)]
    Path(#[from] EditError),
    /// Another VM of the node has this hardware address, by which networks tell them apart.
    #[error("the hardware address {mac:02x?} is that of {vm}")]
    MacTaken {
        /// The address.
        mac: [u8; 6],
        /// Whose it is.
        vm: VmId,
    },
    /// Not enough disk space that is not promised.
    #[error("{asked_mib} MiB of disk asked, {free_mib} MiB free")]
    NoSpace {
        /// What is asked.
        asked_mib: u64,
        /// What is free.
        free_mib: u64,
    },
    /// A disk of it lies on other nodes.
    #[error("{vm}'s disk {disk} lies on other nodes, which {what}")]
    Remote {
        /// The VM.
        vm: VmId,
        /// The disk.
        disk: String,
        /// What cannot be done with it, and what can.
        what: &'static str,
    },
    /// A highly available VM may not run without a lease.
    #[error("{0} is highly available and the node's lease has lapsed")]
    NoLease(VmId),
}

/// That a text may be part of a file's name on the node: nothing in it leads elsewhere.
///
/// # Errors
/// [`Refusal::Invalid`] with the field's name.
pub fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    let fits = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('-')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if fits {
        return Ok(());
    }
    Err(invalid(
        field,
        &format!("{name:?}"),
        "1 to 63 letters, digits and -, the first no -",
    ))
}

/// The longest name: that of a host.
const MAX_NAME: usize = 63;

/// That nothing in a blueprint leads outside of the VM's own folders, and that its parts fit
/// together as far as a node can tell without the image.
///
/// # Errors
/// The first field that does not.
pub fn check_blueprint(blueprint: &Blueprint) -> Result<(), Refusal> {
    check_name("name", &blueprint.name)?;
    for (field, number, max) in [
        ("cpus", blueprint.cpus, blueprint.max_cpus),
        ("mem_mib", blueprint.mem_mib, blueprint.max_mem_mib),
    ] {
        if number == 0 || number > max {
            return Err(invalid(field, &number.to_string(), &format!("1 to {max}")));
        }
    }
    let mut names = BTreeSet::new();
    for (index, disk) in blueprint.disks.iter().enumerate() {
        let field = |part: &str| format!("disks[{index}].{part}");
        check_name(&field("name"), &disk.name)?;
        check_sealed(blueprint, index)?;
        check_extents(blueprint, index)?;
        if !names.insert(&disk.name) {
            return Err(invalid(&field("name"), &disk.name, "a name of its own"));
        }
        if disk.size_mib == 0 {
            return Err(invalid(&field("size_mib"), "0", "at least 1"));
        }
        if let Some(image) = &disk.image {
            check_digest(&field("image"), image)?;
        }
        let folder = index == 0 && blueprint.virtualisation == Virtualisation::Container;
        let sealed = disk.encryption.is_some();
        if disk.shared_base && (sealed || folder || disk.image.is_none()) {
            return Err(invalid(
                &field("shared_base"),
                "true",
                "false where the disk is encrypted, begins empty or is a container's root",
            ));
        }
    }
    if blueprint.interfaces.len() > MOST_INTERFACES {
        let count = blueprint.interfaces.len().to_string();
        let expected = format!("at most {MOST_INTERFACES}");
        return Err(invalid("interfaces", &count, &expected));
    }
    let mut names = BTreeSet::new();
    for (index, interface) in blueprint.interfaces.iter().enumerate() {
        let field = format!("interfaces[{index}].name");
        check_name(&field, &interface.name)?;
        if !names.insert(&interface.name) {
            return Err(invalid(&field, &interface.name, "a name of its own"));
        }
    }
    for (index, image) in blueprint.customisation.add.iter().enumerate() {
        check_digest(&format!("customisation.add[{index}]"), image)?;
    }
    Ok(())
}

/// That a disk that is to hold the VM's configuration can.
fn check_sealed(blueprint: &Blueprint, index: usize) -> Result<(), Refusal> {
    let is_configuration = |disk: &Disk| {
        disk.encryption
            .is_some_and(|e| e.part == EncryptedPart::Configuration)
    };
    let disk = &blueprint.disks[index];
    if !is_configuration(disk) {
        return Ok(());
    }
    let field = format!("disks[{index}].encryption.part");
    let refused = |expected| Err(invalid(&field, "configuration", expected));
    if blueprint.virtualisation == Virtualisation::Container {
        return refused("none: a container's files lie in a folder");
    }
    if index == 0 || disk.image.is_some() {
        return refused("whole, as the VM boots from it or it has an image");
    }
    if blueprint.disks[..index].iter().any(is_configuration) {
        return refused("whole, as another disk holds the configuration");
    }
    let [partition] = disk.partitions.as_slice() else {
        return refused("whole, or one partition");
    };
    let mount = partition.mount.as_deref().unwrap_or("/");
    let holds_files = matches!(partition.format, Format::Ext4 | Format::Xfs | Format::Btrfs);
    if !holds_files || mount.trim_end_matches('/').is_empty() {
        return refused("whole, or ext4, xfs or btrfs mounted elsewhere than at /");
    }
    Ok(check_path(mount)?)
}

/// The most text of a configuration, in bytes: it travels through the journal and the guest's
/// memory, and a list of 10,000 instances with their addresses takes half of it.
const MOST_CONFIGURATION_BYTES: usize = 1 << 20;

/// That a guest can take a configuration as far as a node can tell without the guest.
///
/// # Errors
/// The first part that it cannot.
pub fn check_configuration(configuration: &Configuration) -> Result<(), Refusal> {
    for (path, file) in &configuration.files {
        check_path(path)?;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let owner = &file.owner;
        if !owner.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            || !owner.chars().all(letters)
        {
            let field = format!("configuration.files.{path}.owner");
            return Err(invalid(&field, &format!("{owner:?}"), "a user's name"));
        }
    }
    let pieces = configuration.files.values().flat_map(|file| &file.pieces);
    let texts = pieces.map(|piece| match piece {
        Piece::Text(text) => text.len(),
        Piece::Key(_) => 0,
    });
    let bytes: usize = texts.sum();
    if bytes > MOST_CONFIGURATION_BYTES {
        let expected = format!("at most {MOST_CONFIGURATION_BYTES}");
        return Err(invalid(
            "configuration",
            &format!("{bytes} bytes"),
            &expected,
        ));
    }
    Ok(())
}

/// Keys of all disks of a blueprint, by id.
pub fn keys_of(blueprint: &Blueprint) -> Vec<KeyId> {
    let keys = blueprint.disks.iter().filter_map(|disk| disk.encryption);
    let keys: BTreeSet<KeyId> = keys.map(|encryption| encryption.key).collect();
    keys.into_iter().collect()
}

/// A field in words, for [`Refusal::Invalid`].
pub fn invalid(field: &str, found: &str, expected: &str) -> Refusal {
    Refusal::Invalid {
        field: field.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

fn check_digest(field: &str, digest: &str) -> Result<(), Refusal> {
    let hex = digest.len() == 64
        && digest
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex {
        return Ok(());
    }
    Err(invalid(
        field,
        digest,
        "64 hexadecimal digits in lower case",
    ))
}
