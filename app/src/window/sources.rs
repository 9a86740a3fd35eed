//! The one door to samples, readers and runs: what the pages open and start, as plain functions for jobs.

use model::grid::{Grid, Node, NodeClass, NodeState, Rack, Site};
use model::hypervisor::{Arch, Hypervisor};
use model::id::{Generation, HypervisorId, NodeClassId, RackId, SiteId};
use model::units::Resources;
use model::vm::Risk;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A grid of `sites` × `racks` × `nodes`, for measurements and tests of the window.
pub fn made_up_grid(sites: u32, racks: u32, nodes: u32) -> Arc<Grid> {
    let hypervisor = Hypervisor::known("qemu")
        .expect("a profile that is built in")
        .clone();
    let class = |name: &str, cores: u32| NodeClass {
        name: name.into(),
        model: name.into(),
        arch: Arch::X86_64,
        hypervisor: HypervisorId(0),
        capacity: Resources::from_array([cores * 1_000, cores * 4_096, 2_000, 50_000, 10_000, 0]),
        accelerators: None,
        licences: BTreeSet::new(),
        roles: BTreeSet::new(),
        labels: BTreeMap::new(),
        risk: Risk::High,
        cost_milli_per_hour: 0,
    };
    let mut grid = Grid {
        name: "made up".into(),
        generation: Generation(0),
        sites: (0..sites)
            .map(|site| Site {
                name: format!("site-{site}"),
            })
            .collect(),
        racks: Vec::new(),
        hypervisors: vec![hypervisor],
        classes: vec![class("small", 32), class("large", 64)],
        nodes: Vec::new(),
    };
    for rack in 0..sites * racks {
        grid.racks.push(Rack {
            name: format!("rack-{rack}"),
            site: SiteId(rack / racks),
        });
        for _ in 0..nodes {
            let id = grid.nodes.len();
            grid.nodes.push(Node {
                name: format!("node-{id}"),
                class: NodeClassId(rack % 2),
                rack: RackId(rack),
                state: NodeState::Up,
            });
        }
    }
    Arc::new(grid)
}
