//! How much disk space VMs and orders may come to take.

use crate::lending::{Volume, is_built, is_remote};
use crate::shared::base_name;
use crate::steps::Record;
use model::blueprint::{Blueprint, Disk};
use model::hypervisor::Virtualisation;
use model::id::VmId;
use model::order::{Order, Passage, Scale, Storage, Verb, Way};
use std::collections::BTreeMap;

/// Space that a VM's disks may come to take on its own node, in MiB.
pub fn disk_mib(blueprint: &Blueprint) -> u64 {
    let own = blueprint.disks.iter().filter(|disk| !is_remote(disk));
    own.map(|disk| disk.size_mib).sum()
}

/// Space that a disk may come to take while it is built beside its place, in MiB. Of one that lies on
/// other nodes and has no image, that is what empty file systems take of a file with holes, once as
/// they are made and once in their disk: by our own measurement on 100 GiB to 8 TiB at most 1/128 of
/// them (ext4's journal), and 64 MiB where they are small (the log of XFS), rounded up.
fn built_mib(disk: &Disk) -> u64 {
    match (is_remote(disk), &disk.image) {
        (true, _) if !is_built(disk) => 0,
        (true, None) => {
            let partitions = disk.partitions.len() as u64;
            let once = disk.size_mib / 128 + 128 * partitions;
            disk.size_mib.min(2 * once)
        }
        _ => disk.size_mib,
    }
}

/// The longest tar stream of a container's root, in MiB, 0 for any other VM: what is said of each file
/// takes as much room as the smallest has on a disk, and holes count as what is beside them.
pub fn moving_root_mib(blueprint: &Blueprint) -> u64 {
    let container = blueprint.virtualisation == Virtualisation::Container;
    let root = blueprint.disks.first().filter(|_| container);
    root.map_or(0, |root| 2 * root.size_mib + 16)
}

/// Space that the bases of VMs may come to take, each once, in MiB: no base is larger than the
/// largest disk on it, unless that disk is gone.
pub fn base_mib<'a>(blueprints: impl IntoIterator<Item = &'a Blueprint>) -> u64 {
    let mut largest = BTreeMap::new();
    for blueprint in blueprints {
        for disk in &blueprint.disks {
            if let Some(base) = base_name(blueprint, disk) {
                let most: &mut u64 = largest.entry(base).or_default();
                *most = disk.size_mib.max(*most);
            }
        }
    }
    largest.values().sum()
}

/// Space that an order may come to take beside what its VM has, in MiB.
pub fn space_mib(
    order: &Order,
    vms: &BTreeMap<VmId, Record>,
    lent: &BTreeMap<VmId, Vec<Volume>>,
) -> u64 {
    let blueprint = vms.get(&order.vm).map(|record| &record.blueprint);
    let disks = blueprint.map_or(&[][..], |blueprint| &blueprint.disks);
    match &order.verb {
        Verb::Create { blueprint } => {
            // A disk is built beside its place and wiped there before the next one is.
            let largest = blueprint.disks.iter().map(built_mib).max();
            disk_mib(blueprint) + base_mib([blueprint.as_ref()]) + largest.unwrap_or(0)
        }
        Verb::Copy { to } => disk_mib(to),
        Verb::Receive {
            blueprint, storage, ..
        } if *storage == Storage::Local => {
            disk_mib(blueprint) + base_mib([blueprint.as_ref()]) + moving_root_mib(blueprint)
        }
        Verb::Migrate {
            passage: Passage::Cold { .. },
            ..
        } => blueprint.map_or(0, moving_root_mib),
        // Each disk as it is, what it has in use of that, and the stream of it.
        Verb::SaveImage { disks: names, .. } => {
            let saved = disks
                .iter()
                .enumerate()
                .filter(|(place, disk)| match names.is_empty() {
                    true => *place == 0,
                    false => names.contains(&disk.name),
                });
            saved.map(|(_, disk)| 3 * disk.size_mib).sum()
        }
        // The modified disk beside the old one, and what it is made of where the VM runs on.
        Verb::Modify { way, .. } => {
            let copies = 1 + u64::from(matches!(way, Way::Duplicate { .. }));
            disks.first().map_or(0, |disk| copies * disk.size_mib)
        }
        Verb::Scale {
            scale: Scale::Disk { disk, size_mib },
        } => {
            let old = disks.iter().find(|old| old.name == *disk);
            size_mib.saturating_sub(old.map_or(0, |old| old.size_mib))
        }
        Verb::Lend {
            volume, size_mib, ..
        } => {
            let mut known = lent.get(&order.vm).into_iter().flatten();
            match known.any(|known| known.name == *volume) {
                true => 0,
                false => *size_mib,
            }
        }
        _ => 0,
    }
}
