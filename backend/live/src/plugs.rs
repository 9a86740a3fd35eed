//! The hands on networks: steps made changes of [`Network`], or left to the hypervisor.

use crate::hands::{Hand, broken, refused};
use crate::network::{Change, Network, NetworkError};
use agent::machine::Plug;
use agent::secret::Keys;
use agent::step::{Failure, Gained, Step};
use agent::watch::Watch;

impl Hand for Network {
    fn perform(&self, step: &Step, _keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        let change = match step {
            Step::Plug {
                vm,
                interface,
                plug,
            } => Change::Plug {
                vm: *vm,
                interface: Box::new(interface.clone()),
                plug: plug.clone(),
            },
            Step::Unplug { vm, interface, .. } => Change::Unplug {
                vm: *vm,
                interface: interface.name.clone(),
            },
            _ => return Err(refused(&format!("a network cannot {step}"))),
        };
        let done = Self::perform(self, &change, watch).map_err(|error| match error {
            NetworkError::Invalid { .. } => refused(&error.to_string()),
            _ => broken(&error.to_string()),
        });
        done.map(|()| Gained::default())
    }
}

/// A network that the hypervisor makes by itself.
#[derive(Clone, Copy, Debug)]
pub struct UserNetwork;

impl Hand for UserNetwork {
    fn perform(&self, step: &Step, _keys: &Keys, _watch: &dyn Watch) -> Result<Gained, Failure> {
        match step {
            Step::Plug { plug, .. } | Step::Unplug { plug, .. }
                if matches!(plug, Plug::User { .. }) =>
            {
                Ok(Gained::default())
            }
            _ => Err(refused(&format!("this node has no network to {step}"))),
        }
    }
}
