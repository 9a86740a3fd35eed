//! Grids of any kind, written and read back.

use model::grid::{Grid, MAX_ACCELERATORS, NodeClass, NodeState};
use model::grid_builder::{GridBuilder, RackRule};
use model::grid_file::read_grid;
use model::grid_writer::write_grid;
use model::hypervisor::{Hypervisor, profiles};
use model::id::{Generation, HypervisorId};
use model::units::Resources;
use model::vm::Risk;
use proptest::prelude::*;

/// Sizes that people do not write short, odd names, any racks.
fn any_grid() -> impl Strategy<Value = Grid> {
    let class = (
        0..3_u32,
        prop_oneof![Just(32_000_u32), 1..u32::MAX],
        prop_oneof![Just(131_072_u32), 1..u32::MAX],
        prop_oneof![Just(3_576_u32), any::<u32>()],
        proptest::option::of(("[A-Z]{1,4}", 1..=MAX_ACCELERATORS as u32)),
        proptest::collection::btree_set("x[a-z\"\\\\ é]{0,4}x", 0..3),
        proptest::collection::btree_map("[a-z\"\\\\ =]{0,3}", "\\PC{0,4}", 0..3),
        any::<u32>(),
    );
    let group = (
        0..4_usize,
        prop_oneof![Just("n"), Just("a-b"), Just("é \"q\""), Just("x-007")],
        1..70_u32,
        prop_oneof![Just(1_usize), Just(3)],
        prop_oneof![
            Just(RackRule::Fill(40)),
            (1..9_u32).prop_map(RackRule::Fill),
            Just(RackRule::Spread(1)),
            Just(RackRule::Named("r1".into())),
            Just(RackRule::Named("corner".into())),
        ],
        0..3_u32,
        any::<bool>(),
    );
    let classes = proptest::collection::vec(class, 4);
    let groups = proptest::collection::vec(group, 1..8);
    (classes, groups, any::<u64>()).prop_map(|(classes, groups, generation)| {
        let mut builder = GridBuilder::new("any");
        builder.set_generation(Generation(generation));
        for (number, (class, prefix, count, digits, racks, site, up)) in (0_u32..).zip(groups) {
            let (hypervisor, cpu, mem, disk, devices, names, labels, cost) = &classes[class];
            let own = Hypervisor {
                title: format!("changed {hypervisor}"),
                ..profiles()[*hypervisor as usize].clone()
            };
            let hypervisor = match hypervisor {
                0 => builder.hypervisor(&own),
                place => builder.hypervisor(&profiles()[*place as usize]),
            };
            let accelerators = devices.as_ref().map(|(model, count)| {
                let model = model.clone();
                model::grid::Accelerators {
                    model,
                    count: *count,
                }
            });
            let accel_milli = devices.as_ref().map_or(0, |(_, count)| count * 1_000);
            // Some licences get a price of every size, some get none.
            let licence = ["dear", "free", "a \"quoted\" one"][*cost as usize % 3];
            if *cost % 2 == 0 {
                builder.set_licence_cost(licence.into(), *cost);
            }
            let class = builder.class(NodeClass {
                name: format!("class {class}"),
                model: String::new(),
                arch: builder.grid().hypervisors[hypervisor.index()].archs[0],
                hypervisor,
                capacity: Resources::from_array([*cpu, *mem, *disk, 200_000, 1, accel_milli]),
                accelerators,
                licences: names.iter().chain([&licence.to_owned()]).cloned().collect(),
                roles: names.clone(),
                labels: labels.clone(),
                risk: Risk::Medium,
                cost_milli_per_hour: *cost,
            });
            let site = builder.site(["main", "north", "south"][site as usize]);
            let rack_ids = builder.fill_racks(site, &racks, count);
            let state = if up {
                NodeState::Up
            } else {
                NodeState::Draining
            };
            for (node, rack) in (0..count).zip(rack_ids) {
                let node = number * 100 + node;
                let name = format!("{prefix}-{node:0digits$}");
                // Two prefixes may meet in one name; the second node is left out then.
                let _ = builder.node(name, class, rack, state);
            }
        }
        builder.finish()
    })
}

proptest! {
    /// What is written is read back equal, but for racks and classes that lost their last node.
    #[test]
    fn written_grids_are_read_back(grid in any_grid()) {
        let text = write_grid(&grid);
        let read = read_grid("any.toml", &text);
        let read = read.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let describe = |grid: &Grid| -> Vec<_> {
            grid.node_ids().map(|id| {
                let node = &grid.nodes[id.index()];
                let class = NodeClass { hypervisor: HypervisorId(0), ..grid.class_of(id).clone() };
                let rack = grid.racks[node.rack.index()].name.clone();
                let site = grid.sites[grid.site_of(id).index()].name.clone();
                (node.name.clone(), node.state, class, rack, site, grid.hypervisor_of(id).clone())
            }).collect()
        };
        prop_assert_eq!(describe(&read), describe(&grid));
        prop_assert_eq!(read.generation, grid.generation);
        let mut prices = grid.licence_cost_milli_per_hour.clone();
        prices.retain(|licence, _| grid.licences().contains(licence.as_str()));
        prop_assert_eq!(&read.licence_cost_milli_per_hour, &prices);
        prop_assert_eq!(write_grid(&read), text);
    }
}
