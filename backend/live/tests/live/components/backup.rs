//! Backups of a VM on another node, by orders as a schedule asks for them.

use crate::emulated::Node;
use model::blueprint::{BootLoader, Disk, Format, Partition, PartitionTable};
use model::id::VmId;
use model::order::Verb;
use model::time::Time;
use recipe::backup::Schedule;
use std::collections::BTreeMap;

const HOUR_MILLIS: i64 = 3_600_000;
const VM: VmId = VmId(7);

/// A disk for a VM's data.
fn data_disk() -> Disk {
    Disk {
        name: "data".to_owned(),
        size_mib: 32,
        image: None,
        table: PartitionTable::None,
        partitions: vec![Partition {
            name: "data".to_owned(),
            size_mib: None,
            format: Format::Ext4,
            block_bytes: None,
            mount: Some("/data".to_owned()),
            bootable: false,
        }],
        shared_base: false,
        encryption: None,
        iops: None,
        mibps: None,
        extents: Vec::new(),
    }
}

/// Another node holds the newest backups of a running VM, as many as are to be kept, each as a VM
/// that does not run. Once the first node is gone with all that it had, the newest of them runs on
/// from what was last backed up.
#[test]
fn backups_outlive_the_node_of_their_vm() {
    let settings = [("backup_every_hours", "6"), ("backup_keep", "2")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let schedule = Schedule::of(&settings.into()).expect("a schedule");
    let mut node = Node::new();
    let mut blueprint = node.blueprint(VM, BootLoader::Extlinux, None);
    blueprint.disks.push(data_disk());
    let blueprint = Box::new(blueprint);
    node.order(VM, Verb::Create { blueprint });
    node.order(VM, Verb::Start);
    node.boots(VM, 1);
    node.type_in(
        VM,
        "mkdir /data; mount -a; grep /data /proc/mounts && echo moun''ted\n",
    );
    node.says(VM, "mounted");
    let mut other = node.beside();
    let before = other.files();

    let mut held = BTreeMap::new();
    for round in 0..3_u32 {
        let now = Time(i64::from(round) * 6 * HOUR_MILLIS);
        let taken: Vec<Time> = held.keys().copied().collect();
        assert!(schedule.due(&taken, now));
        let line = format!(
            "for at in /srv /data; do echo state {round} > $at/state; done; sync; echo wri''tten {round}\n"
        );
        node.type_in(VM, &line);
        node.says(VM, &format!("written {round}"));
        let images = node.save_disks(VM, &format!("backup-{round}"), &["root", "data"]);
        let backup = VmId(VM.0 + u64::from(round));
        let mut blueprint = other.blueprint(backup, BootLoader::Extlinux, None);
        blueprint.disks.push(data_disk());
        for disk in &mut blueprint.disks {
            disk.image = Some(images[&disk.name].clone());
        }
        blueprint.customisation.add.clear();
        let blueprint = Box::new(blueprint);
        other.order(backup, Verb::Create { blueprint });
        held.insert(now, backup);
        let taken: Vec<Time> = held.keys().copied().collect();
        for time in schedule.expired(&taken) {
            let backup = held.remove(&time).expect("it was taken");
            other.order(backup, Verb::Delete);
        }
    }
    drop(node);
    let [kept, newest] = *held.values().copied().collect::<Vec<_>>() else {
        panic!("two are held: {held:?}");
    };
    other.order(newest, Verb::Start);
    other.boots(newest, 1);
    other.type_in(
        newest,
        "mount -a; echo it is $(cat /srv/state), $(cat /data/state)\n",
    );
    other.says(newest, "it is state 2, state 2");
    let shutdown = model::order::Shutdown::Forced;
    other.order(newest, Verb::Stop { shutdown });
    for backup in [kept, newest] {
        other.order(backup, Verb::Delete);
    }
    assert_eq!(other.files(), before, "nothing of any backup is left");
}
