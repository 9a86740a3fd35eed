//! Memory, swap and what is shared, from `/proc/meminfo`, `/proc/vmstat` and `/sys/kernel/mm/ksm`.

use super::{count, node};
use agent::driver::Reading;
use model::sample::{Metric, Subject};

/// Memory in all, in use and still to be had, and swap space in use where there is any.
pub fn used(meminfo: &str) -> Vec<Reading> {
    let mib = |name| field(meminfo, name).map(|kib| kib / 1_024.0);
    let total = mib("MemTotal");
    let available = mib("MemAvailable");
    let used = total.zip(available).map(|(total, free)| total - free);
    let swap = mib("SwapTotal").filter(|total| *total > 0.0);
    let swapped = swap.zip(mib("SwapFree")).map(|(total, free)| total - free);
    [
        (Metric::MemTotalMib, total),
        (Metric::MemUsedMib, used),
        (Metric::MemAvailableMib, available),
        (Metric::SwapUsedMib, swapped),
    ]
    .into_iter()
    // The kernel counts without stopping: for an instant a part may be more than the whole.
    .filter_map(|(metric, mib)| Some(node(Subject::Whole, metric, mib?.max(0.0))))
    .collect()
}

/// Page faults that took a disk.
pub fn faults(vmstat: &str) -> Option<Reading> {
    let line = vmstat
        .lines()
        .find_map(|line| line.strip_prefix("pgmajfault "));
    let faults = count(line.map(str::trim))?;
    Some(node(Subject::Whole, Metric::MajorFaults, faults))
}

/// Memory that merging equal pages saves, from `pages_sharing` (Linux, Documentation/admin-guide/mm/
/// ksm.rst).
pub fn shared(pages_sharing: &str, page_bytes: usize) -> Option<Reading> {
    let pages = count(Some(pages_sharing.trim()))?;
    let mib = pages * page_bytes as f64 / 1_048_576.0;
    Some(node(Subject::Whole, Metric::MemSharedMib, mib))
}

/// Memory promised to VMs against the node's own.
pub fn overcommit(meminfo: &str, promised_mib: u64) -> Option<Reading> {
    let total = field(meminfo, "MemTotal").filter(|total| *total > 0.0)? / 1_024.0;
    let value = promised_mib as f64 / total * 1_000.0;
    Some(node(Subject::Whole, Metric::MemOvercommitMilli, value))
}

/// A figure in KiB.
fn field(meminfo: &str, name: &str) -> Option<f64> {
    meminfo.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        count(value.split_whitespace().next())
    })
}
