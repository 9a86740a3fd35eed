//! What a rule measures of a (VM, node) pair.

use super::Buckets;
use crate::facts::{NodeFacts, ShapeFacts};
use model::units::{DIMENSIONS, Dimension};
use serde::Serialize;
use std::fmt;

/// Buckets of a share where the user names none: steps of about 6 %, so that the next rule decides often.
const DEFAULT_SHARE_BUCKETS: u32 = 16;

/// One dimension, or the mean over those that the VM asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Over {
    /// The mean of the shares in every dimension that the VM asks for.
    All,
    /// One dimension.
    One(Dimension),
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(dimension) => dimension.fmt(f),
        }
    }
}

/// What a rule measures; all of it with the VM already on the node, unless said otherwise.
///
/// Notation: `x` what the VM asks, `y` what is left after it, both as shares of the node; means and
/// sums go over the dimensions that the VM asks for, and there are `n` of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, strum::EnumDiscriminants)]
#[strum_discriminants(
    name(TermKind),
    derive(
        PartialOrd,
        Ord,
        Hash,
        strum::VariantArray,
        strum::IntoStaticStr,
        strum::EnumString,
        strum::Display
    ),
    strum(serialize_all = "kebab-case"),
    doc = "The word by which a file names a [`Term`]."
)]
pub enum Term {
    /// What is left: in the dimension's unit, or over all as the mean of `y`.
    Leftover(Over),
    /// Share taken of a dimension, or over all the mean of `1 - y`.
    Fullness(Over),
    /// Share taken of the fullest dimension.
    Fullest,
    /// Share of native speed that reaches the VM's kind of work.
    Efficiency,
    /// What the licences on the node that the VM has no use for cost together, by the grid's
    /// prices, in thousandths of the currency an hour; those that it needs, and those without a
    /// price, cost nothing. Low keeps dear licences free for who needs them.
    LicenceCost,
    /// How many licences on the node the VM has no use for, whatever they cost.
    UnusedLicences,
    /// Cost of the node in thousandths of the currency an hour.
    NodeCost,
    /// Classes between the VM's risk and the most risky that the node takes.
    TenantRiskGap,
    /// VMs of another risk class on the node.
    TenantRiskMix,
    /// Share of the node's processor expected to be in use.
    ExpectedLoad,
    /// Place of the node's site in a list; not in it: after the last.
    Site(Vec<String>),
    /// VMs on the node before this one.
    Vms,
    /// 1 where the node carried nothing before this VM.
    EmptyNode,
    /// `(1/n) Σ x·(y + x)`: the alignment of what is asked with what was free (Tetris, SIGCOMM 2014).
    DotProduct,
    /// Cosine of the angle between what is taken and the node's capacity (DSLab).
    Cosine,
    /// `√((1/n) Σ y²)`: distance from a full node (norm-based greedy, Panigrahy et al. 2011).
    #[strum_discriminants(strum(serialize = "l2"))]
    L2,
    /// `(1/n) Σ (y - min y)`: what is left beside the scarcest dimension, of no use to a VM of the
    /// node's own proportions.
    Stranded,
}

impl TermKind {
    /// What it measures, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Leftover => "What is left over",
            Self::Fullness => "Share taken",
            Self::Fullest => "Share taken of the fullest dimension",
            Self::Efficiency => "Hypervisor efficiency for the VM's work",
            Self::LicenceCost => "Cost of licences left unused an hour",
            Self::UnusedLicences => "Licences left unused",
            Self::NodeCost => "Cost of the node an hour",
            Self::TenantRiskGap => "Distance between tenant's and node's risk class",
            Self::TenantRiskMix => "VMs of another risk class",
            Self::ExpectedLoad => "Expected processor load",
            Self::Site => "Place of the site in the list",
            Self::Vms => "VMs on the node",
            Self::EmptyNode => "Node is empty",
            Self::DotProduct => "Alignment with what is free",
            Self::Cosine => "Cosine between use and capacity",
            Self::L2 => "Distance from a full node",
            Self::Stranded => "Share stranded beside the scarcest",
        }
    }

    /// Whether a file names a dimension with it.
    pub const fn has_dimension(self) -> bool {
        matches!(self, Self::Leftover | Self::Fullness)
    }
}

impl Term {
    /// The word by which files name it.
    pub fn kind(&self) -> TermKind {
        TermKind::from(self)
    }

    /// Whether it is a share from 0 to 1; else whole units.
    pub const fn is_share(&self) -> bool {
        match self {
            Self::Leftover(over) => matches!(over, Over::All),
            Self::Fullness(_)
            | Self::Fullest
            | Self::Efficiency
            | Self::ExpectedLoad
            | Self::DotProduct
            | Self::Cosine
            | Self::L2
            | Self::Stranded => true,
            Self::LicenceCost
            | Self::UnusedLicences
            | Self::NodeCost
            | Self::TenantRiskGap
            | Self::TenantRiskMix
            | Self::Site(_)
            | Self::Vms
            | Self::EmptyNode => false,
        }
    }

    /// The unit of [`Measured::value`]; `None` for shares, and for what the term's name counts.
    pub const fn unit(&self) -> Option<&'static str> {
        match self {
            Self::Leftover(Over::One(dimension)) => Some(dimension.unit()),
            Self::LicenceCost | Self::NodeCost => Some("milli_per_hour"),
            _ => None,
        }
    }

    /// The buckets of a rule that names none: whole units without loss where the measure is small
    /// by nature, the finest that any node needs where it is not.
    pub fn default_buckets(&self) -> Buckets {
        let units_up_to = |up_to| Buckets::OfUnits { width: 1, up_to };
        match self {
            _ if self.is_share() => Buckets::OfShare {
                count: DEFAULT_SHARE_BUCKETS,
            },
            // Risk has three classes.
            Self::TenantRiskGap => units_up_to(2),
            Self::EmptyNode => units_up_to(1),
            // No node carries more.
            Self::UnusedLicences => units_up_to(63),
            // More VMs than any node is known to carry.
            Self::TenantRiskMix | Self::Vms => units_up_to(4_095),
            Self::Site(sites) => units_up_to(sites.len() as u32),
            _ => units_up_to(u32::MAX),
        }
    }
}

impl fmt::Display for Term {
    /// As a column of a score table is headed: `leftover mem`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)?;
        match self {
            Self::Leftover(over) | Self::Fullness(over) => write!(f, " {over}"),
            _ => Ok(()),
        }
    }
}

/// A measure, exact where it is a ratio of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// Whole units.
    Units(u64),
    /// A share.
    Part {
        /// How much.
        part: u64,
        /// Of how much; 0: the share is 0.
        whole: u64,
    },
    /// A share from 0 to 1 that needs roots or means.
    Real(f64),
}

impl Measured {
    /// The measure as a number, for people.
    pub fn value(self) -> f64 {
        match self {
            Self::Units(units) => units as f64,
            Self::Part { part, whole } => part as f64 / whole.max(1) as f64,
            Self::Real(share) => share,
        }
    }
}

/// Measures every term but [`Term::Site`], which needs the grid.
pub(super) fn measure(kind: LocalTerm, shape: &ShapeFacts, node: &NodeFacts) -> Measured {
    match kind {
        LocalTerm::Leftover(d) => Measured::Units(u64::from(left(shape, node, d))),
        LocalTerm::LeftoverAll => Measured::Real(mean(shape, &shares_left(shape, node), |y| y)),
        LocalTerm::Fullness(d) => {
            let whole = u64::from(shape.capacity.in_dimension(d));
            let part = whole.saturating_sub(u64::from(left(shape, node, d)));
            Measured::Part { part, whole }
        }
        LocalTerm::FullnessAll => {
            Measured::Real(mean(shape, &shares_left(shape, node), |y| 1.0 - y))
        }
        LocalTerm::Fullest => Measured::Real(1.0 - scarcest(shape, &shares_left(shape, node))),
        LocalTerm::Efficiency => Measured::Part {
            part: u64::from(shape.efficiency_milli),
            whole: 1_000,
        },
        LocalTerm::LicenceCost => {
            Measured::Units(u64::from(shape.unused_licence_cost_milli_per_hour))
        }
        LocalTerm::UnusedLicences => Measured::Units(u64::from(shape.unused_licences)),
        LocalTerm::NodeCost => Measured::Units(u64::from(shape.node_cost_milli_per_hour)),
        LocalTerm::TenantRiskGap => {
            let (node, vm) = (shape.node_risk as u64, shape.vm_risk as u64);
            Measured::Units(node.abs_diff(vm))
        }
        LocalTerm::TenantRiskMix => {
            let own = node.vms_by_risk[shape.vm_risk as usize];
            Measured::Units(u64::from(node.vms.saturating_sub(own)))
        }
        LocalTerm::ExpectedLoad => Measured::Part {
            part: node.expected_cpu_milli + u64::from(shape.expected_cpu_milli),
            whole: u64::from(shape.capacity.cpu_milli.0),
        },
        LocalTerm::Vms => Measured::Units(u64::from(node.vms)),
        LocalTerm::EmptyNode => Measured::Units(u64::from(node.vms == 0)),
        LocalTerm::DotProduct => Measured::Real(dot_product(shape, node)),
        LocalTerm::Cosine => Measured::Real(cosine(shape, &shares_left(shape, node))),
        LocalTerm::L2 => Measured::Real(mean(shape, &shares_left(shape, node), |y| y * y).sqrt()),
        LocalTerm::Stranded => {
            let left = shares_left(shape, node);
            let least = scarcest(shape, &left);
            Measured::Real(mean(shape, &left, |y| y - least))
        }
    }
}

/// A [`Term`] that reads nothing but the facts, small enough to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalTerm {
    Leftover(Dimension),
    LeftoverAll,
    Fullness(Dimension),
    FullnessAll,
    Fullest,
    Efficiency,
    LicenceCost,
    UnusedLicences,
    NodeCost,
    TenantRiskGap,
    TenantRiskMix,
    ExpectedLoad,
    Vms,
    EmptyNode,
    DotProduct,
    Cosine,
    L2,
    Stranded,
}

fn left(shape: &ShapeFacts, node: &NodeFacts, dimension: Dimension) -> u32 {
    let asked = shape.asked.in_dimension(dimension);
    node.free.in_dimension(dimension).saturating_sub(asked)
}

/// `y` by dimension; 0 where the VM asks nothing.
fn shares_left(shape: &ShapeFacts, node: &NodeFacts) -> [f64; DIMENSIONS] {
    let (free, asked) = (node.free.to_array(), shape.asked.to_array());
    std::array::from_fn(|d| f64::from(free[d].saturating_sub(asked[d])) * shape.inverse[d])
}

/// The mean of a function of `y` over the dimensions that the VM asks for; 0 where it asks nothing.
fn mean(shape: &ShapeFacts, left: &[f64; DIMENSIONS], of: impl Fn(f64) -> f64) -> f64 {
    let sum: f64 = (0..DIMENSIONS)
        .filter(|&d| shape.inverse[d] > 0.0)
        .map(|d| of(left[d]))
        .sum();
    sum / f64::from(shape.dimensions.max(1))
}

/// The least `y` over the dimensions that the VM asks for; 1 where it asks nothing.
fn scarcest(shape: &ShapeFacts, left: &[f64; DIMENSIONS]) -> f64 {
    (0..DIMENSIONS)
        .filter(|&d| shape.inverse[d] > 0.0)
        .map(|d| left[d])
        .fold(1.0, f64::min)
}

fn dot_product(shape: &ShapeFacts, node: &NodeFacts) -> f64 {
    let (free, asked) = (node.free.to_array(), shape.asked.to_array());
    let sum: f64 = (0..DIMENSIONS)
        .map(|d| f64::from(asked[d]) * f64::from(free[d]) * shape.inverse[d] * shape.inverse[d])
        .sum();
    sum / f64::from(shape.dimensions.max(1))
}

/// `Σ u / (√n √Σu²)` with `u = 1 - y`: in shares the capacity is the vector of ones.
fn cosine(shape: &ShapeFacts, left: &[f64; DIMENSIONS]) -> f64 {
    let mean_taken = mean(shape, left, |y| 1.0 - y);
    let mean_square = mean(shape, left, |y| (1.0 - y) * (1.0 - y));
    if mean_square > 0.0 {
        mean_taken / mean_square.sqrt()
    } else {
        1.0
    }
}
