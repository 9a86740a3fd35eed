//! What a user can let befall a simulated grid, to see what its controller makes of it.

use model::grid::Grid;
use model::id::NodeId;
use model::time::{Span, Time};
use strum::VariantArray;
use world::fault::Fault;

/// How many of a hundred messages are lost in bad weather, and how late the others may be.
const LOSSY: (u32, Span) = (200, Span(5_000));
/// How many times as long the steps of a slow node take.
const SLOW: u32 = 10;
/// How many of a thousand steps break on a breaking node.
const BREAKING_MILLI: u32 = 300;

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Trouble {
    /// The node loses its power, and boots when it is over.
    PowerLoss,
    /// The node is cut off from all others.
    Cut,
    /// The node's agent dies, and is started again when it is over.
    AgentDeath,
    /// The node's disks and hypervisor crawl.
    Slow,
    /// Some of the node's steps fail.
    Breaking,
    /// The controller dies, and is started again when it is over.
    ControllerDeath,
    /// Messages are lost, late, and come twice.
    Lossy,
}

impl Trouble {
    /// What is about a node.
    pub fn of_nodes() -> impl Iterator<Item = Self> {
        let all = Self::VARIANTS.iter().copied();
        all.filter(|trouble| trouble.is_of_a_node())
    }

    /// What is about the grid as a whole.
    pub fn of_grid() -> impl Iterator<Item = Self> {
        let all = Self::VARIANTS.iter().copied();
        all.filter(|trouble| !trouble.is_of_a_node())
    }

    const fn is_of_a_node(self) -> bool {
        !matches!(self, Self::ControllerDeath | Self::Lossy)
    }

    /// What its button says.
    pub const fn title(self) -> &'static str {
        match self {
            Self::PowerLoss => "Cut the power",
            Self::Cut => "Cut its link",
            Self::AgentDeath => "Kill its agent",
            Self::Slow => "Slow it down",
            Self::Breaking => "Let steps fail",
            Self::ControllerDeath => "Kill the controller",
            Self::Lossy => "Lose messages",
        }
    }

    /// What its button does, in one sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::PowerLoss => "All that runs there is gone; it boots when the time is over",
            Self::Cut => "Neither the controller nor another node reaches it",
            Self::AgentDeath => {
                "It dies at the next thing that it does; its guests run on, and it is started \
                 again when the time is over"
            }
            Self::Slow => "Its steps take ten times as long",
            Self::Breaking => "Three of ten steps there fail",
            Self::ControllerDeath => {
                "It dies at the next thing that it does, and goes on from its journal when the \
                 time is over"
            }
            Self::Lossy => {
                "A fifth of all messages are lost, a fifth come twice, and any may be five \
                 seconds late"
            }
        }
    }

    /// As the world knows it. `node`: where, if it is about one.
    pub const fn fault(self, node: NodeId, length: Span) -> Fault {
        let (after, away) = (0, length);
        match self {
            Self::PowerLoss => Fault::NodeDies { node, away },
            Self::Cut => Fault::Cut { node, length },
            Self::AgentDeath => Fault::AgentDies { node, after, away },
            Self::Slow => Fault::Slow {
                node,
                times: SLOW,
                length,
            },
            Self::Breaking => Fault::Breaking {
                node,
                milli: BREAKING_MILLI,
                length,
            },
            Self::ControllerDeath => Fault::ControllerDies { after, away },
            Self::Lossy => Fault::Lossy {
                milli: LOSSY.0,
                delay: LOSSY.1,
                length,
            },
        }
    }
}

/// Lengths to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::VariantArray)]
pub enum Length {
    /// A minute: shorter than a lease and its grace.
    Minute,
    /// Ten minutes: longer than a lease.
    #[default]
    TenMinutes,
    /// An hour.
    Hour,
}

impl Length {
    /// How it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Minute => "1 minute",
            Self::TenMinutes => "10 minutes",
            Self::Hour => "1 hour",
        }
    }

    /// How long it is.
    pub const fn span(self) -> Span {
        match self {
            Self::Minute => Span(60_000),
            Self::TenMinutes => Span(600_000),
            Self::Hour => Span(3_600_000),
        }
    }
}

/// Trouble that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TroubleShown {
    /// In words.
    pub text: String,
    /// The node it is about, if any.
    pub node: Option<NodeId>,
    /// When it is over.
    pub until: Time,
}

impl TroubleShown {
    /// A fault that begins now.
    pub fn of(fault: &Fault, now: Time, grid: &Grid) -> Self {
        let name = |node: &NodeId| grid.nodes[node.index()].name.as_str();
        let (text, node, length) = match fault {
            Fault::NodeDies { node, away } => {
                (format!("{} has no power", name(node)), Some(*node), *away)
            }
            Fault::Cut { node, length } => {
                (format!("{} is cut off", name(node)), Some(*node), *length)
            }
            Fault::AgentDies { node, away, .. } => {
                let text = format!("the agent of {} dies", name(node));
                (text, Some(*node), *away)
            }
            Fault::Slow { node, length, .. } => {
                (format!("{} is slow", name(node)), Some(*node), *length)
            }
            Fault::Breaking { node, length, .. } => {
                let text = format!("steps fail on {}", name(node));
                (text, Some(*node), *length)
            }
            Fault::WrongClock { node, .. } => {
                let text = format!("the clock of {} is wrong", name(node));
                (text, Some(*node), Span(0))
            }
            Fault::ControllerDies { away, .. } => ("the controller dies".to_owned(), None, *away),
            Fault::Lossy { length, .. } => ("messages are lost".to_owned(), None, *length),
        };
        let until = now + length;
        Self { text, node, until }
    }
}
