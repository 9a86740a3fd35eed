//! A checked design: every link ends at a component, every number is in range.

use crate::design::{Component, Design};
use crate::fault::Faults;
use crate::id::ComponentId;
use crate::vm::Risk;
use serde::Serialize;

/// A link with both its ends found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TopologyLink {
    /// Opens connections.
    pub from: ComponentId,
    /// Accepts them.
    pub to: ComponentId,
    /// Port, never 0.
    pub port: u16,
}

/// A design that cannot be wrong; made by [`Topology::check`] alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topology {
    name: String,
    tenant: String,
    risk: Risk,
    components: Vec<Component>,
    links: Vec<TopologyLink>,
}

impl Topology {
    /// Checks a design.
    ///
    /// # Errors
    /// All faults of the design, without lines: a drawing has none. A design read from a file is
    /// checked by the reader, which knows them.
    pub fn check(_design: &Design) -> Result<Self, Faults> {
        unreachable!("filled in by the checks")
    }

    /// What the customer calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Owner.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The tenant's risk class.
    pub fn risk(&self) -> Risk {
        self.risk
    }

    /// Components by [`ComponentId`].
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Links, each between two components of this topology.
    pub fn links(&self) -> &[TopologyLink] {
        &self.links
    }
}
