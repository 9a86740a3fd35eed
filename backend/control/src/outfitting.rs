//! What the VMs of a deployed design are to hold by its components' recipes.

use crate::ledger::Ledger;
use crate::record::{Deployment, VmRecord, Wish};
use crate::settings::Catalogue;
use model::configuration::Configuration;
use model::id::{ComponentId, KeyId, VmId};
use model::topology::Topology;
use recipe::book::Book;
use recipe::outfit::{Outfit, OutfitError, logins, outfits};
use recipe::site::{Instance, Login, Site};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The first key of passwords: beyond those of moves and of remote disks' pieces. Each deployment has
/// as many as two components of a thousand can be linked.
const PASSWORDS: u64 = 1 << 61;
const COMPONENTS: u64 = 1 << 10;

/// Whether a key is a password: files hold it as text.
pub const fn is_password(key: KeyId) -> bool {
    key.0 >= PASSWORDS
}

/// What each of a deployment's VMs is to hold; nothing of a design none of whose components is made by
/// its recipe.
///
/// # Errors
/// All faults of components that ask their recipes for what those do not give; what a recipe cannot fill.
pub fn of_deployment(
    ledger: &Ledger,
    place: u32,
    deployment: &Deployment,
    catalogue: &Catalogue,
) -> Result<BTreeMap<VmId, Outfit>, OutfitError> {
    let vms = deployment.vms.iter().filter_map(|vm| ledger.vms.get(vm));
    let design = &deployment.design;
    let topology = Topology::check(design)?;
    of_records(&topology, place, vms, catalogue)
}

/// The same of a design of which these are the VMs.
///
/// # Errors
/// As above.
pub fn of_records<'r>(
    topology: &Topology,
    place: u32,
    records: impl Iterator<Item = &'r VmRecord>,
    catalogue: &Catalogue,
) -> Result<BTreeMap<VmId, Outfit>, OutfitError> {
    let components = topology.components();
    let is_made_so = |id: &ComponentId| catalogue.recipe(&components[id.index()]).is_some();
    let ids = (0..components.len() as u32).map(ComponentId);
    let made_so: Vec<ComponentId> = ids.filter(is_made_so).collect();
    let (Some(book), false) = (&catalogue.book, made_so.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let site = Site {
        topology,
        instances: instances(topology, records),
        passwords: passwords(topology, place, book)?,
    };
    let mut outfits = outfits(&site, book)?;
    let of = made_so.iter().filter_map(|id| site.instances.get(id));
    let kept: Vec<VmId> = of.flatten().map(|instance| instance.vm).collect();
    outfits.retain(|vm, _| kept.contains(vm));
    Ok(outfits)
}

fn instances<'r>(
    topology: &Topology,
    records: impl Iterator<Item = &'r VmRecord>,
) -> BTreeMap<ComponentId, Vec<Instance>> {
    let mut instances: BTreeMap<ComponentId, Vec<Instance>> = BTreeMap::new();
    for record in records.filter(|record| record.wish != Wish::Gone) {
        let mut components = topology.components().iter();
        let Some(place) = components.position(|of| of.name == record.component) else {
            continue;
        };
        let interfaces = record.blueprint.interfaces.iter();
        let addresses = interfaces.flat_map(|interface| &interface.addresses);
        let instance = Instance {
            vm: record.id,
            name: record.name.clone(),
            addresses: addresses.map(|(address, _)| *address).collect(),
        };
        let id = ComponentId(place as u32);
        instances.entry(id).or_default().push(instance);
    }
    instances
}

fn passwords(
    topology: &Topology,
    place: u32,
    book: &Book,
) -> Result<BTreeMap<Login, KeyId>, OutfitError> {
    let logins = logins(topology, book)?.into_iter();
    let keyed = logins.map(|login| {
        let (from, to) = (u64::from(login.from.0), u64::from(login.to.0));
        let link = (u64::from(place) * COMPONENTS + from) * COMPONENTS + to;
        (login, KeyId(PASSWORDS + link))
    });
    Ok(keyed.collect())
}

/// The parts of an outfit by their digests. They are held against those of the same program alone: one
/// that digests otherwise sends what a VM has once more, which changes nothing.
pub fn digests(outfit: &Outfit) -> Vec<u64> {
    outfit.parts.iter().map(digest).collect()
}

/// What a VM lacks of its outfit that has these parts of it.
pub fn lacking(outfit: &Outfit, parts: &[u64]) -> Configuration {
    outfit.lacking(|part| parts.contains(&digest(part)))
}

fn digest(part: &Configuration) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}
