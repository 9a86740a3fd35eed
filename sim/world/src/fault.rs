//! What befalls a world.

use model::id::NodeId;
use model::time::Span;

/// One fault; those with a length end by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agent of a node dies after it has done this many more things, and is started again.
    AgentDies {
        /// Whose.
        node: NodeId,
        /// How much it still does.
        after: u32,
        /// How long until it is started again.
        away: Span,
    },
    /// The controller dies after it has done this many more things, and is started again.
    ControllerDies {
        /// How much it still does.
        after: u32,
        /// How long until it is started again.
        away: Span,
    },
    /// A node loses its power, and with it all that runs there.
    NodeDies {
        /// Which.
        node: NodeId,
        /// How long until it has booted again.
        away: Span,
    },
    /// A node is cut off from the controller and from all other nodes.
    Cut {
        /// Which.
        node: NodeId,
        /// For how long.
        length: Span,
    },
    /// Messages are lost, come twice, and overtake each other.
    Lossy {
        /// How many are lost, in thousandths, and as many come twice.
        milli: u32,
        /// How late any of them may come.
        delay: Span,
        /// For how long.
        length: Span,
    },
    /// Steps break at their ends.
    Breaking {
        /// Where.
        node: NodeId,
        /// How many, in thousandths.
        milli: u32,
        /// For how long.
        length: Span,
    },
    /// A node's steps take this many times as long.
    Slow {
        /// Which.
        node: NodeId,
        /// How many times as long.
        times: u32,
        /// For how long.
        length: Span,
    },
    /// A node's clock is wrong by this from its agent's next start on, which comes at once.
    WrongClock {
        /// Which.
        node: NodeId,
        /// By how much it is ahead.
        ahead: Span,
    },
}
