//! What a controller is told, and what it answers: one closed list in each direction.

use crate::backend::{Command, Refused};
use crate::journal::Entry;
use model::event::Event;
use model::id::{KeyId, NodeId, OperationId, VmId};
use model::order::Order;
use model::report::{Report, VmState};
use model::time::{Span, Time};
use std::collections::BTreeSet;

/// What a controller is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody asks for something.
    Submitted {
        /// The operation's id, chosen by whoever asks.
        operation: OperationId,
        /// What.
        command: Box<Command>,
    },
    /// Somebody wants an operation to end early.
    CalledOff {
        /// Which.
        operation: OperationId,
    },
    /// An agent calls, as it does three times in the span of a lease: it tells all VMs of its node, and
    /// asks for its lease. What it is told goes back to it with the same instant: the lease counts from
    /// there, so that no message that was late lengthens it.
    Called {
        /// Whose.
        node: NodeId,
        /// When, by its own clock.
        at: Time,
        /// Its VMs.
        held: Vec<Held>,
    },
    /// It has not called for long, or its connection is gone.
    Left {
        /// Whose.
        node: NodeId,
    },
    /// It reports.
    Reported {
        /// What.
        report: Box<Report>,
    },
    /// Time has passed; told at least every ten seconds.
    Ticked,
}

/// A VM that a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub vm: VmId,
    /// Its state; `None`: it does not answer.
    pub state: Option<VmState>,
}

/// What a controller answers, in the order in which it is to be acted on.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write this to the journal; it must be durable before any later output is acted on.
    Write(Entry),
    /// Tell whoever asked.
    Answer {
        /// Of which operation.
        operation: OperationId,
        /// Whether it was accepted.
        answer: Result<(), Refused>,
    },
    /// Send an order to its node.
    Send {
        /// The order.
        order: Box<Order>,
        /// The keys that come beside it.
        keys: BTreeSet<KeyId>,
    },
    /// Tell a node that an order is to end early.
    CallOff {
        /// Which.
        node: NodeId,
        /// The order's own id.
        order: OperationId,
    },
    /// Renew a node's lease.
    Lease {
        /// Which.
        node: NodeId,
        /// From when on, by the node's own clock.
        from: Time,
        /// For how long.
        span: Span,
    },
    /// Something is history.
    Happened(Event),
}
