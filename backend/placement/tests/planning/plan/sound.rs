//! Whatever is asked for, a plan keeps what it must keep.

use crate::plan::{assignment, group, view, vm};
use model::assignment::Assignment;
use model::grid::Grid;
use model::id::{GroupId, NodeId};
use model::units::Resources;
use model::view::View;
use model::vm::{Affinity, Scope};
use placement::plan::{Planned, plan};
use placement::policy::Policy;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn scopes() -> impl Strategy<Value = Scope> {
    prop::sample::select(vec![Scope::Node, Scope::Rack, Scope::Site])
}

fn vms() -> impl Strategy<Value = Vec<(u32, u32, Option<u32>)>> {
    let group = prop::option::of(0..3_u32);
    prop::collection::vec((1..12_u32, 1..48_u32, group), 1..16)
}

proptest! {
    /// Every VM is placed exactly once, no node is over capacity, and every group is honoured.
    #[test]
    fn plans_are_sound(
        sizes in vms(),
        rules in prop::collection::vec((any::<bool>(), scopes()), 3),
        used in prop::collection::vec((0..8_000_u32, 0..32_768_u32), 6),
        policy in prop::sample::select(vec![
            Policy::FirstFit, Policy::BestFit, Policy::WorstFit, Policy::RandomFit, Policy::Topsis,
            Policy::FragmentationGradient,
        ]),
    ) {
        let mut view = view();
        for (node, used) in view.nodes.iter_mut().zip(used) {
            node.used = Resources::cpu_mem(used.0, used.1);
        }
        let vms = sizes.iter().enumerate().map(|(n, (cores, mem, group))| {
            vm(&format!("a-{n}"), *cores, *mem, group.as_slice())
        });
        let groups = rules.iter().map(|(together, scope)| {
            group(if *together { Affinity::Together } else { Affinity::Apart }, *scope)
        });
        let assignment = assignment(vms.collect(), groups.collect());
        let planned = match plan(&assignment, &view, &policy, 3) {
            Ok(planned) => planned,
            Err(unplaced) => {
                prop_assert!(unplaced.to_string().contains("hint: "));
                return Ok(());
            }
        };
        let placed: Vec<u32> = planned.plan.placements.iter().map(|p| p.vm).collect();
        prop_assert_eq!(placed, (0..assignment.vms.len() as u32).collect::<Vec<_>>());
        check_capacity(&assignment, &planned, &view)?;
        check_groups(&assignment, &planned, &view.grid)?;
    }
}

pub fn check_capacity(
    assignment: &Assignment,
    planned: &Planned,
    view: &View,
) -> Result<(), TestCaseError> {
    let mut used_by_node: BTreeMap<NodeId, Resources> = BTreeMap::new();
    for placement in &planned.plan.placements {
        let spec = &assignment.vms[placement.vm as usize].spec;
        let model::vm::Demand::Fixed(asked) = spec.demand else {
            panic!("a plain VM asks in units");
        };
        let before = view.nodes[placement.node.index()].used;
        let used = used_by_node.entry(placement.node).or_insert(before);
        *used = used.checked_add(asked).expect("small numbers");
        for loan in &placement.loans {
            let before = view.nodes[loan.node.index()].used;
            used_by_node.entry(loan.node).or_insert(before).disk_gib.0 += loan.size_gib;
        }
    }
    for (node, used) in used_by_node {
        let capacity = view.grid.class_of(node).capacity;
        prop_assert_eq!(used.first_shortage(capacity), None, "on {}", node);
    }
    Ok(())
}

pub fn check_groups(
    assignment: &Assignment,
    planned: &Planned,
    grid: &Grid,
) -> Result<(), TestCaseError> {
    for (id, group) in assignment.groups.iter().enumerate() {
        let members = assignment.vms.iter().zip(&planned.plan.placements);
        let places: Vec<u32> = members
            .filter(|(vm, _)| vm.groups.contains(&GroupId(id as u32)))
            .map(|(_, placement)| match group.rule.scope {
                Scope::Node => placement.node.0,
                Scope::Rack => grid.nodes[placement.node.index()].rack.0,
                Scope::Site => grid.site_of(placement.node).0,
            })
            .collect();
        let distinct = places.iter().collect::<BTreeSet<_>>().len();
        match group.rule.kind {
            Affinity::Together => prop_assert!(distinct <= 1, "{}: {:?}", group.name, places),
            Affinity::Apart => prop_assert_eq!(distinct, places.len(), "{}", group.name),
        }
    }
    Ok(())
}
