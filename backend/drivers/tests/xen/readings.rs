//! What Linux tells of the disks that it lends to domains.

use crate::machine::machine;
use drivers::xen::readings::of_disks;
use model::id::VmId;
use model::sample::{Metric, Subject};
use std::fs;

/// Counters are told in the schema's units; those that are missing or senseless are absent.
#[test]
fn disks_are_told_by_their_counters() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut machine = machine(VmId(7));
    machine.disks.push(machine.disks[0].clone());
    machine.disks[1].name = "data".into();
    for (device, file, text) in [
        ("vbd-3-51712", "rd_req", "12\n"),
        ("vbd-3-51712", "wr_sect", "2048\n"),
        ("vbd-3-51728", "wr_req", "5\n"),
        ("vbd-3-51728", "rd_req", "-1\n"),
        ("vbd-4-51712", "rd_req", "99\n"),
    ] {
        let statistics = folder.path().join(device).join("statistics");
        fs::create_dir_all(&statistics).expect("a device");
        fs::write(statistics.join(file), text).expect("a counter");
    }
    let readings = of_disks(folder.path(), &machine, 3);
    let told: Vec<_> = readings
        .into_iter()
        .map(|reading| (reading.subject, reading.metric, reading.value))
        .collect();
    let disk = |name: &str| Subject::Disk(name.into());
    assert_eq!(
        told,
        [
            (disk("root"), Metric::ReadIops, 12.0),
            (disk("root"), Metric::WriteKibps, 1024.0),
            (disk("data"), Metric::WriteIops, 5.0),
        ]
    );
}
