//! What Incus tells of a container's use of its node, in the schema's units.

use super::instance::guest_name;
use agent::driver::Reading;
use agent::machine::Machine;
use model::sample::{Metric, Source, Subject};
use serde_json::Value;

const MIB: f64 = 1_048_576.0;

/// Figures of `/1.0/instances/<name>/state`; those that Incus leaves at zero for want of a source are
/// left out.
pub fn readings(machine: &Machine, state: &Value) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut take = |subject: &Subject, metric, value: &Value, unit: f64| {
        if let Some(value) = value.as_f64() {
            readings.push(Reading {
                subject: subject.clone(),
                source: Source::Hypervisor,
                metric,
                value: value * unit,
            });
        }
    };
    let whole = Subject::Whole;
    let (cpu, memory) = (&state["cpu"], &state["memory"]);
    if cpu["usage"].as_i64().is_some_and(|nanos| nanos > 0) {
        // The running total of thousandths of a core is milliseconds of processor time.
        take(&whole, Metric::CpuMilli, &cpu["usage"], 1e-6);
    }
    if memory["usage"].as_i64().is_some_and(|bytes| bytes > 0) {
        take(&whole, Metric::MemUsedMib, &memory["usage"], 1.0 / MIB);
        take(
            &whole,
            Metric::SwapUsedMib,
            &memory["swap_usage"],
            1.0 / MIB,
        );
    }
    if memory["total"].as_i64().is_some_and(|bytes| bytes > 0) {
        take(&whole, Metric::MemTotalMib, &memory["total"], 1.0 / MIB);
    }
    let root = &state["disk"]["root"]["usage"];
    if root.as_i64().is_some_and(|bytes| bytes > 0) {
        let subject = Subject::Disk("root".into());
        take(&subject, Metric::SpaceUsedMib, root, 1.0 / MIB);
    }
    for (index, interface) in machine.interfaces.iter().enumerate() {
        let counters = &state["network"][guest_name(index)]["counters"];
        let subject = Subject::Interface(interface.name.clone());
        for (metric, counter, unit) in [
            (Metric::ReceivedKbps, "bytes_received", 8.0 / 1000.0),
            (Metric::ReceivedPackets, "packets_received", 1.0),
            (Metric::ReceiveErrors, "errors_received", 1.0),
            (Metric::ReceiveDrops, "packets_dropped_inbound", 1.0),
            (Metric::SentKbps, "bytes_sent", 8.0 / 1000.0),
            (Metric::SentPackets, "packets_sent", 1.0),
            (Metric::SendErrors, "errors_sent", 1.0),
            (Metric::SendDrops, "packets_dropped_outbound", 1.0),
        ] {
            take(&subject, metric, &counters[counter], unit);
        }
    }
    readings
}
