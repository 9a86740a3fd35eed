//! From what is found to what is wanted: one pure function, whatever happened in between.

use super::call::Call;
use super::found::Found;
use super::name::Device;
use super::port::{End, Port};
use super::{Pool, Settings, Trunk, guest_mtu, rules, server};
use model::id::NetworkId;
use std::collections::{BTreeMap, BTreeSet};

/// UDP port of VXLAN (RFC 7348).
const VXLAN_PORT: u16 = 4_789;

/// The calls that lead there, in order. A tap appears only once its rules hold, and is gone before
/// they go, so that no frame ever passes unfiltered. Rules of other ports than those `rewritten` are
/// taken as they are, where they are there.
pub fn settle(
    settings: &Settings,
    wanted: &BTreeMap<Device, Port>,
    found: &Found,
    rewritten: &dyn Fn(&Port) -> bool,
) -> Vec<Call> {
    let networks: BTreeSet<NetworkId> = wanted.values().map(|port| port.network).collect();
    let mut calls = Vec::new();
    calls.extend(batch("ip -batch -", taps_gone(wanted, found)));
    calls.extend(batch("ip -batch -", bridges(settings, &networks, found)));
    calls.extend(batch("bridge -batch -", floods(settings, &networks, found)));
    calls.extend(batch(
        "nft -f -",
        filter(settings, wanted, found, rewritten),
    ));
    calls.extend(batch("ip -batch -", taps(settings, wanted, found)));
    let served = served(settings, wanted);
    for (&network, (pool, ports)) in &served {
        calls.extend(server::serve(settings, *pool, network, ports, found));
    }
    for network in servers(found).iter().filter(|n| !served.contains_key(n)) {
        calls.extend(server::dismiss(*network, found));
    }
    calls.extend(batch("ip -batch -", networks_gone(&networks, found)));
    calls
}

fn batch(line: &str, lines: Vec<String>) -> Option<Call> {
    (!lines.is_empty()).then(|| Call::lines(line, &lines))
}

/// Taps that nobody wants go first.
fn taps_gone(wanted: &BTreeMap<Device, Port>, found: &Found) -> Vec<String> {
    let taps = found.links.keys().filter(|d| matches!(d, Device::Tap(..)));
    taps.filter(|tap| !wanted.contains_key(tap))
        .map(|tap| format!("link del dev {}", tap.name()))
        .collect()
}

/// Each network has its bridge and its trunk.
fn bridges(settings: &Settings, networks: &BTreeSet<NetworkId>, found: &Found) -> Vec<String> {
    let mtu = guest_mtu(settings);
    let mut lines = Vec::new();
    for &network in networks {
        let (bridge, trunk) = (Device::Bridge(network), Device::Trunk(network));
        let name = bridge.name();
        if !found.links.contains_key(&bridge) {
            lines.push(format!(
                "link add name {name} type bridge stp_state 0 mcast_snooping 0"
            ));
        }
        if !found
            .links
            .get(&bridge)
            .is_some_and(|l| l.up && l.mtu == mtu)
        {
            lines.push(format!("link set dev {name} mtu {mtu} addrgenmode none up"));
        }
        let add = match &settings.trunk {
            Trunk::None => continue,
            Trunk::Vxlan { local, .. } => format!(
                "link add name {} type vxlan id {} local {local} dstport {VXLAN_PORT}",
                trunk.name(),
                network.0
            ),
            Trunk::Vlan { link } => format!(
                "link add link {link} name {} type vlan id {}",
                trunk.name(),
                network.0
            ),
        };
        if !found.links.contains_key(&trunk) {
            lines.push(add);
        }
        let joined = found.links.get(&trunk).is_some_and(|link| {
            link.up && link.mtu == mtu && link.bridge.as_deref() == Some(&name)
        });
        if !joined {
            lines.push(format!(
                "link set dev {} master {name} mtu {mtu} addrgenmode none up",
                trunk.name()
            ));
        }
    }
    lines
}

/// What is for all, or for an address not yet seen, goes to every other node.
fn floods(settings: &Settings, networks: &BTreeSet<NetworkId>, found: &Found) -> Vec<String> {
    let Trunk::Vxlan { peers, .. } = &settings.trunk else {
        return Vec::new();
    };
    let none = BTreeSet::new();
    let mut lines = Vec::new();
    for &network in networks {
        let trunk = Device::Trunk(network).name();
        let known = found.peers.get(&network).unwrap_or(&none);
        let line = |verb, peer| format!("fdb {verb} 00:00:00:00:00:00 dev {trunk} dst {peer} self");
        lines.extend(peers.difference(known).map(|peer| line("append", peer)));
        lines.extend(known.difference(peers).map(|peer| line("del", peer)));
    }
    lines
}

/// One transaction for all ports.
fn filter(
    settings: &Settings,
    wanted: &BTreeMap<Device, Port>,
    found: &Found,
    rewritten: &dyn Fn(&Port) -> bool,
) -> Vec<String> {
    if wanted.is_empty() {
        return rules::without_base();
    }
    let mut lines = rules::base(settings);
    for (tap, port) in wanted {
        if rewritten(port) || !found.filtered.contains(tap) {
            lines.extend(rules::port(settings, port));
        }
    }
    for tap in found
        .filtered
        .iter()
        .filter(|tap| !wanted.contains_key(tap))
    {
        lines.extend(rules::without_port(*tap));
    }
    lines
}

fn taps(settings: &Settings, wanted: &BTreeMap<Device, Port>, found: &Found) -> Vec<String> {
    let mtu = guest_mtu(settings);
    let mut lines = Vec::new();
    for (tap, port) in wanted.iter().filter(|(_, port)| port.end == End::Tap) {
        let (name, bridge) = (tap.name(), Device::Bridge(port.network).name());
        if !found.links.contains_key(tap) {
            lines.push(format!("tuntap add dev {name} mode tap"));
        }
        let joined = found.links.get(tap).is_some_and(|link| {
            link.up && link.mtu == mtu && link.bridge.as_deref() == Some(&bridge)
        });
        if !joined {
            lines.push(format!(
                "link set dev {name} alias vm-{}/{} master {bridge} mtu {mtu} addrgenmode none up",
                port.vm.0, port.name
            ));
        }
    }
    lines
}

/// Networks that need a DHCP server here, with what it is to know.
fn served<'a>(
    settings: &Settings,
    wanted: &'a BTreeMap<Device, Port>,
) -> BTreeMap<NetworkId, (Pool, Vec<&'a Port>)> {
    let mut served: BTreeMap<_, (Pool, Vec<_>)> = BTreeMap::new();
    if let Some(pool) = settings.pool {
        for port in wanted.values().filter(|port| port.leased.is_some()) {
            let (_, ports) = served
                .entry(port.network)
                .or_insert_with(|| (pool, Vec::new()));
            ports.push(port);
        }
    }
    served
}

/// Networks of which there is anything of a server.
fn servers(found: &Found) -> BTreeSet<NetworkId> {
    let cables = found.links.keys().filter_map(|device| match device {
        Device::Server(network) => Some(*network),
        _ => None,
    });
    cables.chain(found.servers.keys().copied()).collect()
}

/// Bridges and trunks that no port is left in.
fn networks_gone(networks: &BTreeSet<NetworkId>, found: &Found) -> Vec<String> {
    let gone = found.links.keys().filter(|device| match device {
        Device::Bridge(network) | Device::Trunk(network) => !networks.contains(network),
        Device::Server(_) | Device::Tap(..) => false,
    });
    gone.map(|device| format!("link del dev {}", device.name()))
        .collect()
}
