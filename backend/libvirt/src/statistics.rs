//! What libvirt measures of a VM; what a hypervisor does not tell is left out.

use crate::domain::target;
use crate::door::Ways;
use crate::look::Look;
use agent::driver::Reading;
use agent::machine::Machine;
use model::sample::{Metric, Source, Subject};

const MIB: f64 = 1_048_576.0;

/// Figures of a VM that runs, and the space of its disks.
pub fn readings(look: &Look, machine: &Machine, ways: &Ways) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        let subject = || Subject::Disk(disk.name.clone());
        let target = target(ways, index);
        if let Ok(info) = look.domain.get_block_info(&target, 0) {
            let value = Some(info.allocation as f64 / MIB);
            push(&mut readings, &subject, Metric::SpaceUsedMib, value);
        }
        if look.is_active
            && let Ok(stats) = look.domain.get_block_stats(&target)
        {
            let kib = |bytes| total(bytes).map(|bytes| bytes / 1_024.0);
            push(
                &mut readings,
                &subject,
                Metric::ReadIops,
                total(stats.rd_req),
            );
            push(
                &mut readings,
                &subject,
                Metric::WriteIops,
                total(stats.wr_req),
            );
            push(
                &mut readings,
                &subject,
                Metric::ReadKibps,
                kib(stats.rd_bytes),
            );
            push(
                &mut readings,
                &subject,
                Metric::WriteKibps,
                kib(stats.wr_bytes),
            );
        }
    }
    if look.is_active {
        of_interfaces(look, machine, &mut readings);
        of_processor_and_memory(look, &mut readings);
    }
    readings
}

fn of_interfaces(look: &Look, machine: &Machine, readings: &mut Vec<Reading>) {
    for interface in &machine.interfaces {
        let mac = interface.mac.map(|octet| format!("{octet:02x}")).join(":");
        let Ok(stats) = look.domain.interface_stats(&mac) else {
            continue;
        };
        let kbit = |bytes| total(bytes).map(|bytes| bytes * 8.0 / 1_000.0);
        for (metric, value) in [
            (Metric::ReceivedKbps, kbit(stats.rx_bytes)),
            (Metric::ReceivedPackets, total(stats.rx_packets)),
            (Metric::ReceiveErrors, total(stats.rx_errs)),
            (Metric::ReceiveDrops, total(stats.rx_drop)),
            (Metric::SentKbps, kbit(stats.tx_bytes)),
            (Metric::SentPackets, total(stats.tx_packets)),
            (Metric::SendErrors, total(stats.tx_errs)),
            (Metric::SendDrops, total(stats.tx_drop)),
        ] {
            push(
                readings,
                &|| Subject::Interface(interface.name.clone()),
                metric,
                value,
            );
        }
    }
}

fn of_processor_and_memory(look: &Look, readings: &mut Vec<Reading>) {
    let whole = || Subject::Whole;
    if let Ok(info) = look.domain.get_info() {
        // The running total of thousandths of a core is milliseconds of processor time.
        let millis = info.cpu_time as f64 / 1e6;
        push(readings, &whole, Metric::CpuMilli, Some(millis));
    }
    let stats = look.domain.memory_stats(0).unwrap_or_default();
    let stat = |tag| {
        let found = stats.iter().find(|stat| stat.tag == tag);
        found.map(|stat| stat.val as f64)
    };
    let mib = |tag| stat(tag).map(|kib| kib / 1_024.0);
    push(
        readings,
        &whole,
        Metric::MemUsedMib,
        mib(virt_sys::VIR_DOMAIN_MEMORY_STAT_RSS),
    );
    let total = mib(virt_sys::VIR_DOMAIN_MEMORY_STAT_AVAILABLE);
    let free = mib(virt_sys::VIR_DOMAIN_MEMORY_STAT_UNUSED);
    for (metric, value) in [
        (Metric::MemTotalMib, total),
        (
            Metric::MemUsedMib,
            total.zip(free).map(|(total, free)| total - free),
        ),
        (
            Metric::MemAvailableMib,
            mib(virt_sys::VIR_DOMAIN_MEMORY_STAT_USABLE),
        ),
        (
            Metric::MajorFaults,
            stat(virt_sys::VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT),
        ),
    ] {
        readings.extend(value.map(|value| Reading {
            subject: Subject::Whole,
            source: Source::Guest,
            metric,
            value,
        }));
    }
}

/// A running total; libvirt tells one that it does not know as -1.
fn total(value: i64) -> Option<f64> {
    (value >= 0).then_some(value as f64)
}

fn push(
    readings: &mut Vec<Reading>,
    subject: &dyn Fn() -> Subject,
    metric: Metric,
    value: Option<f64>,
) {
    readings.extend(value.map(|value| Reading {
        subject: subject(),
        source: Source::Hypervisor,
        metric,
        value,
    }));
}
