//! What came of a run.

use model::id::NodeId;
use model::time::Time;
use model::units::DIMENSIONS;
use placement::filter::Filter;
use std::collections::BTreeMap;

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
    /// Arrivals and departures handled.
    pub events: u64,
    /// Most VMs alive at once.
    pub peak_alive: u64,
    /// Over every (VM, node or refusal) in order.
    pub decision_hash: u64,
    /// Placed share of VMs.
    pub acceptance: f64,
    /// Placed share, weighted by cores times hours asked for.
    pub acceptance_core_hours: f64,
    /// Mean allocated share of the grid, by dimension.
    pub allocated: [f64; DIMENSIONS],
    /// Mean allocated share of nodes that are not empty (packing density), by dimension.
    pub density: [f64; DIMENSIONS],
    /// Mean share of nodes without a VM.
    pub empty_nodes: f64,
    /// Mean share of capacity that is free where the trace's mix of shapes does not fit, by dimension.
    pub stranded: [f64; DIMENSIONS],
    /// Mean VMs alive.
    pub alive: f64,
    /// Waiting time of placed VMs, in seconds: mean, p50, p95, p99; refused ones count as infinite.
    pub wait_seconds: [f64; 4],
    /// Refusals by filter.
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
}
