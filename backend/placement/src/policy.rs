//! The catalogue of rules of decision.

use crate::rule::RuleChain;
use model::fault::nearest;
use std::fmt;

/// A rule of decision: where to place.
///
/// Whatever the rule, only nodes that pass every [`crate::filter::Filter`] are looked at, and ties
/// go to the lowest node id.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// The node of lowest id that fits.
    FirstFit,
    /// The node with the least left over.
    BestFit,
    /// The node with the most left over.
    WorstFit,
    /// Any node that fits, with equal chances.
    RandomFit,
    /// The best fit of so many random ones.
    BestOf {
        /// How many lots are drawn, with replacement.
        k: u32,
    },
    /// Highest sum of demand × free.
    DotProduct,
    /// Least sum of squares of what is left.
    L2,
    /// Use after placement most nearly along the capacity.
    Cosine,
    /// Least growth of stranded capacity under the typical mix of shapes.
    StrandedAware,
    /// OpenStack Nova's weighers.
    Nova,
    /// Proxmox's TOPSIS.
    Topsis,
    /// Least growth of fragmentation under the typical mix of shapes.
    FragmentationGradient,
    /// A chain of quantised rules that a user wrote.
    Chain(RuleChain),
}

/// How a policy is searched fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Best node of each block of 64, kept by shape, brought up to date where nodes changed.
    Minima,
    /// Fitting nodes of each block of 64, kept by shape, brought up to date where nodes changed.
    Lots,
    /// Fitting nodes kept as for lots, as each score depends on all the others. Nova keeps each
    /// block's range of every weigher by shape and scores only blocks that could have the best;
    /// TOPSIS keeps the sums over all nodes and scores every node that fits, block by block.
    Scan,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minima => "block minima",
            Self::Lots => "block counts",
            Self::Scan => "full scan of fitting nodes",
        })
    }
}

/// What the catalogue says of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By which the command line and files name it.
    pub key: &'static str,
    /// By which people do.
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Where the formula comes from.
    pub source: &'static str,
    /// How it is searched fast.
    pub path: Path,
}

/// How many lots `best-of-4` draws.
const USUAL_LOTS: u32 = 4;

/// The most lots a name may ask for; more are a full scan done badly.
const MOST_LOTS: u32 = 64;

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown policy {name:?}; known are {}{}",
    known(),
    hint(.nearest)
)]
pub struct UnknownPolicy {
    /// The name given.
    pub name: String,
    /// The known name that was meant, perhaps.
    pub nearest: Option<&'static str>,
}

impl Policy {
    /// Every policy that needs no file, in the order of the catalogue.
    pub fn all() -> Vec<Self> {
        vec![
            Self::FirstFit,
            Self::BestFit,
            Self::WorstFit,
            Self::RandomFit,
            Self::BestOf { k: USUAL_LOTS },
            Self::DotProduct,
            Self::L2,
            Self::Cosine,
            Self::StrandedAware,
            Self::Nova,
            Self::Topsis,
            Self::FragmentationGradient,
        ]
    }

    /// The policy of a name; `best-of-K` takes any K from 1 to 64.
    ///
    /// # Errors
    /// [`UnknownPolicy`] with the list and the nearest name.
    pub fn named(name: &str) -> Result<Self, UnknownPolicy> {
        let lots = name.strip_prefix("best-of-").and_then(|k| k.parse().ok());
        if let Some(k) = lots.filter(|k| (1..=MOST_LOTS).contains(k)) {
            return Ok(Self::BestOf { k });
        }
        let mut all = Self::all().into_iter();
        all.find(|policy| policy.entry().key == name)
            .ok_or_else(|| UnknownPolicy {
                name: name.to_owned(),
                nearest: nearest(name, Self::all().iter().map(|policy| policy.entry().key)),
            })
    }

    /// The name that [`Self::named`] takes.
    pub fn name(&self) -> String {
        match self {
            Self::BestOf { k } => format!("best-of-{k}"),
            Self::Chain(chain) => chain.name().to_owned(),
            other => other.entry().key.to_owned(),
        }
    }

    /// Whether it reckons with the typical mix of shapes, so that whatever comes or goes changes the
    /// scores of all nodes.
    pub const fn reads_mix(&self) -> bool {
        matches!(self, Self::StrandedAware | Self::FragmentationGradient)
    }

    /// What the catalogue says of it.
    pub fn entry(&self) -> Entry {
        let (key, title, description, source, path) = match self {
            Self::FirstFit => (
                "first-fit",
                "First fit",
                "Takes the node of lowest id that fits.",
                "Johnson, Near-optimal bin packing algorithms, 1973",
                Path::Minima,
            ),
            Self::BestFit => (
                "best-fit",
                "Best fit",
                "Takes the node with the least left over, each dimension as a share of the largest node's, in sum.",
                "Johnson, Near-optimal bin packing algorithms, 1973; in many dimensions as Panigrahy et al., 2011",
                Path::Minima,
            ),
            Self::WorstFit => (
                "worst-fit",
                "Worst fit",
                "Takes the node with the most left over, which spreads the load.",
                "Verma et al., Large-scale cluster management at Google with Borg, EuroSys 2015 (E-PVM spreads so)",
                Path::Minima,
            ),
            Self::RandomFit => (
                "random-fit",
                "Random fit",
                "Takes any node that fits, with equal chances.",
                "baseline of Weng et al., USENIX ATC 2023",
                Path::Lots,
            ),
            Self::BestOf { .. } => (
                "best-of-4",
                "Best of k",
                "Draws k nodes that fit, with equal chances and with replacement, and takes the best fit of them.",
                "Mitzenmacher, The power of two choices in randomized load balancing, 2001",
                Path::Lots,
            ),
            Self::DotProduct => (
                "dot-product",
                "Dot product",
                "Takes the node with the highest sum of demand times free, both as shares of the node.",
                "Panigrahy et al., Heuristics for vector bin packing, 2011; Grandl et al. (Tetris), SIGCOMM 2014",
                Path::Minima,
            ),
            Self::L2 => (
                "l2",
                "L2 norm",
                "Takes the node with the least sum of squares of what is left, as shares of the node.",
                "Panigrahy et al., Heuristics for vector bin packing, 2011",
                Path::Minima,
            ),
            Self::Cosine => (
                "cosine",
                "Cosine",
                "Takes the node whose use after placement points most nearly along its capacity.",
                "cosine similarity, as in Gandhi et al. and DSLab's IaaS simulator",
                Path::Minima,
            ),
            Self::StrandedAware => (
                "stranded-aware",
                "Stranded-aware",
                "Takes the node where least more capacity becomes useless to the typical mix of shapes, then the best fit.",
                "Borg's hybrid score, EuroSys 2015, with the measure of Weng et al., USENIX ATC 2023",
                Path::Minima,
            ),
            Self::Nova => (
                "nova",
                "Nova weighers",
                "Takes the node with the highest sum of free processor, memory and disk less disk operations, each stretched to 0 to 1 over the nodes that fit.",
                "OpenStack Nova, scheduler weights",
                Path::Scan,
            ),
            Self::Topsis => (
                "topsis",
                "TOPSIS",
                "Takes the node that leaves the grid's mean and highest use of processor and memory nearest to the ideal.",
                "Proxmox cluster resource scheduler, formula only; Hwang and Yoon, 1981",
                Path::Scan,
            ),
            Self::FragmentationGradient => (
                "fragmentation-gradient",
                "Fragmentation gradient",
                "Takes the node and the device where least more accelerator becomes useless to the typical mix of shapes, then the least stranding.",
                "Weng et al., Beware of fragmentation (FGD), USENIX ATC 2023",
                Path::Minima,
            ),
            Self::Chain(_) => (
                "chain",
                "Rule chain",
                "Compares nodes by the user's quantised rules, one after the other.",
                "Hadary et al., Protean: VM allocation service at scale, OSDI 2020",
                Path::Minima,
            ),
        };
        Entry {
            key,
            title,
            description,
            source,
            path,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::named(name)
    }
}

fn known() -> String {
    let all = Policy::all();
    let keys: Vec<&str> = all.iter().map(|policy| policy.entry().key).collect();
    keys.join(", ")
}

fn hint(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("\nhint: did you mean {near}?"))
}
