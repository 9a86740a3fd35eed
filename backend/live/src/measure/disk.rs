//! Disks and their health, from `/proc/diskstats` (Linux, Documentation/admin-guide/iostats.rst) and
//! `smartctl --json`.

use super::{count, node};
use agent::driver::Reading;
use model::sample::{Metric, Subject};
use serde::Deserialize;

/// KiB of a sector in the kernel's counts, whatever the disk's own sectors are.
const SECTOR_KIB: f64 = 0.5;

/// The attribute by which ATA disks count sectors that they replaced.
const REALLOCATED: u32 = 5;

/// What one disk did since the boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    /// Its name, as `vda`.
    pub name: String,
    /// KiB read and written.
    pub kib: [f64; 2],
    /// Milliseconds in which it had something to do.
    pub busy_millis: f64,
    /// Operations and how long they took.
    pub waits: Waits,
}

/// Operations and how long they took, reads before writes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits {
    /// Operations that have ended.
    pub operations: [f64; 2],
    /// Milliseconds that all of them took together.
    pub millis: [f64; 2],
}

/// The totals of all disks and partitions; lines that make no sense are passed over.
pub fn totals(diskstats: &str) -> Vec<Totals> {
    let disk = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let field = |at: usize| count(fields.get(at).copied());
        Some(Totals {
            name: (*fields.get(2)?).to_owned(),
            kib: [field(5)? * SECTOR_KIB, field(9)? * SECTOR_KIB],
            busy_millis: field(12)?,
            waits: Waits {
                operations: [field(3)?, field(7)?],
                millis: [field(6)?, field(10)?],
            },
        })
    };
    diskstats.lines().filter_map(disk).collect()
}

impl Totals {
    /// The figures; `before`: what it had done when it was asked last. A latency is told only of
    /// operations that ended since.
    pub fn readings(&self, before: Option<Waits>) -> Vec<Reading> {
        let mut figures = vec![
            (Metric::ReadIops, self.waits.operations[0]),
            (Metric::WriteIops, self.waits.operations[1]),
            (Metric::ReadKibps, self.kib[0]),
            (Metric::WriteKibps, self.kib[1]),
            (Metric::BusyMilli, self.busy_millis),
        ];
        let latencies = [Metric::ReadLatencyMicros, Metric::WriteLatencyMicros];
        for (way, metric) in latencies.into_iter().enumerate() {
            let Some(before) = before else { continue };
            let operations = self.waits.operations[way] - before.operations[way];
            let millis = self.waits.millis[way] - before.millis[way];
            if operations > 0.0 && millis >= 0.0 {
                figures.push((metric, millis * 1_000.0 / operations));
            }
        }
        figures
            .into_iter()
            .map(|(metric, value)| node(Subject::Disk(self.name.clone()), metric, value))
            .collect()
    }
}

/// What a disk tells of its health (smartctl(8), `--json`).
pub fn health(disk: &str, json: &str) -> Vec<Reading> {
    #[derive(Deserialize)]
    struct Told {
        temperature: Option<Temperature>,
        ata_smart_attributes: Option<Attributes>,
        scsi_grown_defect_list: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Temperature {
        current: Option<i32>,
    }
    #[derive(Deserialize)]
    struct Attributes {
        #[serde(default)]
        table: Vec<Attribute>,
    }
    #[derive(Deserialize)]
    struct Attribute {
        id: u32,
        raw: Raw,
    }
    #[derive(Deserialize)]
    struct Raw {
        value: u64,
    }
    let Ok(told) = serde_json::from_str::<Told>(json) else {
        return Vec::new();
    };
    let table = told.ata_smart_attributes.map(|told| told.table);
    let attribute = table.into_iter().flatten().find(|a| a.id == REALLOCATED);
    let sectors = attribute.map(|attribute| attribute.raw.value);
    let sectors = sectors.or(told.scsi_grown_defect_list).map(|n| n as f64);
    let celsius = told
        .temperature
        .and_then(|told| told.current)
        .map(f64::from);
    [
        (Metric::ReallocatedSectors, sectors),
        (Metric::TemperatureCelsius, celsius),
    ]
    .into_iter()
    .filter_map(|(metric, value)| Some(node(Subject::Disk(disk.to_owned()), metric, value?)))
    .collect()
}
