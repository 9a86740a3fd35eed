//! What the heatmap's colours stand for.

use model::grid::NodeState;
use model::id::NodeId;
use model::units::Dimension;
use model::view::View;
use serde::{Deserialize, Serialize};

/// One way to colour the nodes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Allocated share of processors.
    #[default]
    Cpu,
    /// Allocated share of memory.
    Memory,
    /// Allocated share of disk space.
    Disk,
    /// Allocated share of disk operations.
    DiskIo,
    /// Allocated share of bandwidth.
    Network,
    /// Allocated share of accelerators.
    Accelerators,
    /// VMs, against the node with the most.
    Vms,
    /// Whether the node takes VMs.
    State,
}

impl Metric {
    /// Its name in the picker and the legend.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Memory => "Memory",
            Self::Disk => "Disk",
            Self::DiskIo => "Disk I/O",
            Self::Network => "Network",
            Self::Accelerators => "Accelerators",
            Self::Vms => "VMs",
            Self::State => "State",
        }
    }

    /// The dimension whose share it shows, if it shows one.
    pub const fn dimension(self) -> Option<Dimension> {
        Some(match self {
            Self::Cpu => Dimension::Cpu,
            Self::Memory => Dimension::Mem,
            Self::Disk => Dimension::Disk,
            Self::DiskIo => Dimension::DiskIo,
            Self::Network => Dimension::Net,
            Self::Accelerators => Dimension::Accel,
            Self::Vms | Self::State => return None,
        })
    }
}

/// The name of a dimension for people.
pub const fn dimension_title(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Cpu => "CPU",
        Dimension::Mem => "Memory",
        Dimension::Disk => "Disk",
        Dimension::DiskIo => "Disk I/O",
        Dimension::Net => "Network",
        Dimension::Accel => "Accelerators",
    }
}

/// A quantity of a dimension for people: `32 cores`, `128 GiB`.
pub fn quantity(dimension: Dimension, amount: u64) -> String {
    let thousandths = || trimmed(amount as f64 / 1_000.0);
    match dimension {
        Dimension::Cpu => format!("{} cores", thousandths()),
        Dimension::Mem if amount < 1_024 => format!("{amount} MiB"),
        Dimension::Mem => binary(amount as f64 / 1_024.0),
        Dimension::Disk => binary(amount as f64),
        Dimension::DiskIo => format!("{} IO/s", grouped(amount)),
        Dimension::Net if amount >= 1_000 => format!("{} Gbit/s", thousandths()),
        Dimension::Net => format!("{amount} Mbit/s"),
        Dimension::Accel => format!("{} devices", thousandths()),
    }
}

/// GiB, or the next larger unit once there are ten thousand.
fn binary(gib: f64) -> String {
    match gib {
        gib if gib < 10_000.0 => format!("{} GiB", trimmed(gib)),
        gib if gib < 10_240_000.0 => format!("{} TiB", trimmed(gib / 1_024.0)),
        gib => format!("{} PiB", trimmed(gib / 1_048_576.0)),
    }
}

/// At most two decimals, none that say nothing; none at all from a thousand on.
fn trimmed(value: f64) -> String {
    if value >= 1_000.0 {
        return grouped(value.round() as u64);
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Thousands apart by commas.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 node`, `1,100 nodes`.
pub fn counted(number: usize, thing: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {thing}{end}", grouped(number as u64))
}

/// What is known of one node under a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A share, 0 to 1.
    Share(f32),
    /// The node has none of it.
    Absent,
    /// The node's state itself.
    State(NodeState),
}

/// The metric's readings of a whole view.
#[derive(Clone, Debug)]
pub struct Readings {
    /// By [`NodeId`].
    pub of_nodes: Vec<Reading>,
    /// VMs at the upper end of the scale, for [`Metric::Vms`].
    pub most_vms: usize,
}

impl Readings {
    /// Reads every node once.
    pub fn of(view: &View, metric: Metric) -> Self {
        let most_vms = view.nodes.iter().map(|node| node.vms.len()).max();
        let most_vms = most_vms.unwrap_or(0).max(1);
        let of_nodes = view
            .grid
            .node_ids()
            .map(|node| reading(view, node, metric, most_vms))
            .collect();
        Self { of_nodes, most_vms }
    }
}

fn reading(view: &View, node: NodeId, metric: Metric, most_vms: usize) -> Reading {
    let shown = &view.nodes[node.index()];
    if metric == Metric::State || shown.state == NodeState::Down {
        return Reading::State(shown.state);
    }
    match metric.dimension() {
        Some(dimension) => {
            let capacity = view.grid.class_of(node).capacity.in_dimension(dimension);
            let used = shown.used.in_dimension(dimension);
            if capacity == 0 {
                Reading::Absent
            } else {
                Reading::Share(used as f32 / capacity as f32)
            }
        }
        None => Reading::Share(shown.vms.len() as f32 / most_vms as f32),
    }
}
