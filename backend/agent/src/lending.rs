//! Volumes that are lent to VMs of other nodes, and what a VM can do whose disks consist of them.
//!
//! ```text
//!  a node that lends     reserve ─▶ blank ─▶ lend ······ withdraw ─▶ wipe ─▶ release
//!                                              │ NBD over TLS with the key
//!  the VM's node         build ─▶ fill ─▶ wipe  start: its driver joins them to one disk
//! ```

use crate::naming::Naming;
use crate::refusal::{Refusal, check_name, invalid, keys_of};
use crate::step::{Planned, Step, Undo};
use crate::steps::{give_back, plain, with};
use model::blueprint::{Blueprint, Disk, Extent};
use model::hypervisor::Virtualisation;
use model::id::{KeyId, VmId};
use serde::{Deserialize, Serialize};

/// A volume of this node that is lent to a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name, unique among those of its VM.
    pub name: String,
    /// Its size in MiB.
    pub size_mib: u64,
}

/// The steps of lending a volume beside those that the VM has of this node already.
///
/// # Errors
/// Where its name is no name or its size none, or one of another size has its name.
pub fn lend(
    vm: VmId,
    volume: &Volume,
    (lent, naming): (&[Volume], &Naming),
    (host, key): (&str, KeyId),
) -> Result<Vec<Planned>, Refusal> {
    check_name("volume", &volume.name)?;
    if volume.size_mib == 0 {
        return Err(invalid("size_mib", "0", "at least 1"));
    }
    let known = lent.iter().find(|known| known.name == volume.name);
    let disk = naming.lent(vm, volume);
    let mut steps = Vec::new();
    match known {
        Some(known) if known.size_mib != volume.size_mib => {
            let expected = format!("{}, as it is lent already", known.size_mib);
            return Err(invalid("size_mib", &volume.size_mib.to_string(), &expected));
        }
        Some(_) => {}
        None => {
            let folders = vec![naming.lent_folder(vm, &volume.name)];
            let undo = Undo::By {
                steps: give_back(vm, folders.clone()),
            };
            let mib = volume.size_mib;
            let blank = Step::Blank { disk: disk.clone() };
            steps.extend([with(Step::Reserve { vm, folders, mib }, undo), plain(blank)]);
        }
    }
    let withdraw = Step::Withdraw {
        vm,
        volume: disk.clone(),
    };
    let undo = match known {
        // By whichever key it was served, the way back to that needs that key.
        Some(_) => Undo::AskAgain,
        None => Undo::By {
            steps: vec![withdraw],
        },
    };
    let host = host.to_owned();
    let volume = disk;
    steps.push(Planned {
        step: Step::Lend {
            vm,
            volume,
            host,
            key,
        },
        keys: vec![key],
        undo,
    });
    Ok(steps)
}

/// The steps of taking volumes back, wiped; there is no way back.
pub fn withdraw(vm: VmId, lent: &[Volume], naming: &Naming) -> Vec<Planned> {
    let steps = lent.iter().flat_map(|volume| {
        let withdraw = Step::Withdraw {
            vm,
            volume: naming.lent(vm, volume),
        };
        let folders = vec![naming.lent_folder(vm, &volume.name)];
        [withdraw].into_iter().chain(give_back(vm, folders))
    });
    steps.map(|step| with(step, Undo::Forward)).collect()
}

/// Whether a disk lies on other nodes.
pub fn is_remote(disk: &Disk) -> bool {
    !disk.extents.is_empty()
}

/// Whether a disk begins with what is built for it, beside it, and not with zeros alone.
pub fn is_built(disk: &Disk) -> bool {
    disk.image.is_some() || !disk.partitions.is_empty()
}

/// The keys without which a VM does not start: those of its encrypted disks, and those of the volumes
/// of other nodes.
pub fn starting_keys(blueprint: &Blueprint) -> Vec<KeyId> {
    let mut keys = keys_of(blueprint);
    keys.extend(blueprint.disks.iter().flat_map(volume_keys));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The keys of the volumes of which a disk consists.
pub fn volume_keys(disk: &Disk) -> Vec<KeyId> {
    let mut keys: Vec<KeyId> = disk.extents.iter().map(|extent| extent.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// That a disk of a blueprint can lie where its volumes are.
///
/// # Errors
/// The first field that stands against it.
pub fn check_extents(blueprint: &Blueprint, index: usize) -> Result<(), Refusal> {
    let disk = &blueprint.disks[index];
    if !is_remote(disk) {
        return Ok(());
    }
    let field = |part: &str| format!("disks[{index}].{part}");
    let refused =
        |part: &str, found: &str, expected: &str| Err(invalid(&field(part), found, expected));
    if index == 0 || blueprint.virtualisation == Virtualisation::Container {
        let expected = "none: the first disk, and those of a container, lie on the VM's own node";
        return refused("extents", "given", expected);
    }
    if disk.shared_base {
        let expected = "false: a base that VMs share lies on their own node";
        return refused("shared_base", "true", expected);
    }
    if disk.encryption.is_some() {
        let expected = "none: a disk of other nodes' volumes is encrypted by its guest; on the way \
                        between the nodes it is in any case";
        return refused("encryption", "given", expected);
    }
    for (place, extent) in disk.extents.iter().enumerate() {
        check_name(&field(&format!("extents[{place}].volume")), &extent.volume)?;
        if extent.size_mib == 0 {
            return refused(&format!("extents[{place}].size_mib"), "0", "at least 1");
        }
    }
    let all: u64 = disk.extents.iter().map(|extent| extent.size_mib).sum();
    if all != disk.size_mib {
        let expected = format!("{all}, the sum of its extents");
        return refused("size_mib", &disk.size_mib.to_string(), &expected);
    }
    let places = |extent: &Extent| (extent.address, extent.volume.clone());
    let mut all: Vec<_> = blueprint
        .disks
        .iter()
        .flat_map(|d| &d.extents)
        .map(places)
        .collect();
    all.sort();
    if all.windows(2).any(|pair| pair[0] == pair[1]) {
        return refused("extents", "a volume given twice", "each volume once");
    }
    Ok(())
}

/// That an order may be carried out on a VM that has disks on other nodes.
///
/// # Errors
/// Where it has some; `what`: what would have to be done with them.
pub fn refuse_remote(blueprint: &Blueprint, what: &'static str) -> Result<(), Refusal> {
    match blueprint.disks.iter().find(|disk| is_remote(disk)) {
        None => Ok(()),
        Some(disk) => Err(Refusal::Remote {
            vm: blueprint.vm,
            disk: disk.name.clone(),
            what,
        }),
    }
}
