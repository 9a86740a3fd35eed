//! The shape of an instance, and of its parts where it is split.

use super::room::Room;
use super::{AssignError, MAX_PARTS};
use crate::filter::Filter;
use crate::shape::amount_of;
use model::design::{Component, ComponentKind};
use model::hypervisor::{Capability, Hypervisor};
use model::units::{AccelMilli, Dimension, Resources};
use model::vm::{AcceleratorAmount, AcceleratorAsk, Demand, Risk, VmSpec};
use std::collections::{BTreeMap, BTreeSet};

/// The shapes of one instance's VMs with the sizes of their remote disks, in GiB: a single one, or
/// the parts in order.
pub(super) fn parts(
    component: &Component,
    risk: Risk,
    room: &Room<'_>,
) -> Result<Vec<(VmSpec, u32)>, AssignError> {
    let asked = asked(component);
    let whole = spec(component, risk, asked);
    if room.takes(&[&whole], asked) {
        return Ok(vec![(whole, component.remote_disk_gib)]);
    }
    if room.suited(&whole).next().is_none() {
        let refused = room.refusals(&whole);
        let hint = unsuited_hint(component, &refused, room);
        return Err(AssignError::Unsuited {
            component: component.name.clone(),
            refused,
            hint,
        });
    }
    if may_be_split(component.kind) {
        let mut fitting = (2..=MAX_PARTS)
            .map(|count| share(&whole, asked, count))
            .filter(|parts| fits(parts, room))
            .peekable();
        let fewest = fitting.peek().cloned();
        // Fewer parts are larger ones, of which a grid with few large nodes may not hold all.
        let roomy = fitting.find(|parts| {
            let (spec, asked) = &parts[1];
            let instances = room.slots_by_site(spec, *asked).into_values();
            let instances = instances.map(|slots| slots / parts.len() as u64);
            instances.sum::<u64>() >= u64::from(component.instances)
        });
        if let Some(parts) = roomy.or(fewest) {
            let count = parts.len() as u32;
            let remote = (0..).map(|part| divide(component.remote_disk_gib, count, part));
            let specs = parts.into_iter().map(|(spec, _)| spec);
            return Ok(specs.zip(remote).collect());
        }
    }
    Err(too_large(component, &whole, asked, room))
}

/// Only what keeps data can share it between several machines; a program cannot be cut.
const fn may_be_split(kind: ComponentKind) -> bool {
    matches!(kind, ComponentKind::Database | ComponentKind::Storage)
}

/// Whether each part fits some empty node. The first carries the accelerators; of the others the
/// second is as large as any.
fn fits(parts: &[(VmSpec, Resources)], room: &Room<'_>) -> bool {
    let mut largest = parts.iter().take(2);
    largest.all(|(spec, asked)| room.takes(&[spec], *asked))
}

fn asked(component: &Component) -> Resources {
    Resources::from_array([
        component.cpu_milli,
        component.mem_mib,
        component.disk_gib,
        component.disk_iops,
        component.net_mbps,
        amount_of(component.accel_milli).map_or(0, AcceleratorAmount::milli),
    ])
}

fn spec(component: &Component, risk: Risk, asked: Resources) -> VmSpec {
    let accelerators = amount_of(component.accel_milli).map(|amount| AcceleratorAsk {
        models: component.accel_models.iter().cloned().collect(),
        amount,
    });
    let mut capabilities = BTreeSet::new();
    if accelerators.is_some() {
        capabilities.insert(Capability::Accelerator);
    }
    if component.remote_disk_gib > 0 {
        capabilities.insert(Capability::RemoteDisks);
    }
    VmSpec {
        demand: Demand::Fixed(asked),
        accelerators,
        arch: component.arch,
        guest: component.guest,
        virtualisation: component.virtualisation,
        licences: component.licences.iter().cloned().collect(),
        sites: component.sites.iter().cloned().collect(),
        roles: BTreeSet::new(),
        labels: BTreeMap::new(),
        capabilities,
        work: component.work,
        risk,
        expected_load_milli: component.expected_load_milli,
    }
}

/// Equal parts of an instance; what does not divide goes to the first ones, so that the parts add
/// up to the whole.
fn share(whole: &VmSpec, asked: Resources, count: u32) -> Vec<(VmSpec, Resources)> {
    let part = |number: u32| {
        let divide = |asks: u32| divide(asks, count, number);
        let mut asked = Resources::from_array(asked.to_array().map(divide));
        let mut spec = whole.clone();
        if number == 0 {
            asked.accel_milli = AccelMilli(whole_accelerators(whole));
        } else {
            asked.accel_milli = AccelMilli(0);
            spec.accelerators = None;
            spec.capabilities.remove(&Capability::Accelerator);
        }
        spec.demand = Demand::Fixed(asked);
        (spec, asked)
    };
    (0..count).map(part).collect()
}

/// What one of so many parts has of a quantity.
const fn divide(whole: u32, count: u32, part: u32) -> u32 {
    whole / count + (part < whole % count) as u32
}

fn whole_accelerators(spec: &VmSpec) -> u32 {
    spec.accelerators
        .as_ref()
        .map_or(0, |ask| ask.amount.milli())
}

fn too_large(
    component: &Component,
    whole: &VmSpec,
    asked: Resources,
    room: &Room<'_>,
) -> AssignError {
    let most = |dimension: Dimension| {
        let kinds = room.suited(whole);
        // The first of the largest, so that the hint is the same on every run.
        kinds
            .map(|kind| (room.capacity(kind).in_dimension(dimension), room.name(kind)))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .expect("some kind suits the component")
    };
    let short = Dimension::ALL
        .into_iter()
        .map(|dimension| (dimension, most(dimension)))
        .find(|(dimension, (has, _))| asked.in_dimension(*dimension) > *has);
    let kind = component.kind;
    let largest = match short {
        Some((dimension, (has, node))) => {
            format!(
                "the largest node that suits it, {node}, has {has} {}",
                dimension.unit()
            )
        }
        None => "no node that suits it has all of this at once".to_owned(),
    };
    let way_out = if may_be_split(kind) {
        format!(
            "even {MAX_PARTS} parts would not fit; ask for less, or for fewer accelerators an instance"
        )
    } else if let Some((Dimension::Disk, _)) = short {
        format!(
            "a {kind} cannot be split; ask for less, and let other nodes lend the rest with remote_disk_gib"
        )
    } else {
        format!("a {kind} cannot be split; ask for less, and draw more instances")
    };
    AssignError::TooLarge {
        component: component.name.clone(),
        asked,
        dimension: short.map(|(dimension, _)| dimension),
        hint: format!("{largest}; {way_out}"),
    }
}

/// What the grid would have to have, by the filter that refuses most nodes.
fn unsuited_hint(component: &Component, refused: &[(Filter, u32)], room: &Room<'_>) -> String {
    let worst = refused
        .iter()
        .max_by_key(|(filter, nodes)| (*nodes, std::cmp::Reverse(*filter)));
    let Some((filter, _)) = worst else {
        return "open a grid with nodes".into();
    };
    let grid = room.grid();
    match filter {
        Filter::Arch => format!(
            "choose an image of {}",
            listed(grid.classes.iter().map(|class| class.arch.to_string()))
        ),
        Filter::Guest => format!("no hypervisor of this grid runs {}", component.guest),
        Filter::Virtualisation => {
            let ways = grid.hypervisors.iter().flat_map(|h| &h.virtualisation);
            format!("the grid offers {}", listed(ways.map(ToString::to_string)))
        }
        Filter::Licence => {
            let licences = grid.classes.iter().flat_map(|class| &class.licences);
            format!("the grid's licences are {}", listed(licences.cloned()))
        }
        Filter::Site => format!(
            "the grid's sites are {}",
            listed(grid.sites.iter().map(|site| site.name.clone()))
        ),
        Filter::AcceleratorModel => {
            let models = grid
                .classes
                .iter()
                .filter_map(|class| class.accelerators.as_ref());
            format!(
                "the grid's accelerators are {}",
                listed(models.map(|a| a.model.clone()))
            )
        }
        Filter::Capability if component.remote_disk_gib > 0 => {
            let joins = |h: &&Hypervisor| h.capabilities.contains(&Capability::RemoteDisks);
            let joining = grid.hypervisors.iter().filter(joins);
            format!(
                "the hypervisors of this grid that join a remote disk of volumes are {}",
                listed(joining.map(|h| h.name.clone()))
            )
        }
        Filter::Capability => "no driver of this grid passes an accelerator to a guest".into(),
        Filter::Risk => {
            "no node takes a tenant of this risk class; lower it, or add nodes that do".into()
        }
        other => format!("add nodes that pass this filter: {other}"),
    }
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let words: BTreeSet<String> = words.collect();
    if words.is_empty() {
        return "none".into();
    }
    words.into_iter().collect::<Vec<_>>().join(", ")
}
