//! Small grids and traces for the tests.

use capacity::trace::{Trace, VmRequest};
use model::grid::{Grid, Node, NodeClass, NodeState, Rack, Site};
use model::hypervisor::{Arch, Efficiency, Guest, Hypervisor, HypervisorType, Virtualisation};
use model::id::{HypervisorId, NodeClassId, RackId, SiteId};
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::{Risk, VmSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A grid of node groups, each a count and a capacity, in one rack.
pub fn grid(groups: &[(u32, Resources)]) -> Arc<Grid> {
    let mut grid = Grid {
        name: "test".into(),
        sites: vec![Site { name: "s".into() }],
        racks: vec![Rack {
            name: "r".into(),
            site: SiteId(0),
        }],
        hypervisors: vec![hypervisor()],
        ..Grid::default()
    };
    for (group, &(count, capacity)) in groups.iter().enumerate() {
        grid.classes.push(NodeClass {
            name: format!("c{group}"),
            model: format!("m{group}"),
            arch: Arch::X86_64,
            hypervisor: HypervisorId(0),
            capacity,
            accelerators: None,
            licences: BTreeSet::new(),
            roles: BTreeSet::new(),
            labels: BTreeMap::new(),
            risk: Risk::High,
            cost_milli_per_hour: 0,
        });
        grid.nodes.extend((0..count).map(|number| Node {
            name: format!("c{group}-{number}"),
            class: NodeClassId(group as u32),
            rack: RackId(0),
            state: NodeState::Up,
        }));
    }
    Arc::new(grid)
}

/// A trace of shapes and VMs (arrival and duration in ms, shape).
pub fn trace(shapes: &[Resources], vms: &[(i64, Option<i64>, u32)], end: i64) -> Trace {
    let request = |&(arrival, duration, shape): &(i64, Option<i64>, u32)| VmRequest {
        arrival: Time(arrival),
        duration: duration.map(Span),
        shape,
        tenant: 0,
        priority: 0,
        group: None,
    };
    Trace {
        name: "test".into(),
        vms: vms.iter().map(request).collect(),
        shapes: shapes.iter().copied().map(VmSpec::plain).collect(),
        tenants: vec!["t".into()],
        end: Time(end),
        ..Trace::default()
    }
}

fn hypervisor() -> Hypervisor {
    Hypervisor {
        name: "qemu".into(),
        title: "QEMU".into(),
        hypervisor_type: HypervisorType::Type2,
        virtualisation: vec![Virtualisation::Full, Virtualisation::Para],
        archs: vec![Arch::X86_64],
        emulated_archs: Vec::new(),
        guests: vec![Guest::Linux],
        capabilities: Vec::new(),
        efficiency: Efficiency::default(),
        source: String::new(),
    }
}
