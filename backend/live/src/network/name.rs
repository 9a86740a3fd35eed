//! What the devices of a node are called, and whose they are: a name alone tells its owner, so that
//! whatever a killed agent left behind is found again.

use agent::naming::{bridge_name, tap_name, tap_of};
use model::id::{NetworkId, VmId};

/// A device of the node that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// The bridge of a tenant network.
    Bridge(NetworkId),
    /// The way of a tenant network to other nodes.
    Trunk(NetworkId),
    /// The bridge's end of the cable to the network's DHCP server.
    Server(NetworkId),
    /// An interface of a VM, by its place, below [`agent::naming::MOST_INTERFACES`].
    Tap(VmId, usize),
}

impl Device {
    /// The device's name, at most the fifteen bytes that the kernel allows.
    pub fn name(self) -> String {
        match self {
            Self::Bridge(network) => bridge_name(network),
            Self::Trunk(network) => format!("gwx{}", network.0),
            Self::Server(network) => format!("gwd{}", network.0),
            Self::Tap(vm, place) => tap_name(vm, place),
        }
    }

    /// The device of this name; `None`: it is not ours.
    pub fn of(name: &str) -> Option<Self> {
        if let Some((vm, place)) = tap_of(name) {
            return Some(Self::Tap(vm, place));
        }
        let (kind, number) = name.strip_prefix("gw")?.split_at_checked(1)?;
        let network = NetworkId(number.parse().ok()?);
        let device = match kind {
            "b" => Self::Bridge(network),
            "x" => Self::Trunk(network),
            "d" => Self::Server(network),
            _ => return None,
        };
        // One device, one name: one with leading zeros or a sign is somebody else's.
        (device.name() == name).then_some(device)
    }
}
