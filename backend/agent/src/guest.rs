//! What makes an image the guest of one blueprint: its name, users, addresses and firewall rules.

use crate::edit::Edit;
use model::blueprint::{Blueprint, FirewallRule, GuestFile, Interface, Protocol};
use std::net::IpAddr;

/// What makes an image the guest of one blueprint.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'b> {
    blueprint: &'b Blueprint,
}

impl<'b> Guest<'b> {
    /// The guest of this blueprint.
    pub const fn new(blueprint: &'b Blueprint) -> Self {
        Self { blueprint }
    }

    /// Its name, its users and keys, its files.
    pub fn identity(self) -> Vec<Edit> {
        let name = &self.blueprint.name;
        let mut edits = vec![
            Edit::file("/etc/hostname", format!("{name}\n"), 0o644),
            Edit::Line {
                path: "/etc/hosts".to_owned(),
                beginning: "127.0.1.1".to_owned(),
                line: format!("127.0.1.1\t{name}"),
            },
            // An empty one is filled at the first boot; a shared one would make two VMs one.
            Edit::file("/etc/machine-id", "", 0o444),
        ];
        let customisation = &self.blueprint.customisation;
        let users = customisation.users.iter().cloned();
        edits.extend(users.map(|user| Edit::User { user }));
        edits.extend(self.files().map(edit));
        edits
    }

    /// The files that it has beneath the mount point of its encrypted configuration.
    pub fn configuration(self, mount: &str) -> Vec<Edit> {
        let files = self.blueprint.customisation.files.iter();
        let sealed = files.filter(|(path, _)| is_beneath(mount, path));
        sealed.map(edit).collect()
    }

    /// All its other files.
    pub(crate) fn files(self) -> impl Iterator<Item = (&'b String, &'b GuestFile)> {
        let mut disks = self.blueprint.disks.iter();
        let mount = disks.find_map(|disk| disk.configuration());
        let files = self.blueprint.customisation.files.iter();
        files.filter(move |(path, _)| mount.is_none_or(|mount| !is_beneath(mount, path)))
    }

    /// Its addresses and firewall rules: for systemd-networkd, and as one line an interface for
    /// guests that have something smaller.
    pub fn network(self) -> Vec<Edit> {
        let interfaces = &self.blueprint.interfaces;
        let mut edits: Vec<Edit> = interfaces
            .iter()
            .map(|interface| {
                let path = format!("/etc/systemd/network/10-{}.network", interface.name);
                Edit::file(path, networkd(interface), 0o644)
            })
            .collect();
        let lines: String = interfaces.iter().map(plain_line).collect();
        edits.push(Edit::file("/etc/gridwright/interfaces", lines, 0o644));
        if let Some(rules) = self.ruleset() {
            edits.push(Edit::file(Self::RULES, rules, 0o600));
            edits.push(Edit::link(
                "/etc/systemd/system/sysinit.target.wants/nftables.service",
                "/lib/systemd/system/nftables.service",
            ));
        }
        edits
    }

    /// Where its firewall rules lie.
    pub(crate) const RULES: &'static str = "/etc/nftables.conf";

    /// Its firewall rules; `None`: it has none.
    pub(crate) fn ruleset(self) -> Option<String> {
        let interfaces = &self.blueprint.interfaces;
        let any = interfaces.iter().any(|i| !i.allowed.is_empty());
        any.then(|| ruleset(interfaces))
    }
}

fn edit((path, file): (&String, &GuestFile)) -> Edit {
    Edit::file(path, &file.text, file.mode)
}

fn is_beneath(mount: &str, path: &str) -> bool {
    let rest = path.strip_prefix(mount);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn mac(interface: &Interface) -> String {
    interface.mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn networkd(interface: &Interface) -> String {
    let mut text = format!("[Match]\nMACAddress={}\n\n[Network]\n", mac(interface));
    if interface.addresses.is_empty() {
        text += "DHCP=yes\n";
    }
    for (address, prefix) in &interface.addresses {
        text += &format!("Address={address}/{prefix}\n");
    }
    if let Some(gateway) = interface.gateway {
        text += &format!("Gateway={gateway}\n");
    }
    text
}

/// `MAC ADDRESS/PREFIX,… GATEWAY`, with `dhcp` and `-` where there are none.
fn plain_line(interface: &Interface) -> String {
    let addresses = interface.addresses.iter();
    let addresses: Vec<String> = addresses
        .map(|(ip, prefix)| format!("{ip}/{prefix}"))
        .collect();
    let addresses = match addresses.is_empty() {
        true => "dhcp".to_owned(),
        false => addresses.join(","),
    };
    let gateway = interface
        .gateway
        .map_or("-".to_owned(), |ip| ip.to_string());
    format!("{} {addresses} {gateway}\n", mac(interface))
}

/// Names of interfaces are the guest's own, so that rules match the address packets come to.
fn ruleset(interfaces: &[Interface]) -> String {
    let mut rules = String::new();
    for interface in interfaces
        .iter()
        .filter(|interface| !interface.allowed.is_empty())
    {
        let to: Vec<&IpAddr> = interface.addresses.iter().map(|(ip, _)| ip).collect();
        for rule in &interface.allowed {
            match to.is_empty() {
                true => rules += &format!("    {}accept\n", matches(rule)),
                false => {
                    for ip in &to {
                        rules +=
                            &format!("    {} daddr {ip} {}accept\n", family(ip), matches(rule));
                    }
                }
            }
        }
    }
    // Neighbour discovery is how IPv6 finds anybody at all.
    format!(
        "#!/usr/sbin/nft -f\nflush ruleset\ntable inet gridwright {{\n  chain input {{\n    \
         type filter hook input priority filter; policy drop;\n    iif lo accept\n    \
         ct state established,related accept\n    \
         icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }} accept\n\
         {rules}  }}\n}}\n"
    )
}

fn family(ip: &IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

fn matches(rule: &FirewallRule) -> String {
    let from = rule.from.map_or(String::new(), |(ip, prefix)| {
        format!("{} saddr {ip}/{prefix} ", family(&ip))
    });
    let what = match (rule.protocol, rule.port) {
        (Protocol::Icmp, _) => "meta l4proto { icmp, ipv6-icmp } ".to_owned(),
        (Protocol::Tcp, 0) => "meta l4proto tcp ".to_owned(),
        (Protocol::Udp, 0) => "meta l4proto udp ".to_owned(),
        (Protocol::Tcp, port) => format!("tcp dport {port} "),
        (Protocol::Udp, port) => format!("udp dport {port} "),
    };
    from + &what
}
