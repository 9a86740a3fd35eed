//! What the node itself tells of a VM, whatever runs it: the space of its disks, and the node's ends
//! of its interfaces.

use agent::driver::Reading;
use agent::machine::Machine;
use model::sample::{Metric, Source, Subject};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// `st_blocks` counts these, whatever the file system's own are (stat(2)).
const BLOCK_BYTES: f64 = 512.0;

/// One reading.
pub const fn of(subject: Subject, source: Source, metric: Metric, value: f64) -> Reading {
    Reading {
        subject,
        source,
        metric,
        value,
    }
}

/// The space that the file of each disk takes, in MiB.
pub fn space(machine: &Machine) -> Vec<Reading> {
    let disks = machine.disks.iter().filter_map(|disk| {
        let blocks = fs::metadata(&disk.path).ok()?.blocks() as f64;
        let value = blocks * BLOCK_BYTES / f64::from(1 << 20);
        let subject = Subject::Disk(disk.name.clone());
        Some(of(subject, Source::Node, Metric::SpaceUsedMib, value))
    });
    disks.collect()
}

/// The running totals of an interface at the node's end of it: what the guest receives, its tap
/// sends. Of a device that is not there, nothing.
pub fn tap(interface: &str, device: &str) -> Vec<Reading> {
    let figures = [
        (Metric::ReceivedKbps, "tx_bytes", 8.0 / 1_000.0),
        (Metric::ReceivedPackets, "tx_packets", 1.0),
        (Metric::ReceiveErrors, "tx_errors", 1.0),
        (Metric::ReceiveDrops, "tx_dropped", 1.0),
        (Metric::SentKbps, "rx_bytes", 8.0 / 1_000.0),
        (Metric::SentPackets, "rx_packets", 1.0),
        (Metric::SendErrors, "rx_errors", 1.0),
        (Metric::SendDrops, "rx_dropped", 1.0),
    ];
    let counters = Path::new("/sys/class/net").join(device).join("statistics");
    let figures = figures.into_iter().filter_map(|(metric, file, unit)| {
        let text = fs::read_to_string(counters.join(file)).ok()?;
        let value: f64 = text.trim().parse().ok()?;
        let subject = Subject::Interface(interface.to_owned());
        Some(of(subject, Source::Node, metric, value * unit))
    });
    figures.collect()
}
