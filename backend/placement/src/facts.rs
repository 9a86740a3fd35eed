//! All that a local score may read: of a shape on a class of nodes, and of one node.

use crate::shape::accelerators_of;
use model::grid::{Grid, NodeClass};
use model::id::{NodeId, SiteId};
use model::units::{AccelMilli, DIMENSIONS, Resources};
use model::vm::{Demand, Risk, VmSpec};

/// A shape on one class of nodes; made once a pair, so that scores compare no strings.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeFacts {
    /// What a VM of the shape takes of a node of the class.
    pub asked: Resources,
    /// What such a node has when it is empty.
    pub capacity: Resources,
    /// One over the capacity, by dimension; 0 where the shape asks nothing or the class has nothing,
    /// so that a sum over all dimensions is one over those that matter to the VM.
    pub inverse: [f64; DIMENSIONS],
    /// How many of [`Self::inverse`] are not 0.
    pub dimensions: u32,
    /// Share of native speed that reaches the shape's kind of work, in thousandths.
    pub efficiency_milli: u32,
    /// How many licences on a node the shape has no use for.
    pub unused_licences: u32,
    /// What those cost together, in thousandths of the currency an hour.
    pub unused_licence_cost_milli_per_hour: u32,
    /// Cost of a running node in thousandths of the currency an hour.
    pub node_cost_milli_per_hour: u32,
    /// Most risky tenant that the nodes take.
    pub node_risk: Risk,
    /// The shape's tenant's risk.
    pub vm_risk: Risk,
    /// What the VM is expected to use of the processor, in thousandths of a core.
    pub expected_cpu_milli: u32,
}

impl ShapeFacts {
    /// The facts of a shape on one of the grid's classes; `None` where the shape is not legal on
    /// the class's model.
    pub fn new(spec: &VmSpec, class: &NodeClass, grid: &Grid) -> Option<Self> {
        let asked = asked_of(spec, class)?;
        let (wanted, owned) = (asked.to_array(), class.capacity.to_array());
        let inverse = std::array::from_fn(|d| {
            if wanted[d] > 0 && owned[d] > 0 {
                1.0 / f64::from(owned[d])
            } else {
                0.0
            }
        });
        let hypervisor = &grid.hypervisors[class.hypervisor.index()];
        let unused = || class.licences.difference(&spec.licences);
        let expected = u64::from(asked.cpu_milli.0) * u64::from(spec.expected_load_milli) / 1_000;
        Some(Self {
            asked,
            capacity: class.capacity,
            inverse,
            dimensions: inverse.iter().filter(|i| **i > 0.0).count() as u32,
            efficiency_milli: hypervisor.efficiency.milli_for(spec.work),
            unused_licences: unused().count() as u32,
            unused_licence_cost_milli_per_hour: grid.cost_of_licences(unused()),
            node_cost_milli_per_hour: class.cost_milli_per_hour,
            node_risk: class.risk,
            vm_risk: spec.risk,
            expected_cpu_milli: u32::try_from(expected).unwrap_or(u32::MAX),
        })
    }
}

/// What a shape takes of a node of a class; `None` where it is not legal on the class's model.
///
/// A share is rounded up to a whole unit, so that no VM gets less than its share, nor a node is
/// promised twice. Accelerators asked for by name count, whatever sum stands beside them.
pub fn asked_of(spec: &VmSpec, class: &NodeClass) -> Option<Resources> {
    let mut asked = match &spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(models) => {
            let share_ppm = models.get(&class.model)?;
            let capacity = class.capacity.to_array();
            Resources::from_array(std::array::from_fn(|d| {
                let millionths = u64::from(capacity[d]) * u64::from(share_ppm[d]);
                u32::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u32::MAX)
            }))
        }
    };
    if let Some(amount) = accelerators_of(spec, asked) {
        asked.accel_milli = AccelMilli(amount.milli());
    }
    Some(asked)
}

/// One node as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Where it stands.
    pub site: SiteId,
    /// What it has free.
    pub free: Resources,
    /// How many VMs it carries.
    pub vms: u32,
    /// How many of them by [`Risk`].
    pub vms_by_risk: [u32; 3],
    /// What its VMs are expected to use of the processor, in thousandths of a core.
    pub expected_cpu_milli: u64,
}

impl NodeFacts {
    /// A node that carries nothing.
    pub fn empty(grid: &Grid, node: NodeId) -> Self {
        Self {
            site: grid.site_of(node),
            free: grid.class_of(node).capacity,
            vms: 0,
            vms_by_risk: [0; 3],
            expected_cpu_milli: 0,
        }
    }

    /// The node with one VM more.
    ///
    /// # Panics
    /// Where the VM does not fit: a bug of the caller, who decided for this node.
    pub fn add(&mut self, shape: &ShapeFacts) {
        self.free = self
            .free
            .checked_sub(shape.asked)
            .expect("a decision fits its node");
        self.vms += 1;
        self.vms_by_risk[shape.vm_risk as usize] += 1;
        self.expected_cpu_milli += u64::from(shape.expected_cpu_milli);
    }

    /// The node with one VM less.
    ///
    /// # Panics
    /// Where the VM was not there: a bug of the caller.
    pub fn remove(&mut self, shape: &ShapeFacts) {
        let risk = shape.vm_risk as usize;
        self.free = self
            .free
            .checked_add(shape.asked)
            .expect("a release gives back what was taken");
        assert!(self.vms_by_risk[risk] > 0, "a release without a placement");
        self.vms -= 1;
        self.vms_by_risk[risk] -= 1;
        self.expected_cpu_milli -= u64::from(shape.expected_cpu_milli);
    }
}
