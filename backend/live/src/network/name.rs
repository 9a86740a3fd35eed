//! What the devices of a node are called, and whose they are: the kernel allows fifteen bytes, and a
//! name alone tells its owner, so that whatever a killed agent left behind is found again.

use model::id::{NetworkId, VmId};

/// Interfaces that a VM may have: the last digit of a tap's name tells which one it is.
pub const MOST_INTERFACES: usize = DIGITS.len();

/// Digits of names; the kernel tells capital letters from small ones.
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A device of the node that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// The bridge of a tenant network.
    Bridge(NetworkId),
    /// The way of a tenant network to other nodes.
    Trunk(NetworkId),
    /// The bridge's end of the cable to the network's DHCP server.
    Server(NetworkId),
    /// An interface of a VM, by its place in the blueprint, below [`MOST_INTERFACES`].
    Tap(VmId, usize),
}

impl Device {
    /// The device's name, at most fifteen bytes.
    ///
    /// # Panics
    /// Where a tap's place is not below [`MOST_INTERFACES`].
    pub fn name(self) -> String {
        match self {
            Self::Bridge(network) => format!("gwb{}", network.0),
            Self::Trunk(network) => format!("gwx{}", network.0),
            Self::Server(network) => format!("gwd{}", network.0),
            Self::Tap(vm, place) => {
                format!("gw{}-{}", digits(vm.0), char::from(DIGITS[place]))
            }
        }
    }

    /// The device of this name; `None`: it is not ours.
    pub fn of(name: &str) -> Option<Self> {
        let device = if let Some((vm, place)) = name.strip_prefix("gw")?.split_once('-') {
            let place = number(place)?.try_into().ok()?;
            Self::Tap(VmId(number(vm)?), place)
        } else {
            let network = NetworkId(name.get(3..)?.parse().ok()?);
            match name.as_bytes()[2] {
                b'b' => Self::Bridge(network),
                b'x' => Self::Trunk(network),
                b'd' => Self::Server(network),
                _ => return None,
            }
        };
        // One device, one name: leading zeros and signs are somebody else's.
        let canonical = !matches!(device, Self::Tap(_, place) if place >= MOST_INTERFACES);
        (canonical && device.name() == name).then_some(device)
    }
}

/// A number in as few [`DIGITS`] as it takes; eleven hold any.
fn digits(mut number: u64) -> String {
    let base = DIGITS.len() as u64;
    let mut text = Vec::new();
    loop {
        text.push(char::from(DIGITS[(number % base) as usize]));
        number /= base;
        if number == 0 {
            return text.into_iter().rev().collect();
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let digit = |byte| DIGITS.iter().position(|&digit| digit == byte);
    text.bytes().try_fold(0_u64, |number, byte| {
        number
            .checked_mul(DIGITS.len() as u64)?
            .checked_add(digit(byte)? as u64)
    })
}
