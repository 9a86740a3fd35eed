//! Deployments and tenants by their names.

use super::Ledger;
use crate::record::Deployment;
use model::id::TenantId;
use std::collections::BTreeMap;

/// Where names are found: made of the rest of a ledger, and never written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    tenants: BTreeMap<String, TenantId>,
    /// Places of deployments by tenant, then by name: all that have it, of which the first counts.
    designs: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
}

impl Names {
    /// All names of a ledger.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let mut names = Self::default();
        for (place, name) in (0..).zip(&ledger.tenants) {
            names.tenants.entry(name.clone()).or_insert(TenantId(place));
        }
        for (place, deployment) in &ledger.deployments {
            names.stands(*place, deployment);
        }
        names
    }

    pub(super) fn comes(&mut self, tenant: &str, id: TenantId) {
        self.tenants.entry(tenant.to_owned()).or_insert(id);
    }

    /// A deployment stands at a place.
    pub(super) fn stands(&mut self, place: u32, deployment: &Deployment) {
        let design = &deployment.design;
        let of_tenant = self.designs.entry(design.tenant.clone()).or_default();
        let places = of_tenant.entry(design.name.clone()).or_default();
        if let Err(after) = places.binary_search(&place) {
            places.insert(after, place);
        }
    }

    /// A deployment stands at a place no more.
    pub(super) fn goes(&mut self, place: u32, deployment: &Deployment) {
        let design = &deployment.design;
        let Some(of_tenant) = self.designs.get_mut(&design.tenant) else {
            return;
        };
        if let Some(places) = of_tenant.get_mut(&design.name) {
            places.retain(|of| *of != place);
            if places.is_empty() {
                of_tenant.remove(&design.name);
            }
        }
        if of_tenant.is_empty() {
            self.designs.remove(&design.tenant);
        }
    }

    pub(super) fn tenant(&self, name: &str) -> Option<TenantId> {
        self.tenants.get(name).copied()
    }

    pub(super) fn design(&self, tenant: &str, name: &str) -> Option<u32> {
        let places = self.designs.get(tenant)?.get(name)?;
        places.first().copied()
    }
}
