//! DHCP for those that the order gives no address: one dnsmasq a tenant network, in a network
//! namespace of its own, where no other tenant's addresses and none of the node's are.
//!
//! It decides nothing: addresses are decided when a port is made, and stand in the server's command
//! line. So there are no leases to keep or to lose, the packet filter knows every address beforehand,
//! and whether the right server runs is read off its process. A VM that is to keep its address when
//! it moves to another node has it in its order.

use super::call::Call;
use super::found::Found;
use super::name::Device;
use super::port::{Port, mac_text};
use super::{Pool, Settings, guest_mtu};
use model::id::NetworkId;
use std::net::Ipv4Addr;

/// A network's server runs and knows these ports, at least one of which it gives its address. A
/// server that knows others is replaced, namespace and all, so that nothing need wait for its end.
pub fn serve(
    settings: &Settings,
    pool: Pool,
    network: NetworkId,
    ports: &[&Port],
    found: &Found,
) -> Vec<Call> {
    let mtu = guest_mtu(settings);
    let words = daemon(pool, mtu, ports);
    let runs = found.servers.get(&network).is_some_and(|processes| {
        let [process] = processes.as_slice() else {
            return false;
        };
        process.words == words
    });
    if runs
        && found
            .links
            .get(&Device::Server(network))
            .is_some_and(|link| link.up)
    {
        return Vec::new();
    }
    let mut calls = dismiss(network, found);
    let room = Device::Server(network).name();
    let bridge = Device::Bridge(network).name();
    let links = [
        format!("netns add {room}"),
        format!("link add name {room} type veth peer name server netns {room}"),
        format!("link set dev {room} master {bridge} mtu {mtu} addrgenmode none up"),
    ];
    calls.push(Call::lines("ip -batch -", &links));
    let own = [
        format!("addr add {}/{} dev server", pool.first, pool.prefix),
        format!("link set dev server mtu {mtu} up"),
        "link set dev lo up".to_owned(),
    ];
    calls.push(Call::lines(&format!("ip -netns {room} -batch -"), &own));
    let mut start = Call::words(&format!("ip netns exec {room}"));
    start.words.extend(words);
    calls.push(start);
    calls
}

/// The server itself, which goes to the background by its own means and lives on without the agent.
fn daemon(pool: Pool, mtu: u32, ports: &[&Port]) -> Vec<String> {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(pool.prefix))
        .unwrap_or(0);
    // No name service, no lease file, no default route (the tenant's own router tells it), and no
    // configuration but this.
    let line = format!(
        "dnsmasq --conf-file=/dev/null --port=0 --bind-dynamic --interface=server --no-ping \
         --leasefile-ro --quiet-dhcp --pid-file= --dhcp-option=option:router \
         --dhcp-option=option:mtu,{mtu} --dhcp-range={},static,{},12h",
        pool.first,
        Ipv4Addr::from(mask),
    );
    let hosts = ports.iter().filter_map(|port| {
        let address = port.leased?;
        Some(format!("--dhcp-host={},{address}", mac_text(port.mac)))
    });
    line.split_whitespace()
        .map(str::to_owned)
        .chain(hosts)
        .collect()
}

/// Nothing of a network's server is left.
pub fn dismiss(network: NetworkId, found: &Found) -> Vec<Call> {
    let mut calls = Vec::new();
    let room = Device::Server(network).name();
    for process in found.servers.get(&network).into_iter().flatten() {
        calls.push(Call::words(&format!("kill -KILL {}", process.id)));
    }
    let mut links = Vec::new();
    if found.links.contains_key(&Device::Server(network)) {
        links.push(format!("link del dev {room}"));
    }
    if found.servers.contains_key(&network) {
        links.push(format!("netns del {room}"));
    }
    if !links.is_empty() {
        calls.push(Call::lines("ip -batch -", &links));
    }
    calls
}
