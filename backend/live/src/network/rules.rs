//! The packet filter, as text for nftables: who may send as whom, who may open what, how fast.
//!
//! All of it is in tables called `gridwright`, and each text is one transaction. What a frame meets
//! is chosen by the device through which it enters or leaves:
//!
//! | Chain | Frames | What is dropped |
//! |---|---|---|
//! | `entering` → `from-<tap>` | of a guest | another's hardware or IP address, in ARP and neighbour discovery too; other protocols, VLAN tags among them; what is over the limit |
//! | `leaving` → `to-<tap>` | to a guest | what is for another hardware address; what is over the limit; where rules are given, what neither they nor the guest itself opened |
//! | `node` | to the node itself | everything |
//! | `inet`: `underlay` | VXLAN | what is from no node of the grid |
//!
//! What a guest opened is kept in a set for each port, not in the kernel's connection tracking: that
//! is missing for bridges in many kernels, would mix up tenants who use the same addresses, and
//! forgets a connection when its VM moves, where here the guest's next packet opens it again.

use super::name::Device;
use super::port::{Port, mac_text};
use super::{Settings, Trunk};
use model::blueprint::{FirewallRule, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long an idle TCP connection stays open: longer than the two hours after which Linux asks
/// whether the other end is alive (tcp(7), `tcp_keepalive_time`).
const TCP_IDLE: &str = "3h";
/// How long UDP answers may take: as the kernel's own tracking of a stream
/// (`nf_conntrack_udp_timeout_stream`, 120 s), and a minute more.
const UDP_IDLE: &str = "3m";
/// Connections that one guest may have open beside each other; those beyond get no answers. Each takes
/// about 200 bytes of the node's memory, and only its own guest can use them up.
const MOST_FLOWS: u32 = 65_536;

/// The tables and their chains, made where they are not there; ports stay as they are.
pub fn base(settings: &Settings) -> Vec<String> {
    let mut lines: Vec<String> = [
        "add table bridge gridwright",
        "add map bridge gridwright from { type ifname : verdict; }",
        "add map bridge gridwright to { type ifname : verdict; }",
        "add chain bridge gridwright entering { type filter hook prerouting priority -200; policy accept; }",
        "flush chain bridge gridwright entering",
        "add rule bridge gridwright entering iifname vmap @from",
        "add chain bridge gridwright leaving { type filter hook postrouting priority 200; policy accept; }",
        "flush chain bridge gridwright leaving",
        "add rule bridge gridwright leaving oifname vmap @to",
        "add chain bridge gridwright node { type filter hook input priority -200; policy accept; }",
        "flush chain bridge gridwright node",
        // All ports of our bridges are called so, and of no other's.
        "add rule bridge gridwright node iifname \"gw*\" drop",
    ]
    .map(str::to_owned)
    .to_vec();
    if let Trunk::Vxlan { peers, .. } = &settings.trunk {
        lines.extend(
            [
                "add table inet gridwright",
                "add chain inet gridwright underlay { type filter hook input priority -10; policy accept; }",
                "flush chain inet gridwright underlay",
            ]
            .map(str::to_owned),
        );
        for (family, listed) in [
            ("ip", list(peers.iter().filter(|ip| ip.is_ipv4()))),
            ("ip6", list(peers.iter().filter(|ip| ip.is_ipv6()))),
        ] {
            // An empty set cannot be written: nobody is none of the other nodes.
            let others = listed.map_or(String::new(), |peers| format!("{family} saddr != {peers}"));
            lines.push(format!(
                "add rule inet gridwright underlay meta nfproto {} udp dport 4789 {others} drop",
                if family == "ip" { "ipv4" } else { "ipv6" },
            ));
        }
    }
    lines
}

/// The tables go, once no port is left.
pub fn without_base() -> Vec<String> {
    // Added first, for what is not there cannot be deleted.
    ["bridge", "inet"]
        .iter()
        .flat_map(|family| {
            ["add", "delete"].map(|verb| format!("{verb} table {family} gridwright"))
        })
        .collect()
}

/// One port, anew; what its guest opened stays open.
pub fn port(settings: &Settings, port: &Port) -> Vec<String> {
    let tap = port.device().name();
    let mut lines = declared(&tap);
    lines.extend(["from", "to"].map(|way| format!("flush chain bridge gridwright {way}-{tap}")));
    let rules = |way: &'static str, rules: Vec<String>| {
        let tap = tap.clone();
        rules
            .into_iter()
            .map(move |rule| format!("add rule bridge gridwright {way}-{tap} {rule}"))
    };
    lines.extend(rules("from", from(settings, port, &tap)));
    lines.extend(rules("to", to(port, &tap)));
    lines
}

/// A port is forgotten, whatever of it is there.
pub fn without_port(tap: Device) -> Vec<String> {
    let tap = tap.name();
    let mut lines = declared(&tap);
    for way in ["from", "to"] {
        lines.push(format!(
            "delete element bridge gridwright {way} {{ \"{tap}\" }}"
        ));
        lines.push(format!("flush chain bridge gridwright {way}-{tap}"));
    }
    for way in ["from", "to"] {
        lines.push(format!("delete chain bridge gridwright {way}-{tap}"));
    }
    lines.extend(["4", "6"].map(|v| format!("delete set bridge gridwright flows{v}-{tap}")));
    lines
}

/// Sets, chains and the ways to them, made where they are not there.
fn declared(tap: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for version in ["4", "6"] {
        let address = format!("ipv{version}_addr");
        lines.push(format!(
            "add set bridge gridwright flows{version}-{tap} {{ type {address} . inet_proto . \
             inet_service . {address} . inet_service; flags dynamic,timeout; size {MOST_FLOWS}; }}"
        ));
    }
    for way in ["from", "to"] {
        lines.push(format!("add chain bridge gridwright {way}-{tap}"));
        lines.push(format!(
            "add element bridge gridwright {way} {{ \"{tap}\" : jump {way}-{tap} }}"
        ));
    }
    lines
}

/// What is done with a frame of the guest.
fn from(settings: &Settings, port: &Port, tap: &str) -> Vec<String> {
    let mac = mac_text(port.mac);
    let mut rules = vec![
        format!("ether saddr != {mac} drop"),
        "ether type != { arp, ip, ip6 } drop".to_owned(),
        format!("arp saddr ether != {mac} drop"),
    ];
    rules.extend(over(port.mbps));
    if settings.pool.is_some() {
        rules.push("udp sport 67 drop".to_owned());
        rules.push("ip6 nexthdr icmpv6 icmpv6 type nd-router-advert drop".to_owned());
    }
    if !port.addresses.is_empty() {
        rules.extend(pinned(&port.addresses));
    }
    if !port.allowed.is_empty() {
        for (version, ip) in [("4", "ip"), ("6", "ip6")] {
            for (transport, idle) in [("tcp", TCP_IDLE), ("udp", UDP_IDLE)] {
                rules.push(format!(
                    "meta l4proto {transport} update @flows{version}-{tap} {{ {ip} saddr . \
                     meta l4proto . th sport . {ip} daddr . th dport timeout {idle} }}"
                ));
            }
        }
    }
    rules
}

/// Other source addresses are dropped, where a guest has none yet and asks for one excepted.
fn pinned(addresses: &[IpAddr]) -> Vec<String> {
    let v4 = |more: &str| {
        let own = list(addresses.iter().filter(|ip| ip.is_ipv4()));
        own.map_or(format!("{{ {more} }}"), |own| {
            own.replace("{ ", &format!("{{ {more}, "))
        })
    };
    let own6: Vec<String> = addresses
        .iter()
        .filter(|ip| ip.is_ipv6())
        .map(|ip| format!(", {ip}"))
        .collect();
    let mut rules = vec![
        format!("arp saddr ip != {} drop", v4("0.0.0.0")),
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept".to_owned(),
        match list(addresses.iter().filter(|ip| ip.is_ipv4())) {
            Some(own) => format!("ip saddr != {own} drop"),
            None => "ether type ip drop".to_owned(),
        },
        format!("ip6 saddr != {{ ::, fe80::/10{} }} drop", own6.concat()),
    ];
    // Whose address a neighbour advertisement announces: 8 bytes into it (RFC 4861, 4.4). Anybody
    // may announce an address of the link alone, fe80::/10.
    let others: Vec<String> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V6(ip) => Some(format!(" @th,64,128 != {:#x}", u128::from(*ip))),
            IpAddr::V4(_) => None,
        })
        .collect();
    rules.push(format!(
        "icmpv6 type nd-neighbor-advert @th,64,10 != 0x3fa{} drop",
        others.concat()
    ));
    rules
}

/// What is done with a frame to the guest.
fn to(port: &Port, tap: &str) -> Vec<String> {
    let mut rules = vec![format!(
        "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 ether daddr != {} drop",
        mac_text(port.mac)
    )];
    rules.extend(over(port.mbps));
    if port.allowed.is_empty() {
        return rules;
    }
    rules.extend([
        "ether type arp accept".to_owned(),
        format!("ip daddr . meta l4proto . th dport . ip saddr . th sport @flows4-{tap} accept"),
        format!("ip6 daddr . meta l4proto . th dport . ip6 saddr . th sport @flows6-{tap} accept"),
        // Answers and errors: a guest that did not ask passes over them.
        "icmp type { echo-reply, destination-unreachable, time-exceeded, parameter-problem } accept"
            .to_owned(),
        "icmpv6 type { echo-reply, destination-unreachable, packet-too-big, time-exceeded, \
         parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept"
            .to_owned(),
        "udp sport 67 udp dport 68 accept".to_owned(),
        // Ports stand in the first fragment only, and without that the others come to nothing.
        "ip frag-off & 0x1fff != 0 accept".to_owned(),
        "frag frag-off != 0 accept".to_owned(),
    ]);
    rules.extend(port.allowed.iter().map(allowed));
    rules.push("drop".to_owned());
    rules
}

fn allowed(rule: &FirewallRule) -> String {
    let source = rule.from.map_or(String::new(), |(ip, prefix)| match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            format!(
                "ip saddr {}/{prefix} ",
                Ipv4Addr::from(u32::from(ip) & mask)
            )
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            format!(
                "ip6 saddr {}/{prefix} ",
                Ipv6Addr::from(u128::from(ip) & mask)
            )
        }
    });
    match (rule.protocol, rule.port) {
        (Protocol::Icmp, _) => format!("{source}meta l4proto {{ icmp, ipv6-icmp }} accept"),
        (protocol, 0) => format!("{source}meta l4proto {protocol} accept"),
        (protocol, port) => format!("{source}{protocol} dport {port} accept"),
    }
}

/// Drops what is over the limit. The kernel lets what a second brings, and the burst, come at once
/// after a pause (`nft_limit_init` of its net/netfilter/nft_limit.c): enough for TCP, which sends in
/// bursts, to get near its rate. A burst of the largest frame lets that pass at the lowest limits.
fn over(mbps: Option<u32>) -> Option<String> {
    let bytes = u64::from(mbps?) * 125_000;
    Some(format!(
        "limit rate over {bytes} bytes/second burst 65536 bytes drop"
    ))
}

/// Addresses as a set; `None`: there are none.
fn list<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Option<String> {
    let all: Vec<String> = addresses.map(ToString::to_string).collect();
    (!all.is_empty()).then(|| format!("{{ {} }}", all.join(", ")))
}
