//! Instances with their addresses, and the passwords of links by key id.

use model::design::ComponentKind;
use model::id::{ComponentId, KeyId, VmId};
use model::topology::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One VM of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Which.
    pub vm: VmId,
    /// Its host name, as `web-0`.
    pub name: String,
    /// Its addresses; it is called by the first.
    pub addresses: Vec<IpAddr>,
}

/// A component that has a password at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Login {
    /// Who logs in.
    pub from: ComponentId,
    /// Where.
    pub to: ComponentId,
}

/// A topology as it is now: who is there, and where.
#[derive(Clone, Debug)]
pub struct Site<'t> {
    /// What was drawn.
    pub topology: &'t Topology,
    /// Instances that are there, of each component.
    pub instances: BTreeMap<ComponentId, Vec<Instance>>,
    /// The passwords by the ids of their keys.
    pub passwords: BTreeMap<Login, KeyId>,
}

/// A link seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The component at its other end.
    pub(crate) component: ComponentId,
    /// The port that is opened.
    pub(crate) port: u16,
}

impl Site<'_> {
    pub(crate) fn of(&self, component: ComponentId) -> &[Instance] {
        self.instances.get(&component).map_or(&[], Vec::as_slice)
    }

    /// To whom a component is linked; networks are joined and not called.
    pub(crate) fn links(&self, component: ComponentId) -> Vec<Peer> {
        let from = self.topology.links().iter().filter(|l| l.from == component);
        let peers = from.map(|link| Peer {
            component: link.to,
            port: link.port,
        });
        peers.filter(|peer| self.has_vms(peer.component)).collect()
    }

    /// Who is linked to a component.
    pub(crate) fn clients(&self, component: ComponentId) -> Vec<Peer> {
        let to = self.topology.links().iter().filter(|l| l.to == component);
        let peers = to.map(|link| Peer {
            component: link.from,
            port: link.port,
        });
        peers.filter(|peer| self.has_vms(peer.component)).collect()
    }

    /// The ports that a component listens on: those that are opened, else its kind's.
    pub(crate) fn ports(&self, component: ComponentId) -> Vec<u16> {
        let asked: BTreeSet<u16> = self
            .clients(component)
            .iter()
            .map(|peer| peer.port)
            .collect();
        if asked.is_empty() {
            return vec![self.kind(component).defaults().port];
        }
        asked.into_iter().collect()
    }

    pub(crate) fn kind(&self, component: ComponentId) -> ComponentKind {
        self.topology.components()[component.index()].kind
    }

    fn has_vms(&self, component: ComponentId) -> bool {
        self.kind(component).defaults().form == model::kind::KindForm::Vms
    }
}
