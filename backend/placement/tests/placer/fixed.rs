//! Small grids by hand.

use model::grid::{Accelerators, Grid, Node, NodeClass, NodeState, Rack, Site};
use model::hypervisor::{
    Arch, Capability, Efficiency, Guest, Hypervisor, HypervisorType, Virtualisation,
};
use model::id::{Generation, HypervisorId, NodeClassId, NodeId, RackId, SiteId};
use model::units::Resources;
use model::vm::{AcceleratorAmount, AcceleratorAsk, Demand, Risk, VmSpec};
use placement::placer::{Decision, Placer};
use placement::state::Request;
use std::collections::{BTreeMap, BTreeSet};

/// A Linux machine of cores, memory and accelerators, as modest as can be.
pub fn class(cpu_milli: u32, mem_mib: u32, devices: u32) -> NodeClass {
    NodeClass {
        name: format!("c{cpu_milli}-{mem_mib}-{devices}"),
        model: "m1".to_owned(),
        arch: Arch::X86_64,
        hypervisor: HypervisorId(0),
        capacity: Resources::from_array([cpu_milli, mem_mib, 0, 0, 0, devices * 1_000]),
        accelerators: (devices > 0).then(|| Accelerators {
            model: "T4".to_owned(),
            count: devices,
        }),
        licences: BTreeSet::new(),
        roles: BTreeSet::new(),
        labels: BTreeMap::new(),
        risk: Risk::Medium,
        cost_milli_per_hour: 100,
    }
}

/// One node of each class, named `n0`, `n1`, …, two to a rack, the first rack on site `north`.
pub fn grid(classes: Vec<NodeClass>) -> Grid {
    let node = |n: usize| Node {
        name: format!("n{n}"),
        class: NodeClassId(n as u32),
        rack: RackId(n as u32 / 2),
        state: NodeState::Up,
    };
    let nodes: Vec<Node> = (0..classes.len()).map(node).collect();
    let rack = |r: usize| Rack {
        name: format!("r{r}"),
        site: SiteId(u32::from(r > 0)),
    };
    let site = |name: &str| Site {
        name: name.to_owned(),
    };
    Grid {
        name: "fixed".to_owned(),
        generation: Generation(1),
        sites: vec![site("north"), site("south")],
        racks: (0..classes.len().div_ceil(2)).map(rack).collect(),
        hypervisors: vec![Hypervisor {
            name: "plain".to_owned(),
            title: "Plain".to_owned(),
            hypervisor_type: HypervisorType::Type1,
            virtualisation: vec![Virtualisation::Full],
            archs: vec![Arch::X86_64],
            emulated_archs: Vec::new(),
            guests: vec![Guest::Linux],
            capabilities: vec![Capability::Pause],
            efficiency: Efficiency::default(),
            source: String::new(),
        }],
        classes,
        nodes,
        ..Grid::default()
    }
}

/// A VM of cores and memory.
pub fn vm(cpu_milli: u32, mem_mib: u32) -> VmSpec {
    VmSpec::plain(Resources::cpu_mem(cpu_milli, mem_mib))
}

/// The same with accelerators of any model.
pub fn with(spec: VmSpec, amount: AcceleratorAmount) -> VmSpec {
    let Demand::Fixed(mut asked) = spec.demand else {
        return spec;
    };
    asked.accel_milli.0 = amount.milli();
    VmSpec {
        demand: Demand::Fixed(asked),
        accelerators: Some(AcceleratorAsk {
            models: BTreeSet::new(),
            amount,
        }),
        ..spec
    }
}

/// Puts a VM on a node by hand.
pub fn put(placer: &mut Placer, spec: &VmSpec, node: u32, devices: &[(u8, u16)]) {
    let request = Request {
        shape: placer.shape(spec),
        groups: &[],
    };
    let decision = Decision {
        node: NodeId(node),
        devices: devices.to_vec(),
    };
    placer.place(request, &decision);
}
