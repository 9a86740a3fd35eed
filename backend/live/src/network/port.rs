//! An interface as its node holds it: checked, its addresses decided.

use super::name::Device;
use super::{NetworkError, Pool, Settings, Trunk};
use agent::machine::Plug;
use agent::naming::{MOST_INTERFACES, bridge_name, tap_name};
use model::blueprint::{FirewallRule, Interface};
use model::hypervisor::words;
use model::id::{NetworkId, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// One interface of a VM on this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Of which VM.
    pub vm: VmId,
    /// Which of its interfaces, from 0.
    pub place: usize,
    /// The interface's name in its blueprint.
    pub name: String,
    /// The tenant network that it is plugged into.
    pub network: NetworkId,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Addresses that the guest may send from; empty: any, as another server gives them.
    pub addresses: Vec<IpAddr>,
    /// The address of `addresses` that this node's DHCP server gives; `None`: it gives none.
    pub leased: Option<Ipv4Addr>,
    /// Limit each way in Mbit a second; `None`: none.
    pub mbps: Option<u32>,
    /// What others may open; empty: everything.
    pub allowed: Vec<FirewallRule>,
    /// What the other end is.
    pub end: End,
}

words! {
    /// What an interface's other end is.
    End {
        /// A tap, made here.
        Tap,
        /// A device that the hypervisor makes, calls by the port's name and puts into the bridge, as
        /// those of containers do; the rules wait for it.
        Hypervisor,
    }
}

impl Port {
    /// Its device on the node.
    pub const fn device(&self) -> Device {
        Device::Tap(self.vm, self.place)
    }
}

/// The port of an interface beside those that the node has; `None`: it needs none. An address once
/// leased stays.
///
/// # Errors
/// The first field that cannot be honoured here, or that no address is left.
pub fn port(
    settings: &Settings,
    all: &BTreeMap<Device, Port>,
    vm: VmId,
    interface: &Interface,
    plug: &Plug,
) -> Result<Option<Port>, NetworkError> {
    let own = || all.values().filter(|port| port.vm == vm);
    let former = own().find(|port| port.name == interface.name);
    let free = |place: &usize| own().all(|port| port.place != *place);
    let places = || former.map(|port| port.place).into_iter();
    let (end, place) = match plug {
        Plug::User { .. } => return Ok(None),
        Plug::Tap { name } => {
            let mut places = places().chain((0..MOST_INTERFACES).filter(free));
            let place = places.find(|place| tap_name(vm, *place) == *name);
            let expected = format!(
                "a free name for an interface of {vm}, as {}",
                tap_name(vm, 0)
            );
            let wrong = || invalid("plug.name", name, &expected);
            (End::Tap, place.ok_or_else(wrong)?)
        }
        Plug::Bridge { name } => {
            let expected = bridge_name(interface.network);
            if *name != expected {
                return Err(invalid("plug.name", name, &expected));
            }
            let place = places().chain((0..MOST_INTERFACES).filter(free)).next();
            let wrong = || invalid("place", "beyond the last", "a place below 62");
            (End::Hypervisor, place.ok_or_else(wrong)?)
        }
    };
    let others: Vec<&Port> = all
        .values()
        .filter(|port| port.network == interface.network)
        .filter(|port| (port.vm, port.place) != (vm, place))
        .collect();
    check(settings, &others, interface)?;
    let mut addresses: Vec<IpAddr> = interface.addresses.iter().map(|(ip, _)| *ip).collect();
    let leased = match settings.pool {
        Some(pool) if addresses.is_empty() => {
            let same = former.filter(|port| port.network == interface.network);
            let before = same.and_then(|port| port.leased);
            Some(lease(&others, interface.network, pool, before)?)
        }
        _ => None,
    };
    addresses.extend(leased.map(IpAddr::V4));
    Ok(Some(Port {
        vm,
        place,
        name: interface.name.clone(),
        network: interface.network,
        mac: interface.mac,
        addresses,
        leased,
        mbps: interface.mbps,
        allowed: interface.allowed.clone(),
        end,
    }))
}

/// The former address where it is still free, else the lowest free one.
fn lease(
    others: &[&Port],
    network: NetworkId,
    pool: Pool,
    former: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, NetworkError> {
    let guests = u32::from(pool.first).saturating_add(1)..=u32::from(pool.last);
    let free = |address: &Ipv4Addr| {
        let address = IpAddr::V4(*address);
        others.iter().all(|port| !port.addresses.contains(&address))
    };
    former
        .filter(|address| guests.contains(&u32::from(*address)))
        .into_iter()
        .chain(guests.clone().map(Ipv4Addr::from))
        .find(free)
        .ok_or(NetworkError::NoAddress { network, pool })
}

/// Whether an interface can stand beside the others of its network.
fn check(settings: &Settings, others: &[&Port], interface: &Interface) -> Result<(), NetworkError> {
    // The numbers of VXLANs have 24 bits (RFC 7348); VLAN 0 and 4095 are reserved (IEEE 802.1Q).
    let (last, numbers) = match settings.trunk {
        Trunk::Vlan { .. } => (4_094, "a VLAN's number, 1 to 4094"),
        Trunk::None | Trunk::Vxlan { .. } => (0xff_ffff, "a VXLAN's number, 1 to 16777215"),
    };
    if !(1..=last).contains(&interface.network.0) {
        return Err(invalid(
            "network",
            &interface.network.0.to_string(),
            numbers,
        ));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if interface.name.is_empty() || !interface.name.chars().all(word) {
        let expected = "a word of letters, digits and -";
        return Err(invalid("name", &format!("{:?}", interface.name), expected));
    }
    let mac = mac_text(interface.mac);
    if interface.mac[0] & 1 != 0 || interface.mac == [0; 6] {
        let expected = "the address of one interface, its first octet even";
        return Err(invalid("mac", &mac, expected));
    }
    if let Some(port) = others.iter().find(|port| port.mac == interface.mac) {
        let expected = format!("an address that {} does not have", port.vm);
        return Err(invalid("mac", &mac, &expected));
    }
    if interface.mbps == Some(0) {
        return Err(invalid("mbps", "0", "at least 1, or none for no limit"));
    }
    let sources = interface.allowed.iter().filter_map(|rule| rule.from);
    for (ip, prefix) in interface.addresses.iter().copied().chain(sources) {
        if prefix > if ip.is_ipv4() { 32 } else { 128 } {
            let expected = "a prefix no longer than the address";
            return Err(invalid("addresses", &format!("{ip}/{prefix}"), expected));
        }
    }
    for (ip, _) in &interface.addresses {
        if let Some(port) = others.iter().find(|port| port.addresses.contains(ip)) {
            let expected = format!("an address that {} does not have", port.vm);
            return Err(invalid("addresses", &ip.to_string(), &expected));
        }
    }
    Ok(())
}

fn invalid(field: &str, found: &str, expected: &str) -> NetworkError {
    NetworkError::Invalid {
        field: field.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

/// A hardware address as `52:54:00:12:34:56`.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}
