//! A checked design: every link ends at a component, every number is in range.

use crate::design::{Component, Design};
use crate::fault::Faults;
use crate::id::ComponentId;
use crate::topology_check;
use crate::vm::Risk;
use serde::Serialize;

/// A link with both its ends found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TopologyLink {
    /// Opens connections.
    pub from: ComponentId,
    /// Accepts them.
    pub to: ComponentId,
    /// Port; 0 only where the accepting component is a network, which is joined and not called.
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
    /// All faults of the design, without file and lines: a drawing has none. Of a file,
    /// [`crate::design_file::check_design`] tells them. [`crate::design::Place::of_field`] tells
    /// which component or link a fault is about.
    pub fn check(design: &Design) -> Result<Self, Faults> {
        let faults = topology_check::faults(design);
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let id = |name: &str| {
            let place = design.components.iter().position(|c| c.name == name);
            ComponentId(place.expect("links are checked to end at components") as u32)
        };
        let links = design
            .links
            .iter()
            .map(|link| {
                let to = id(&link.to);
                let accepting = design.components[to.index()].kind;
                TopologyLink {
                    from: id(&link.from),
                    to,
                    port: match link.port {
                        0 => accepting.defaults().port,
                        port => port,
                    },
                }
            })
            .collect();
        Ok(Self {
            name: design.name.clone(),
            tenant: design.tenant.clone(),
            risk: design.risk.unwrap_or(Risk::Medium),
            components: design.components.clone(),
            links,
        })
    }

    /// What the customer calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Owner.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The tenant's risk class; medium, which is unknown, where the design tells none.
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
