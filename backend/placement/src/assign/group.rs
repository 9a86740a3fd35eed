//! Who must keep together or apart, and whether that can be.

use super::room::Room;
use super::{AssignError, demand};
use model::assignment::{AssignedVm, Group};
use model::design::Component;
use model::id::GroupId;
use model::topology::Topology;
use model::units::Resources;
use model::vm::{Affinity, GroupRule, Scope, VmSpec};
use std::collections::BTreeMap;

/// A group with its members, as places in the list of VMs.
pub(super) struct Draft {
    pub(super) group: Group,
    members: Vec<usize>,
}

/// Forms all groups, and tells each VM which it belongs to.
pub(super) fn form(topology: &Topology, vms: &mut [AssignedVm]) -> Result<Vec<Draft>, AssignError> {
    let by_component = by_component(topology.components().len(), vms);
    let mut drafts = Vec::new();
    for (component, instances) in topology.components().iter().zip(&by_component) {
        let parts = |parts: &Vec<usize>| keep_parts(component, parts, vms);
        drafts.extend(instances.iter().filter_map(parts));
        drafts.extend(spread(component, instances));
        drafts.extend(beside(topology, component, instances, &by_component)?);
    }
    for (number, draft) in drafts.iter().enumerate() {
        for &member in &draft.members {
            vms[member].groups.push(GroupId(number as u32));
        }
    }
    Ok(drafts)
}

/// The VMs of each component: by instance, its parts; none of a network.
fn by_component(components: usize, vms: &[AssignedVm]) -> Vec<Vec<Vec<usize>>> {
    let mut by_component = vec![Vec::<Vec<usize>>::new(); components];
    for (place, vm) in vms.iter().enumerate() {
        let instances = &mut by_component[vm.component.index()];
        instances.resize_with(vm.instance as usize + 1, Vec::new);
        instances[vm.instance as usize].push(place);
    }
    by_component
}

fn draft(name: String, kind: Affinity, scope: Scope, members: Vec<usize>) -> Draft {
    Draft {
        group: Group {
            name,
            rule: GroupRule { kind, scope },
        },
        members,
    }
}

fn keep_parts(component: &Component, parts: &[usize], vms: &[AssignedVm]) -> Option<Draft> {
    if parts.len() < 2 {
        return None;
    }
    let scope = match component.spread {
        Some(Scope::Rack) => Scope::Rack,
        _ => Scope::Site,
    };
    let name = format!(
        "{}-{} parts on one {scope}",
        component.name, vms[parts[0]].instance
    );
    Some(draft(name, Affinity::Together, scope, parts.to_vec()))
}

fn spread(component: &Component, instances: &[Vec<usize>]) -> Option<Draft> {
    if instances.len() < 2 {
        return None;
    }
    let by_default = component.highly_available.then_some(Scope::Node);
    let scope = component.spread.or(by_default)?;
    let members = match scope {
        Scope::Node => instances.concat(),
        // The parts of an instance share the scope, so the first stands for all of them.
        Scope::Rack | Scope::Site => instances.iter().map(|parts| parts[0]).collect(),
    };
    let name = format!("{} spread over {scope}s", component.name);
    Some(draft(name, Affinity::Apart, scope, members))
}

fn beside(
    topology: &Topology,
    component: &Component,
    own: &[Vec<usize>],
    by_component: &[Vec<Vec<usize>>],
) -> Result<Vec<Draft>, AssignError> {
    let Some(beside) = &component.beside else {
        return Ok(Vec::new());
    };
    let mut components = topology.components().iter();
    let other = components
        .position(|other| other.name == beside.component)
        .expect("a topology's beside names a component");
    let others = &by_component[other];
    if others.is_empty() && !own.is_empty() {
        return Err(AssignError::BesideNetwork {
            component: component.name.clone(),
            beside: beside.component.clone(),
        });
    }
    let pairs = others.iter().enumerate().filter_map(|(turn, parts)| {
        let followers = own.iter().skip(turn).step_by(others.len());
        let followers: Vec<usize> = followers.map(|parts| parts[0]).collect();
        if followers.is_empty() {
            return None;
        }
        let name = format!(
            "{} beside {}-{turn} on one {}",
            component.name, beside.component, beside.scope
        );
        let members = std::iter::once(parts[0]).chain(followers).collect();
        Some(draft(name, Affinity::Together, beside.scope, members))
    });
    Ok(pairs.collect())
}

/// Refuses groups that no empty grid of this kind could honour.
pub(super) fn check(
    drafts: &[Draft],
    vms: &[AssignedVm],
    room: &Room<'_>,
) -> Result<(), AssignError> {
    for scope in [Scope::Node, Scope::Rack, Scope::Site] {
        let sets = Sets::of(drafts, vms.len(), scope);
        for draft in apart(drafts).filter(|draft| draft.group.rule.scope == scope) {
            refuse_contradiction(draft, drafts, &sets, vms)?;
            refuse_too_few(draft, vms, room)?;
        }
        if scope == Scope::Node {
            refuse_too_large(&sets, vms, room)?;
        }
    }
    Ok(())
}

fn apart(drafts: &[Draft]) -> impl Iterator<Item = &Draft> {
    drafts
        .iter()
        .filter(|draft| draft.group.rule.kind == Affinity::Apart)
}

fn refuse_contradiction(
    draft: &Draft,
    drafts: &[Draft],
    sets: &Sets,
    vms: &[AssignedVm],
) -> Result<(), AssignError> {
    let mut seen = BTreeMap::new();
    for &member in &draft.members {
        let Some(other) = seen.insert(sets.root(member), member) else {
            continue;
        };
        let apart = draft.group.rule.scope;
        // The narrowest scope in which the two are already bound together says it best.
        let together = [Scope::Node, Scope::Rack, Scope::Site]
            .into_iter()
            .find(|scope| {
                let sets = Sets::of(drafts, vms.len(), *scope);
                sets.root(member) == sets.root(other)
            })
            .unwrap_or(apart);
        return Err(AssignError::Contradiction {
            one: vms[other].name.clone(),
            other: vms[member].name.clone(),
            together,
            apart,
        });
    }
    Ok(())
}

fn refuse_too_few(draft: &Draft, vms: &[AssignedVm], room: &Room<'_>) -> Result<(), AssignError> {
    let members: Vec<(&VmSpec, Resources)> = draft
        .members
        .iter()
        .map(|&member| (&vms[member].spec, demand(&vms[member])))
        .collect();
    let scope = draft.group.rule.scope;
    let places = room.places(&members, scope);
    if members.len() > places as usize {
        return Err(AssignError::TooFewPlaces {
            group: draft.group.name.clone(),
            vms: members.len() as u32,
            places,
            scope,
        });
    }
    Ok(())
}

fn refuse_too_large(sets: &Sets, vms: &[AssignedVm], room: &Room<'_>) -> Result<(), AssignError> {
    for members in sets.members().into_values().filter(|set| set.len() > 1) {
        let specs: Vec<&VmSpec> = members.iter().map(|&member| &vms[member].spec).collect();
        let sum = members.iter().map(|&member| demand(&vms[member]));
        let sum = sum.reduce(saturating_sum).expect("a set has members");
        if !room.takes(&specs, sum) {
            return Err(AssignError::TooLargeTogether {
                vms: members
                    .iter()
                    .map(|&member| vms[member].name.clone())
                    .collect(),
                asked: sum,
            });
        }
    }
    Ok(())
}

fn saturating_sum(a: Resources, b: Resources) -> Resources {
    let (a, b) = (a.to_array(), b.to_array());
    Resources::from_array(std::array::from_fn(|d| a[d].saturating_add(b[d])))
}

/// VMs that the groups bind together within a scope, directly or through others: sharing a node
/// is sharing its rack and its site too.
struct Sets {
    /// By VM: another of its set, or itself at the root.
    parents: Vec<usize>,
}

impl Sets {
    fn of(drafts: &[Draft], vms: usize, scope: Scope) -> Self {
        let mut sets = Self {
            parents: (0..vms).collect(),
        };
        for draft in drafts {
            let rule = draft.group.rule;
            if rule.kind == Affinity::Together && rule.scope <= scope {
                for pair in draft.members.windows(2) {
                    let (a, b) = (sets.root(pair[0]), sets.root(pair[1]));
                    sets.parents[a.max(b)] = a.min(b);
                }
            }
        }
        sets
    }

    fn root(&self, vm: usize) -> usize {
        let mut root = vm;
        while self.parents[root] != root {
            root = self.parents[root];
        }
        root
    }

    fn members(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for vm in 0..self.parents.len() {
            members.entry(self.root(vm)).or_default().push(vm);
        }
        members
    }
}
