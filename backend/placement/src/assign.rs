//! The logical step: components become VMs of given sizes and groups; no node is named yet.
//!
//! ```text
//!  component ──┬─ network: an address range, no VM
//!              ├─ fits a node: one VM an instance         web-0, web-1
//!              └─ larger than any node:
//!                   database, storage: equal parts        db-0-part-0 … db-0-part-3
//!                   any other: refused
//! ```
//!
//! In reading order:
//!
//! - this module: [`assign`], and why it fails
//! - `size`: the shape of an instance, and of its parts where it is split
//! - `group`: who must keep together or apart, and whether that can be
//! - `room`: which kinds of node the grid has, and whom they take when empty

mod group;
mod room;
mod size;

use crate::filter::Filter;
use model::assignment::{AssignedVm, Assignment};
use model::design::ComponentKind;
use model::grid::Grid;
use model::id::ComponentId;
use model::topology::Topology;
use model::units::{Dimension, Resources};
use model::vm::{Demand, Scope};
pub use room::Kinds;
use room::Room;
use std::cmp::Reverse;

/// Into how many parts an instance may be split at most: beyond that it is the size that is wrong,
/// and the search for the number of parts stays short.
pub const MAX_PARTS: u32 = 64;

/// Why a topology cannot become VMs of this grid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// Something is asked that no node has, however empty.
    #[error(
        "no node suits component {component:?} ({})\nhint: {hint}",
        reasons(.refused)
    )]
    Unsuited {
        /// The component.
        component: String,
        /// How many nodes each filter refuses first, in the order of filters.
        refused: Vec<(Filter, u32)>,
        /// What the user can do.
        hint: String,
    },
    /// An instance is larger than any node that suits it, and cannot be split.
    #[error(
        "no node is large enough for one instance of component {component:?} ({asked})\nhint: {hint}"
    )]
    TooLarge {
        /// The component.
        component: String,
        /// What one instance, or what cannot be split of it, asks.
        asked: Resources,
        /// Which dimension no node has enough of; `None`: no node has all of it at once.
        dimension: Option<Dimension>,
        /// What the user can do.
        hint: String,
    },
    /// VMs that must share a node are too large for any.
    #[error(
        "no node is large enough for {} together ({asked})\nhint: ask for less, or let them keep to one rack instead of one node",
        .vms.join(", ")
    )]
    TooLargeTogether {
        /// Names of the VMs.
        vms: Vec<String>,
        /// What they ask in sum.
        asked: Resources,
    },
    /// Two VMs must be together and apart.
    #[error(
        "{one} and {other} must share a {together} and be on different {apart}s\nhint: spread less widely, or drop the beside"
    )]
    Contradiction {
        /// A VM.
        one: String,
        /// Another.
        other: String,
        /// What they must share.
        together: Scope,
        /// What they must not share.
        apart: Scope,
    },
    /// There are fewer nodes, racks or sites than VMs to spread over them.
    #[error(
        "group {group:?} has {vms} VMs and the grid {places} {scope}s that suit them\nhint: draw fewer instances, or spread less widely"
    )]
    TooFewPlaces {
        /// The group.
        group: String,
        /// Its members.
        vms: u32,
        /// Nodes, racks or sites that can take any of them.
        places: u32,
        /// Which of these.
        scope: Scope,
    },
    /// A component runs beside one that becomes no VM.
    #[error(
        "component {component:?} is to run beside {beside:?}, a network, which runs nowhere\nhint: link it to the network instead"
    )]
    BesideNetwork {
        /// The component.
        component: String,
        /// The network.
        beside: String,
    },
    /// Two VMs would have the same name.
    #[error(
        "two VMs would be named {name:?}\nhint: rename a component, so that none ends like a part of another"
    )]
    SameName {
        /// The name.
        name: String,
    },
}

fn reasons(refused: &[(Filter, u32)]) -> String {
    let reason = |(filter, nodes): &(Filter, u32)| format!("{nodes} nodes: {filter}");
    let reasons: Vec<String> = refused.iter().map(reason).collect();
    if reasons.is_empty() {
        "the grid has no nodes".into()
    } else {
        reasons.join(", ")
    }
}

/// Turns every component into VMs, in the order in which they are to be placed.
///
/// The grid tells how large nodes are and which kinds there are; what is free on them is the
/// business of [`crate::plan::plan`].
///
/// - An instance that is larger than any node is split where its kind can be: a database and a
///   storage share all that they ask equally between the fewest parts that fit and for all of which
///   the empty sites have room, each part a VM with processor and memory to serve its own share of
///   the disk. Accelerators are never split: they stay with the first part.
/// - A disk that other nodes are to lend is no part of what an instance asks of its own node, whose
///   driver must join volumes for it; where an instance is split, each part has a share of it.
/// - The parts of an instance keep to one site, or to one rack where instances are spread over
///   racks, so that an instance is lost to one failure and not to many.
/// - Two or more highly available instances are kept on different nodes where the design says
///   nothing else: a restart elsewhere is of no use if all fall at once.
/// - `beside` pairs instances in turn: of three web servers beside two caches, `web-0` and `web-2`
///   keep to `cache-0`, and `web-1` to `cache-1`.
/// - Largest VMs first, by the dimension in which a VM takes the greatest share of the grid's
///   largest node, because small ones still fit into what large ones leave and not the other way
///   round (first-fit decreasing); then by component, instance and part.
///
/// # Errors
/// What no empty grid of this kind could run, with a hint.
pub fn assign(topology: &Topology, grid: &Grid) -> Result<Assignment, AssignError> {
    assign_on(topology, grid, &Kinds::of(grid))
}

/// As [`assign`], where the kinds of the grid's nodes are known already.
///
/// # Errors
/// As [`assign`]'s.
pub fn assign_on(
    topology: &Topology,
    grid: &Grid,
    kinds: &Kinds,
) -> Result<Assignment, AssignError> {
    let room = Room::of(grid, kinds);
    let mut vms = Vec::new();
    for (id, component) in topology.components().iter().enumerate() {
        if component.kind == ComponentKind::Network {
            continue;
        }
        let parts = size::parts(component, topology.risk(), &room)?;
        let split = parts.len() > 1;
        for instance in 0..component.instances {
            for (part, (spec, remote_disk_gib)) in parts.iter().enumerate() {
                vms.push(AssignedVm {
                    name: match split {
                        true => format!("{}-{instance}-part-{part}", component.name),
                        false => format!("{}-{instance}", component.name),
                    },
                    component: ComponentId(id as u32),
                    instance,
                    part: split.then_some(part as u32),
                    spec: spec.clone(),
                    remote_disk_gib: *remote_disk_gib,
                    groups: Vec::new(),
                });
            }
        }
    }
    refuse_same_names(&vms)?;
    let groups = group::form(topology, &mut vms)?;
    group::check(&groups, &vms, &room)?;
    vms.sort_by_cached_key(|vm| {
        let component = &topology.components()[vm.component.index()].name;
        let share = room.dominant_share_ppm(demand(vm));
        (Reverse(share), component.clone(), vm.instance, vm.part)
    });
    Ok(Assignment {
        design: topology.name().to_owned(),
        tenant: topology.tenant().to_owned(),
        vms,
        groups: groups.into_iter().map(|draft| draft.group).collect(),
    })
}

fn refuse_same_names(vms: &[AssignedVm]) -> Result<(), AssignError> {
    let mut names: Vec<&str> = vms.iter().map(|vm| vm.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(AssignError::SameName {
            name: pair[0].to_owned(),
        }),
        None => Ok(()),
    }
}

/// What an assigned VM asks: the same on every node.
fn demand(vm: &AssignedVm) -> Resources {
    match &vm.spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => unreachable!("an assignment asks in units"),
    }
}
