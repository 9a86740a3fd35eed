//! What is free on every node, and who is where.

use crate::facts::NodeFacts;
use crate::shape::Ask;
use model::grid::{Grid, MAX_ACCELERATORS, NodeState};
use model::id::{GroupId, NodeClassId, NodeId, SiteId};
use model::units::{DIMENSIONS, Dimension, DiskGib, Resources};
use model::vm::Risk;
use std::collections::BTreeMap;
use std::sync::Arc;
use strum::VariantArray as _;

/// A VM shape known to a placer: its place in the placer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(pub u32);

/// The accelerators a VM got: device and thousandths; empty for most VMs.
pub type Devices = Vec<(u8, u16)>;

/// A VM that asks for a node.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its shape.
    pub shape: ShapeId,
    /// Groups it belongs to.
    pub groups: &'a [GroupId],
}

/// Nodes in a block: one bit each in a word.
pub(crate) const LANES: usize = 64;

/// Columns of a block: the dimensions, then [`SHARE`] and [`WHOLE`].
pub(crate) const WIDTH: usize = DIMENSIONS + 2;

/// The column of the largest free share of any one device, in thousandths.
pub(crate) const SHARE: usize = DIMENSIONS;

/// The column of the number of devices that are wholly free.
pub(crate) const WHOLE: usize = DIMENSIONS + 1;

/// How many values [`Risk`] has.
const RISKS: usize = Risk::VARIANTS.len();

/// A whole device in thousandths.
pub(crate) const DEVICE_MILLI: u16 = 1_000;

/// One largest node's worth of a dimension in the units of [`Block::weight`].
///
/// 2^44 keeps the sum over six dimensions under 2^47, and the rounding of [`State::scale`] under
/// one part in 4,096 even where a node has 2^32 units.
pub(crate) const WEIGHT_ONE: u64 = 1 << 44;

/// The state of 64 nodes with neighbouring ids, column by column, so that a scan is one straight
/// loop over each column. The last block of a grid is filled up with closed nodes.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) free: [[u32; LANES]; WIDTH],
    /// Free quantities in sum, each as a share of the largest node's; see [`State::scale`].
    pub(crate) weight: [u64; LANES],
    /// The only kind in the block, if there is but one.
    pub(crate) one_kind: Option<u32>,
    /// A bit for each node that takes VMs.
    pub(crate) open: u64,
    pub(crate) kind: [u32; LANES],
    /// Not by column: no scan reads it, and it changes as one.
    pub(crate) tally: [Tally; LANES],
}

/// What a node's VMs add up to, beside their resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Expected busy thousandths of cores.
    pub(crate) load_milli: u64,
    /// VMs by the risk of their tenants.
    pub(crate) vms_by_risk: [u32; RISKS],
}

/// All that a node carries, in sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seats {
    pub(crate) state: NodeState,
    pub(crate) used: Resources,
    pub(crate) tally: Tally,
    /// Thousandths of each device that are taken.
    pub(crate) devices: Vec<u16>,
}

/// What filters that never change look at: a node class on a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) class: NodeClassId,
    pub(crate) site: SiteId,
}

/// What is free on every node.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) grid: Arc<Grid>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) kinds: Vec<Kind>,
    /// By kind: what a node has when it is empty.
    pub(crate) capacities: Vec<[u32; DIMENSIONS]>,
    /// Weight of one unit of each dimension: [`WEIGHT_ONE`] over the largest node's capacity.
    pub(crate) scale: [u64; DIMENSIONS],
    /// The largest capacity of any node in each dimension.
    pub(crate) largest: Resources,
    states: Vec<NodeState>,
    /// Free thousandths of all devices, node after node.
    devices: Vec<u16>,
    /// Where a node's devices begin; one longer than the nodes.
    device_start: Vec<u32>,
}

impl State {
    /// All nodes empty, in the states that the grid gives.
    pub(crate) fn new(grid: Arc<Grid>) -> Self {
        let mut largest = [0; DIMENSIONS];
        for node in &grid.nodes {
            let capacity = grid.classes[node.class.index()].capacity.to_array();
            for (most, has) in largest.iter_mut().zip(capacity) {
                *most = has.max(*most);
            }
        }
        let scale = largest.map(|most| WEIGHT_ONE.checked_div(u64::from(most)).unwrap_or(0));
        let mut state = Self {
            blocks: vec![Block::closed(); grid.nodes.len().div_ceil(LANES)],
            kinds: Vec::new(),
            capacities: Vec::new(),
            scale,
            largest: Resources::from_array(largest),
            states: grid.nodes.iter().map(|node| node.state).collect(),
            devices: Vec::new(),
            device_start: vec![0],
            grid,
        };
        state.fill();
        state
    }

    /// Enters every node of the grid, empty.
    fn fill(&mut self) {
        let mut kinds = BTreeMap::new();
        let grid = Arc::clone(&self.grid);
        for node in grid.node_ids() {
            let class = grid.class_of(node);
            let kind = Kind {
                class: grid.nodes[node.index()].class,
                site: grid.site_of(node),
            };
            let next = kinds.len() as u32;
            let kind = *kinds.entry(kind).or_insert_with(|| {
                self.kinds.push(kind);
                self.capacities.push(class.capacity.to_array());
                next
            });
            let count = class.accelerators.as_ref().map_or(0, |a| a.count);
            let count = (count as usize).min(MAX_ACCELERATORS);
            self.devices
                .resize(self.devices.len() + count, DEVICE_MILLI);
            self.device_start.push(self.devices.len() as u32);
            let weight = self.weigh(class.capacity);
            let (block, lane) = self.block_mut(node);
            let capacity = class.capacity.to_array();
            for (column, has) in block.free.iter_mut().zip(capacity) {
                column[lane] = has;
            }
            block.weight[lane] = weight;
            block.kind[lane] = kind;
            self.sum_devices(node);
            self.set_state(node, self.states[node.index()]);
        }
        let nodes = grid.nodes.len();
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let used = &block.kind[..LANES.min(nodes - b * LANES)];
            block.one_kind = used.iter().all(|kind| *kind == used[0]).then_some(used[0]);
        }
    }

    pub(crate) fn block(&self, node: NodeId) -> (&Block, usize) {
        let n = node.index();
        assert!(n < self.states.len(), "{node} is not of this grid");
        (&self.blocks[n / LANES], n % LANES)
    }

    fn block_mut(&mut self, node: NodeId) -> (&mut Block, usize) {
        let n = node.index();
        (&mut self.blocks[n / LANES], n % LANES)
    }

    pub(crate) fn kind(&self, node: NodeId) -> usize {
        let (block, lane) = self.block(node);
        block.kind[lane] as usize
    }

    /// The sum of quantities, each as a share of the largest node's, in units of [`WEIGHT_ONE`].
    pub(crate) fn weigh(&self, resources: Resources) -> u64 {
        let parts = resources.to_array().into_iter().zip(self.scale);
        // Only what no node has can saturate.
        parts.fold(0, |sum, (quantity, scale)| {
            sum.saturating_add(u64::from(quantity).saturating_mul(scale))
        })
    }

    pub(crate) fn free(&self, node: NodeId) -> Resources {
        let (block, lane) = self.block(node);
        Resources::from_array(std::array::from_fn(|d| block.free[d][lane]))
    }

    /// VMs on a node.
    pub(crate) fn vms(&self, node: NodeId) -> u32 {
        let (block, lane) = self.block(node);
        block.tally[lane].vms_by_risk.iter().sum()
    }

    /// What rules read of a node.
    pub(crate) fn facts(&self, node: NodeId) -> NodeFacts {
        let (block, lane) = self.block(node);
        let vms_by_risk = block.tally[lane].vms_by_risk;
        NodeFacts {
            site: self.kinds[block.kind[lane] as usize].site,
            free: self.free(node),
            vms: vms_by_risk.iter().sum(),
            vms_by_risk,
            expected_cpu_milli: block.tally[lane].load_milli,
        }
    }

    pub(crate) fn state(&self, node: NodeId) -> NodeState {
        self.states[node.index()]
    }

    pub(crate) fn set_state(&mut self, node: NodeId, state: NodeState) {
        self.states[node.index()] = state;
        let (block, lane) = self.block_mut(node);
        block.open &= !(1 << lane);
        block.open |= u64::from(state == NodeState::Up) << lane;
    }

    /// Free thousandths of each of a node's devices.
    pub(crate) fn devices(&self, node: NodeId) -> &[u16] {
        let n = node.index();
        &self.devices[self.device_start[n] as usize..self.device_start[n + 1] as usize]
    }

    /// Takes what an ask wants, and these devices, from a node.
    ///
    /// # Panics
    /// Where the node has less: deciding is the caller's part.
    pub(crate) fn take(&mut self, node: NodeId, ask: &Ask, devices: &Devices) {
        let (block, lane) = self.block_mut(node);
        for &d in ask.dimensions() {
            let left = block.free[d][lane].checked_sub(ask.demand[d]);
            block.free[d][lane] = left.expect("what is taken was free");
        }
        block.weight[lane] -= ask.weight;
        block.tally[lane].vms_by_risk[ask.risk as usize] += 1;
        block.tally[lane].load_milli += ask.load_milli;
        if !devices.is_empty() {
            for &(device, milli) in devices {
                let free = self.device_mut(node, device);
                *free = free.checked_sub(milli).expect("what is taken was free");
            }
            self.sum_devices(node);
        }
    }

    /// Gives back what [`Self::take`] took.
    ///
    /// # Panics
    /// Where the node would have more than its capacity.
    pub(crate) fn give_back(&mut self, node: NodeId, ask: &Ask, devices: &Devices) {
        let n = node.index();
        let (block, lane) = (&mut self.blocks[n / LANES], n % LANES);
        let capacity = &self.capacities[block.kind[lane] as usize];
        for &d in ask.dimensions() {
            let free = block.free[d][lane] + ask.demand[d];
            assert!(free <= capacity[d], "{node} got back more than it has");
            block.free[d][lane] = free;
        }
        block.weight[lane] += ask.weight;
        block.tally[lane].vms_by_risk[ask.risk as usize] -= 1;
        block.tally[lane].load_milli -= ask.load_milli;
        if !devices.is_empty() {
            for &(device, milli) in devices {
                let free = self.device_mut(node, device);
                *free += milli;
                assert!(*free <= DEVICE_MILLI, "a device got back more than it has");
            }
            self.sum_devices(node);
        }
    }

    /// Takes disk space of a node for a VM of another, which counts among that one's VMs alone.
    ///
    /// # Panics
    /// Where the node has less free.
    pub(crate) fn lend(&mut self, node: NodeId, disk_gib: u32) {
        let weight = self.weigh(disk(disk_gib));
        let (block, lane) = self.block_mut(node);
        let free = &mut block.free[Dimension::Disk as usize][lane];
        *free = free.checked_sub(disk_gib).expect("what is lent was free");
        block.weight[lane] -= weight;
    }

    /// Gives back what [`Self::lend`] took.
    ///
    /// # Panics
    /// Where the node would have more than its capacity.
    pub(crate) fn take_back(&mut self, node: NodeId, disk_gib: u32) {
        let weight = self.weigh(disk(disk_gib));
        let capacity = self.grid.class_of(node).capacity.disk_gib.0;
        let (block, lane) = self.block_mut(node);
        let free = &mut block.free[Dimension::Disk as usize][lane];
        *free += disk_gib;
        assert!(*free <= capacity, "{node} got back more than it has");
        block.weight[lane] += weight;
    }

    /// Puts a node into another state as a whole, whatever was taken of it before; returns whether
    /// anything differs.
    ///
    /// # Panics
    /// Where more is used than the node has.
    pub(crate) fn seat(&mut self, node: NodeId, seats: &Seats) -> bool {
        let capacity = self.grid.class_of(node).capacity;
        let free = capacity.checked_sub(seats.used);
        let free = free.expect("a node uses no more than it has");
        let weight = self.weigh(free);
        let start = self.device_start[node.index()] as usize;
        let end = self.device_start[node.index() + 1] as usize;
        let devices = &mut self.devices[start..end];
        let mut differs = self.states[node.index()] != seats.state;
        for (free, used) in devices.iter_mut().zip(&seats.devices) {
            let left = DEVICE_MILLI.checked_sub(*used);
            let left = left.expect("a device is used no more than it has");
            differs |= std::mem::replace(free, left) != left;
        }
        let (block, lane) = self.block_mut(node);
        for (column, free) in block.free.iter_mut().zip(free.to_array()) {
            differs |= std::mem::replace(&mut column[lane], free) != free;
        }
        differs |= std::mem::replace(&mut block.tally[lane], seats.tally) != seats.tally;
        block.weight[lane] = weight;
        self.sum_devices(node);
        self.set_state(node, seats.state);
        differs
    }

    fn device_mut(&mut self, node: NodeId, device: u8) -> &mut u16 {
        let start = self.device_start[node.index()] as usize;
        &mut self.devices[start + usize::from(device)]
    }

    /// Brings the two columns that are drawn from the devices up to date.
    fn sum_devices(&mut self, node: NodeId) {
        let (share, whole) = sum_devices(self.devices(node));
        let (block, lane) = self.block_mut(node);
        block.free[SHARE][lane] = share;
        block.free[WHOLE][lane] = whole;
    }
}

fn disk(disk_gib: u32) -> Resources {
    Resources {
        disk_gib: DiskGib(disk_gib),
        ..Resources::default()
    }
}

/// The largest free share of any one device, and the number of devices wholly free.
pub(crate) fn sum_devices(devices: &[u16]) -> (u32, u32) {
    let share = devices.iter().copied().max().unwrap_or(0);
    let whole = devices.iter().filter(|free| **free == DEVICE_MILLI).count();
    (u32::from(share), whole as u32)
}

impl Block {
    fn closed() -> Self {
        Self {
            free: [[0; LANES]; WIDTH],
            weight: [0; LANES],
            one_kind: None,
            open: 0,
            kind: [0; LANES],
            tally: [Tally::default(); LANES],
        }
    }
}
