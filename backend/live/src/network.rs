//! The network of a VM: a bridge for each tenant network, a tap for each interface, and the rules
//! between them.
//!
//! ```text
//!            node a                                        node b
//!  guest ── tap ─┐ rules by tap                    ┌─ tap ── guest
//!  guest ── tap ─┤ (nftables)                      │
//!             bridge ── trunk ═══ VXLAN or VLAN ═══ trunk ── bridge
//!                │                                             │
//!           DHCP server, in a network namespace of its own    …
//! ```
//!
//! A tenant network has the same number everywhere: its trunk carries it between nodes, and nothing
//! else joins two bridges. Bridges have no address, and the node takes no frame from them, so that
//! tenants may use the same addresses as each other and as the node.
//!
//! [`Network`] keeps a record of every interface plugged in, and derives all else from the records and from
//! what the kernel tells: one pure function, [`mod@settle`], says which calls lead from what is found
//! to what is wanted. Plugging, unplugging, recovering and the dry run are that one function, so
//! everything may be repeated, and a killed agent's half is finished or removed.
//!
//! - [`name`]: what the devices of a node are called, and whose they are
//! - [`port`]: an interface as its node holds it: checked, its addresses decided
//! - [`mod@record`]: what is wanted, in files that survive the agent
//! - [`call`]: one call of a program of the node, as data, and how it is made
//! - [`found`]: what the kernel has of ours
//! - [`rules`]: the packet filter, as text for nftables
//! - [`server`]: DHCP for those that the order gives no address
//! - [`mod@settle`]: from what is found to what is wanted

pub mod call;
pub mod found;
pub mod name;
pub mod port;
pub mod record;
pub mod rules;
pub mod server;
pub mod settle;

use agent::machine::Plug;
use agent::watch::Watch;
use call::Call;
use found::Found;
use model::blueprint::Interface;
use model::id::{NetworkId, VmId};
use name::Device;
use port::Port;
use settle::settle;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a node does its networks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the records lie; nobody else writes there.
    pub folder: PathBuf,
    /// Words before each command; none on a node that is a machine of its own, `nsenter …` where a
    /// node is a network namespace.
    pub inside: Vec<String>,
    /// How tenant networks reach other nodes.
    pub trunk: Trunk,
    /// The largest IP packet between nodes, in bytes.
    pub mtu: u32,
    /// Addresses for interfaces to which the order gives none; `None`: the tenant's own server gives
    /// them, and this node pins such an interface by hardware address only.
    pub pool: Option<Pool>,
}

/// How tenant networks reach other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trunk {
    /// They do not.
    None,
    /// Each in a VXLAN of its number. It is neither encrypted nor signed: the nodes' own network is
    /// to be theirs alone, or a tunnel.
    Vxlan {
        /// The node's own address.
        local: IpAddr,
        /// Addresses of the other nodes; nobody else may send frames.
        peers: BTreeSet<IpAddr>,
    },
    /// Each in a VLAN of its number, where the kernel and the switches have it.
    Vlan {
        /// The node's interface towards the switch.
        link: String,
    },
}

/// A node's share of the addresses that DHCP gives: shares of different nodes do not overlap, so that
/// two nodes never give one address within a tenant network, and need not ask each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The server's own address; guests have those after it.
    pub first: Ipv4Addr,
    /// The last address of the share.
    pub last: Ipv4Addr,
    /// Length of the prefix that all shares have in common.
    pub prefix: u8,
}

/// A change of the node's networks.
#[derive(Clone, Debug)]
pub enum Change {
    /// Give a VM an interface, or, where it has one of this name, make that so instead. One behind
    /// the hypervisor's own address translation needs nothing of the node.
    Plug {
        /// The VM.
        vm: VmId,
        /// The interface.
        interface: Box<Interface>,
        /// Where its other end is to be.
        plug: Plug,
    },
    /// Take an interface away; nothing of it stays.
    Unplug {
        /// The VM.
        vm: VmId,
        /// The interface's name.
        interface: String,
    },
    /// Make everything as the records say, for these VMs alone: after the agent or the node was
    /// restarted.
    Recover {
        /// The VMs that are still there.
        vms: BTreeSet<VmId>,
    },
    /// Reach these other nodes.
    Meet {
        /// Their addresses.
        peers: BTreeSet<IpAddr>,
    },
}

/// Why the network is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A program of the node is missing.
    #[error("{program} is missing; install {package}")]
    Missing {
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The kernel or a program refused.
    #[error("{call}: {said}")]
    Refused {
        /// What was called.
        call: String,
        /// What it said, and a hint where there is one.
        said: String,
    },
    /// The interface cannot be honoured here.
    #[error("{field} is {found}, expected {expected}")]
    Invalid {
        /// The field of the interface, as `mac`.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// The node's share of addresses is used up.
    #[error("no address is left for {network} between {} and {}", pool.first, pool.last)]
    NoAddress {
        /// In which network.
        network: NetworkId,
        /// The share.
        pool: Pool,
    },
    /// A file of the records cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// The networks of one node; one process at a time opens them.
#[derive(Debug)]
pub struct Network {
    settings: Settings,
    state: Mutex<State>,
}

/// What the node knows beyond its settings.
#[derive(Clone, Debug)]
struct State {
    trunk: Trunk,
    ports: BTreeMap<Device, Port>,
}

impl Network {
    /// Opens the records, making the folder where it is not there; touches no device.
    ///
    /// # Errors
    /// Where the records cannot be read.
    pub fn open(settings: Settings) -> Result<Self, NetworkError> {
        let ports = record::load(&settings.folder)?;
        let trunk = settings.trunk.clone();
        let state = Mutex::new(State { trunk, ports });
        Ok(Self { settings, state })
    }

    /// The calls that [`Self::perform`] would make now, in order.
    ///
    /// # Errors
    /// As [`Self::perform`] would, without having tried.
    pub fn translate(&self, change: &Change) -> Result<Vec<Call>, NetworkError> {
        let after = self.after(&self.state(), change)?;
        self.calls(&after, change)
    }

    /// Does it. The records say what is wanted before the first call, so that a failed or killed
    /// change is finished by repeating it, or undone by [`Change::Unplug`].
    ///
    /// # Errors
    /// Where something is missing, invalid or refused.
    pub fn perform(&self, change: &Change, watch: &dyn Watch) -> Result<(), NetworkError> {
        let mut state = self.state();
        let after = self.after(&state, change)?;
        let calls = self.calls(&after, change)?;
        for (device, port) in &after.ports {
            if state.ports.get(device) != Some(port) {
                record::save(&self.settings.folder, *device, port)?;
            }
        }
        let devices = state.ports.keys().copied();
        let gone: Vec<Device> = devices.filter(|d| !after.ports.contains_key(d)).collect();
        // From here on the node is on its way to the new state, whatever fails.
        state.ports.extend(after.ports);
        state.trunk = after.trunk;
        for call in calls {
            watch.calling(&call.native());
            call.perform(&self.settings.inside)?;
        }
        // A record goes last: until then a restarted agent knows that something may be left.
        for device in gone {
            record::remove(&self.settings.folder, device)?;
            state.ports.remove(&device);
        }
        Ok(())
    }

    /// The ports of all VMs that are plugged in, or were to be, by VM and place.
    pub fn list(&self) -> Vec<Port> {
        self.state().ports.values().cloned().collect()
    }

    /// The largest IP packet of a guest, in bytes.
    pub fn guest_mtu(&self) -> u32 {
        guest_mtu(&self.settings)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic elsewhere leaves half done, the next change settles.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wanted after a change.
    fn after(&self, state: &State, change: &Change) -> Result<State, NetworkError> {
        let mut after = state.clone();
        match change {
            Change::Plug {
                vm,
                interface,
                plug,
            } => {
                if let Some(port) = port::port(&self.settings, &state.ports, *vm, interface, plug)?
                {
                    after.ports.insert(port.device(), port);
                }
            }
            Change::Unplug { vm, interface } => after
                .ports
                .retain(|_, port| port.vm != *vm || port.name != *interface),
            Change::Recover { vms } => after.ports.retain(|_, port| vms.contains(&port.vm)),
            Change::Meet { peers: met } => {
                if let Trunk::Vxlan { peers, .. } = &mut after.trunk {
                    peers.clone_from(met);
                }
            }
        }
        Ok(after)
    }

    fn calls(&self, after: &State, change: &Change) -> Result<Vec<Call>, NetworkError> {
        let settings = Settings {
            trunk: after.trunk.clone(),
            ..self.settings.clone()
        };
        let found = Found::ask(&settings)?;
        let rewritten = |port: &Port| match change {
            Change::Plug { vm, interface, .. } => port.vm == *vm && port.name == interface.name,
            Change::Recover { .. } => true,
            Change::Unplug { .. } | Change::Meet { .. } => false,
        };
        Ok(settle(&settings, &after.ports, &found, &rewritten))
    }
}

/// The largest IP packet that fits into what the trunk adds to it.
fn guest_mtu(settings: &Settings) -> u32 {
    // RFC 7348: inner Ethernet 14, VXLAN 8, UDP 8, and the outer IP header.
    let added = match settings.trunk {
        Trunk::None | Trunk::Vlan { .. } => 0,
        Trunk::Vxlan { local, .. } if local.is_ipv4() => 30 + 20,
        Trunk::Vxlan { .. } => 30 + 40,
    };
    settings.mtu.saturating_sub(added)
}
