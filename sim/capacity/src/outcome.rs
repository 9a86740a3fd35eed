//! What came of a run.

use model::id::NodeId;
use model::time::Time;
use model::units::DIMENSIONS;
use placement::filter::Filter;
use placement::state::Devices;
use std::collections::BTreeMap;

/// Stands for "no node" in the decision hash.
pub const REFUSED: u32 = u32::MAX;

/// What happened to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It went to this node.
    Placed(NodeId),
    /// No node took it, by this filter at last.
    Refused(Filter),
    /// It left this node.
    Released(NodeId),
    /// It was put into the queue.
    Queued,
    /// It gave up waiting.
    GaveUp,
}

/// One line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Place of the VM in the trace.
    pub vm: u32,
    /// What.
    pub fate: Fate,
}

/// Figures of a whole run; shares are 0 to 1, averages are over time and exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// VMs in the trace.
    pub vms: u64,
    /// VMs that got a node.
    pub placed: u64,
    /// VMs that got none.
    pub rejected: u64,
    /// VMs that left before the end.
    pub released: u64,
    /// VMs still in the queue at the end; `vms` is the sum of `placed`, `rejected` and this.
    pub waiting_at_end: u64,
    /// Arrivals and departures handled.
    pub events: u64,
    /// Most VMs alive at once.
    pub peak_alive: u64,
    /// FNV-1a of 64 bits over every final decision in order, two little-endian words of 32 bits each:
    /// the VM's place in the trace, and its node or [`REFUSED`].
    pub decision_hash: u64,
    /// Placed share of VMs.
    pub acceptance: f64,
    /// Placed share, weighted by cores times hours asked for.
    pub acceptance_core_hours: f64,
    /// Mean allocated share of the grid, by dimension.
    pub allocated: [f64; DIMENSIONS],
    /// Packing density by dimension: of the capacity that stood on nodes with a VM, over time, the
    /// share that was allocated (the ratio of the two integrals; 0 where no node ever had a VM).
    pub density: [f64; DIMENSIONS],
    /// Mean share of nodes without a VM.
    pub empty_nodes: f64,
    /// Mean stranded share of capacity, by dimension: what is free on a node, times the share of the
    /// trace's mix of shapes that does not fit there. Source: the fragmentation measure of Weng et al.,
    /// "Beware of Fragmentation", ATC 2023; see [`crate::stranding`].
    pub stranded: [f64; DIMENSIONS],
    /// Mean VMs alive.
    pub alive: f64,
    /// Mean VMs waiting.
    pub waiting: f64,
    /// Waiting time in seconds: the mean of placed VMs, then p50, p95 and p99 (nearest rank) of all,
    /// where refused VMs and those still waiting at the end count as infinite.
    pub wait_seconds: [f64; 4],
    /// Refusals by the filter after which no node was left when the VM arrived.
    pub rejections: BTreeMap<Filter, u64>,
}

/// Exact means over equal bins of time; every column is as long as `start`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Start of each bin.
    pub start: Vec<Time>,
    /// Mean allocated share by dimension.
    pub allocated: Vec<[f64; DIMENSIONS]>,
    /// Mean stranded share by dimension.
    pub stranded: Vec<[f64; DIMENSIONS]>,
    /// Mean share of empty nodes.
    pub empty_nodes: Vec<f64>,
    /// Mean VMs alive.
    pub alive: Vec<f64>,
    /// Mean VMs waiting.
    pub waiting: Vec<f64>,
    /// VMs refused in the bin.
    pub rejected: Vec<u64>,
    /// VMs placed in the bin.
    pub placed: Vec<u64>,
}

/// One node over the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeOutcome {
    /// Mean allocated share by dimension.
    pub allocated: [f64; DIMENSIONS],
    /// Highest allocated share by dimension.
    pub peak: [f64; DIMENSIONS],
    /// Share of time without a VM.
    pub empty: f64,
    /// VMs it was given.
    pub placed: u64,
}

/// Everything a run leaves behind; the same inputs give the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Figures of the whole run.
    pub summary: Summary,
    /// Figures over time.
    pub series: Series,
    /// Figures by [`NodeId`].
    pub nodes: Vec<NodeOutcome>,
    /// Every decision in order; empty unless asked for.
    pub log: Vec<Entry>,
    /// Accelerators of the VMs that got some, by place in the trace, in order of placement; kept with
    /// the log, and apart from it, so that the many VMs without stay small.
    pub devices: Vec<(u32, Devices)>,
}
