//! The physical step: VMs to nodes, all or none, with the reason for each.
//!
//! ```text
//!  View ─▶ Placer with what runs already
//!            │
//!  Assignment ─▶ one round: every VM in order ─ all placed ─▶ Plan + explanations
//!            ▲                 │ one refused
//!            └─ close the site, rack or node where its group got stuck,
//!               or let it choose first; at most MAX_ROUNDS times
//! ```
//!
//! In reading order:
//!
//! - this module: [`plan`], what it gives and why it fails
//! - `planner`: what is kept from one plan to the next
//! - `seat`: what runs on a node as it weighs on it
//! - `stage`: one round over all VMs beside what runs already
//! - `remote`: the nodes that lend a VM its remote disk, and those with too few such
//! - `hint`: what the user can do about a VM that found no node

mod hint;
mod planner;
mod remote;
mod seat;
mod stage;

pub use planner::{Planner, Within};

use crate::explain::Explanation;
use crate::policy::Policy;
use crate::reason::Reason;
use model::assignment::Assignment;
use model::plan::Plan;
use model::units::Resources;
use model::view::View;
use std::sync::Arc;

/// How many rounds are tried before a VM is refused: each closes a place or moves a VM, so that
/// designs which another order can place are placed in the first few; each costs one decision a VM.
pub const MAX_ROUNDS: u32 = 32;

/// Nodes that an explanation names of each filter and of the scores: more than a person reads, few
/// enough to keep for every VM of a large design on a large grid.
pub const ROWS_KEPT: usize = 100;

/// A plan with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What execution follows.
    pub plan: Plan,
    /// The same for people: one for each VM of the assignment, in its order.
    pub vms: Vec<PlannedVm>,
    /// Rounds that were needed, from 1.
    pub rounds: u32,
}

/// A plan with its reasons in short.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasoned {
    /// What execution follows.
    pub plan: Plan,
    /// Why each VM goes where it goes, in the order of the placements.
    pub reasons: Vec<Reason>,
}

/// Where a VM goes, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedVm {
    /// The VM's name.
    pub name: String,
    /// The node's name.
    pub node: String,
    /// Nodes refused by each filter, and the scores of the rest, when it was the VM's turn.
    pub explanation: Explanation,
    /// Places that were closed to the VM because its group would not all fit there, as `site
    /// berlin`. Their nodes are among those that the explanation calls closed.
    pub kept_off: Vec<String>,
    /// Who lends its remote disk, in the order of the pieces.
    pub lenders: Vec<Lender>,
    /// Nodes that were closed to the VM because the others of their site could not lend its remote
    /// disk. They too are among those that the explanation calls closed.
    pub short_of_lenders: usize,
}

/// A node that lends a VM of another a piece of its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lender {
    /// The node's name.
    pub node: String,
    /// How much it lends.
    pub size_gib: u32,
    /// What it had free before.
    pub free_gib: u32,
}

/// A VM that found no node; nothing of its assignment is planned then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("no node fits vm {name} ({asked})\nhint: {hint}")]
pub struct Unplaced {
    /// The VM's place in the assignment.
    pub vm: u32,
    /// Its name.
    pub name: String,
    /// What it asks.
    pub asked: Resources,
    /// Nodes refused by each filter when it was its turn.
    pub explanation: Box<Explanation>,
    /// What the user can do.
    pub hint: String,
}

/// Places all VMs of an assignment on the grid as it is in the view, beside what runs there.
///
/// The same arguments give the same plan, byte for byte; `seed` feeds policies that draw lots.
/// A node takes new VMs where its view's state is up and what the view says of it adds up; see
/// [`Planned`] for what comes out.
///
/// A VM with a remote disk goes where the other nodes of the site can lend it, which they do as soon
/// as the VM has its node: the fewest, those with the most free ([`crate::lending`]).
///
/// Greedy placement may paint itself into a corner, so a refusal is not the end: where the VM's
/// group must keep together and its members got stuck in a place too small for all, that place is
/// closed to the group; otherwise the VM is moved to the front. At most [`MAX_ROUNDS`] such rounds
/// are tried, and the error then tells of the first refusal, that of the plain order.
///
/// # Errors
/// The VM that found no node, with the explanation and a hint.
pub fn plan(
    assignment: &Assignment,
    view: &View,
    policy: &Policy,
    seed: u64,
) -> Result<Planned, Unplaced> {
    let mut planner = Planner::new(Arc::clone(&view.grid), policy.clone(), seed);
    planner.explain(assignment, view)
}
