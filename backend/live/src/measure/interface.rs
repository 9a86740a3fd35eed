//! Network interfaces, from `/proc/net/dev` and, for VLANs, `/proc/net/vlan/config`.

use super::{count, node};
use crate::network::name::Device;
use agent::driver::Reading;
use model::sample::{Metric, Subject};
use std::collections::BTreeMap;

/// Numbers of the VLANs that interfaces are, by the interface's name.
pub fn vlans(config: &str) -> BTreeMap<String, u32> {
    let vlan = |line: &str| {
        let mut fields = line.split('|').map(str::trim);
        let name = fields.next()?.to_owned();
        Some((name, fields.next()?.parse().ok()?))
    };
    config.lines().filter_map(vlan).collect()
}

/// Totals of all interfaces but the loopback and the taps of VMs, which are told of as theirs.
pub fn totals(dev: &str, vlans: &BTreeMap<String, u32>) -> Vec<Reading> {
    let mut readings = Vec::new();
    for line in dev.lines() {
        let Some((name, fields)) = line.split_once(':') else {
            continue;
        };
        let name = name.trim();
        let subject = match (Device::of(name), vlans.get(name)) {
            (Some(Device::Tap(..)), _) => continue,
            _ if name == "lo" => continue,
            (Some(Device::Trunk(network)), _) => Subject::Vlan(network.0),
            (_, Some(number)) => Subject::Vlan(*number),
            _ => Subject::Interface(name.to_owned()),
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |at: usize| count(fields.get(at).copied());
        let kbit = |at: usize| field(at).map(|bytes| bytes * 8.0 / 1_000.0);
        let figures = [
            (Metric::ReceivedKbps, kbit(0)),
            (Metric::ReceivedPackets, field(1)),
            (Metric::ReceiveErrors, field(2)),
            (Metric::ReceiveDrops, field(3)),
            (Metric::SentKbps, kbit(8)),
            (Metric::SentPackets, field(9)),
            (Metric::SendErrors, field(10)),
            (Metric::SendDrops, field(11)),
        ];
        let told = figures.into_iter().filter_map(|(metric, value)| {
            let value = value?;
            Some(node(subject.clone(), metric, value))
        });
        readings.extend(told);
    }
    readings
}
