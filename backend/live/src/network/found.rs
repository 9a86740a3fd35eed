//! What the kernel has of ours, as its own tools tell it in JSON.

use super::call::Call;
use super::name::Device;
use super::{NetworkError, Settings, Trunk};
use model::id::NetworkId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What there is of ours on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Devices.
    pub links: BTreeMap<Device, Link>,
    /// Chains of the packet filter that belong to ports, by the port's device.
    pub filtered: BTreeSet<Device>,
    /// Other nodes to which each trunk sends what is for all.
    pub peers: BTreeMap<NetworkId, BTreeSet<IpAddr>>,
    /// DHCP servers: networks that have a namespace for one, with what runs in it.
    pub servers: BTreeMap<NetworkId, Vec<Process>>,
}

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its program and arguments.
    pub words: Vec<String>,
}

/// One device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The bridge that it is in.
    pub bridge: Option<String>,
    /// Whether it is switched on.
    pub up: bool,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
}

impl Found {
    /// Asks the node.
    ///
    /// # Errors
    /// Where a tool is missing or answers in a form unknown.
    pub fn ask(settings: &Settings) -> Result<Self, NetworkError> {
        let ask = |line: &str| Call::words(line).perform(&settings.inside);
        let mut found = Self {
            links: links(&ask("ip -json link show")?)?,
            filtered: filtered(&ask("nft -j list chains")?)?,
            ..Self::default()
        };
        let trunks = found.links.keys().any(|d| matches!(d, Device::Trunk(_)));
        if trunks && matches!(settings.trunk, Trunk::Vxlan { .. }) {
            found.peers = peers(&ask("bridge -json fdb show")?)?;
        }
        for network in rooms(&ask("ip -json netns list")?)? {
            let room = Device::Server(network).name();
            let processes = ask(&format!("ip netns pids {room}"))?;
            let processes = processes.split_whitespace().filter_map(process).collect();
            found.servers.insert(network, processes);
        }
        Ok(found)
    }
}

/// Our devices among those of `ip -json link show`.
///
/// # Errors
/// Where the text is no list of links.
pub fn links(text: &str) -> Result<BTreeMap<Device, Link>, NetworkError> {
    #[derive(Deserialize)]
    struct Told {
        ifname: String,
        #[serde(default)]
        flags: Vec<String>,
        #[serde(default)]
        mtu: u32,
        master: Option<String>,
    }
    let told: Vec<Told> = read("ip -json link show", text)?;
    let ours = told.into_iter().filter_map(|link| {
        let found = Link {
            bridge: link.master,
            up: link.flags.iter().any(|flag| flag == "UP"),
            mtu: link.mtu,
        };
        Some((Device::of(&link.ifname)?, found))
    });
    Ok(ours.collect())
}

/// The ports that have chains among those of `nft -j list chains`.
///
/// # Errors
/// Where the text is no ruleset.
pub fn filtered(text: &str) -> Result<BTreeSet<Device>, NetworkError> {
    #[derive(Deserialize)]
    struct Ruleset {
        nftables: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        chain: Option<Chain>,
    }
    #[derive(Deserialize)]
    struct Chain {
        family: String,
        table: String,
        name: String,
    }
    let told: Ruleset = read("nft -j list chains", text)?;
    let chains = told.nftables.into_iter().filter_map(|entry| entry.chain);
    let ours = chains.filter(|chain| chain.family == "bridge" && chain.table == "gridwright");
    let ports = ours.filter_map(|chain| Device::of(chain.name.split_once('-')?.1));
    Ok(ports.collect())
}

/// The other nodes to which our trunks flood, among the entries of `bridge -json fdb show`.
///
/// # Errors
/// Where the text is no list of entries.
pub fn peers(text: &str) -> Result<BTreeMap<NetworkId, BTreeSet<IpAddr>>, NetworkError> {
    #[derive(Deserialize)]
    struct Told {
        mac: String,
        ifname: String,
        dst: Option<IpAddr>,
    }
    let told: Vec<Told> = read("bridge -json fdb show", text)?;
    let mut peers: BTreeMap<NetworkId, BTreeSet<IpAddr>> = BTreeMap::new();
    for entry in told.into_iter().filter(|e| e.mac == "00:00:00:00:00:00") {
        if let (Some(Device::Trunk(network)), Some(peer)) = (Device::of(&entry.ifname), entry.dst) {
            peers.entry(network).or_default().insert(peer);
        }
    }
    Ok(peers)
}

/// Networks whose DHCP server has a namespace, among those of `ip -json netns list`.
///
/// # Errors
/// Where the text is no list of namespaces.
pub fn rooms(text: &str) -> Result<Vec<NetworkId>, NetworkError> {
    #[derive(Deserialize)]
    struct Told {
        name: String,
    }
    let told: Vec<Told> = read("ip -json netns list", text)?;
    let networks = told
        .iter()
        .filter_map(|room| match Device::of(&room.name)? {
            Device::Server(network) => Some(network),
            _ => None,
        });
    Ok(networks.collect())
}

/// A process by its id; `None`: it has just ended.
fn process(id: &str) -> Option<Process> {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&line);
    Some(Process {
        id: id.parse().ok()?,
        words: words.split_terminator('\0').map(str::to_owned).collect(),
    })
}

/// An answer in JSON; none at all is an empty list.
fn read<T: DeserializeOwned>(call: &str, text: &str) -> Result<T, NetworkError> {
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|error| NetworkError::Refused {
        call: call.to_owned(),
        said: format!("an answer that is no such list: {error}"),
    })
}
