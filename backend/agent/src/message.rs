//! What an agent is told, and what it answers: one closed list in each direction.

use crate::driver::NativeCall;
use crate::journal::Entry;
use crate::secret::Keys;
use crate::step::{Failure, Gained, SeenState, Step};
use crate::watch::CalledOff;
use model::fingerprint::Fingerprint;
use model::id::{Generation, OperationId, VmId};
use model::order::Order;
use model::report::Report;
use model::sample::Sample;
use model::time::{Span, Time};

/// What an agent is told.
#[derive(Debug)]
pub enum Input {
    /// An order has come.
    Ordered {
        /// The order.
        order: Box<Order>,
        /// Keys beside it.
        keys: Keys,
    },
    /// Somebody wants an operation to end early.
    CalledOff {
        /// Which.
        operation: OperationId,
    },
    /// The lease was renewed.
    Renewed {
        /// For how long from now.
        span: Span,
    },
    /// A step moved on.
    Progressed {
        /// Whose.
        operation: OperationId,
        /// How much of it is done, in thousandths.
        done_milli: u16,
    },
    /// A step is about to call the hypervisor.
    Called {
        /// Whose.
        operation: OperationId,
        /// The call.
        call: NativeCall,
    },
    /// The step that was begun has ended.
    Ended {
        /// Whose.
        operation: OperationId,
        /// How.
        result: Result<Gained, Failure>,
    },
    /// The driver was asked for the states of VMs.
    Seen {
        /// When it was asked; acts that ended later have seen more.
        asked: Time,
        /// What it said.
        states: Vec<SeenState>,
    },
    /// Something was measured.
    Sampled {
        /// What.
        samples: Vec<Sample>,
    },
    /// The node found out about itself.
    Fingerprinted {
        /// All of it.
        fingerprint: Box<Fingerprint>,
    },
    /// Time has passed; told at least once a second.
    Ticked,
}

/// What an agent answers, in the order in which it is to be acted on.
#[derive(Debug)]
pub enum Output {
    /// Write this to the journal; it must be durable before any later output is acted on.
    Write(Entry),
    /// Write this to the journal, at leisure.
    Note(Entry),
    /// Put these entries in place of the whole journal, at once.
    Rewrite(Vec<Entry>),
    /// Begin a step.
    Begin(Box<Task>),
    /// Call off the step of this operation that was begun; it ends all the same.
    CallOff {
        /// Whose.
        operation: OperationId,
        /// Why.
        why: CalledOff,
    },
    /// Tell the controller.
    Report(Report),
    /// Tell the watchdog what to stop, and when; it must know before any later output is acted on.
    Guard(Guard),
}

/// A step that is to be begun.
#[derive(Debug)]
pub struct Task {
    /// Whose.
    pub operation: OperationId,
    /// What.
    pub step: Step,
    /// Its keys.
    pub keys: Keys,
    /// The grid's generation when its order was made.
    pub generation: Generation,
    /// When it is to give up; it may be over. `None`: never.
    pub deadline: Option<Time>,
}

/// What the watchdog must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// When the lease lapses; `None`: it has.
    pub until: Option<Time>,
    /// The highly available VMs of the node.
    pub vms: Vec<VmId>,
}
