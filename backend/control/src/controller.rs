//! The controller: told what happens, it answers with what is to be done, and nothing else.
//!
//! - `accept`: a command becomes an operation, or is refused
//! - `making`: the orders that make a VM, and the disk that other nodes lend it
//! - `deploy`: a design comes to stand as it is drawn
//! - `sizing`, `moving`: VMs are given more or less, and go to other nodes
//! - `outfit`: VMs are sent what their components' recipes say
//! - `drive`: operations go on: orders are sent, and ends are told
//! - `hear`: agents come and go, and report
//! - `picture`: the view, brought up to date
//! - `mend`: what time brings: deadlines, orders that were lost, leases, and VMs that are not as wished

mod accept;
mod deploy;
mod drive;
mod hear;
mod making;
mod mend;
mod moving;
mod outfit;
mod picture;
mod sizing;

use crate::journal::Entry;
use crate::ledger::Ledger;
use crate::message::{Input, Output};
use crate::planted::{Bug, is_planted};
use crate::settings::Settings;
use model::event::{Event, Happening};
use model::grid::Grid;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::report::VmState;
use model::time::Time;
use model::view::View;
use placement::plan::Planner;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One grid's controller.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    ledger: Ledger,
    view: Arc<View>,
    /// What plans are made with. Each leaves it as it was: what it decides does not depend on what was
    /// decided before, so that who looks at a controller may plan with it.
    planner: RefCell<Planner>,
    /// By [`NodeId`].
    links: Vec<Link>,
    /// States of VMs as their nodes told them last.
    seen: BTreeMap<VmId, Seen>,
    /// Orders that have not ended, by their ids.
    flights: BTreeMap<OperationId, Flight>,
    /// Where VMs that move are waited for, by the order to receive them.
    listening: BTreeMap<OperationId, String>,
    /// How far orders under way are.
    progress: BTreeMap<OperationId, Progress>,
    /// Operations that may be able to go on.
    wake: BTreeSet<OperationId>,
    /// When something was last tried for a VM that is not as it is wished.
    mended: BTreeMap<VmId, Time>,
    /// VMs that nodes have and nobody here has made.
    found: BTreeMap<VmId, NodeId>,
    /// Deployments some of whose VMs may lack something of their outfits, and when to look again.
    unsettled: BTreeMap<u32, Time>,
}

/// What is known of the way to a node's agent.
#[derive(Clone, Copy, Debug)]
struct Link {
    is_reached: bool,
    /// Until then it may run highly available VMs, by the controller's clock.
    leased_until: Time,
}

/// A VM as its node told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node.
    pub node: NodeId,
    /// The state; `None`: it is not there.
    pub state: Option<VmState>,
    /// When, by the node's clock.
    pub at: Time,
}

/// An order on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    operation: OperationId,
    task: u32,
    generation: Generation,
    /// When it was sent last; `None`: not since this controller began.
    sent: Option<Time>,
}

/// How far an order is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step under way, in words.
    pub step: String,
    /// How much of it is done, in thousandths.
    pub done_milli: u16,
}

impl Controller {
    /// A controller that goes on where the journal's writer was killed. No agent is reached as yet, and
    /// any of them may have been given a lease just before.
    pub fn recover(
        settings: Settings,
        grid: Arc<Grid>,
        entries: impl IntoIterator<Item = Entry>,
        now: Time,
    ) -> Self {
        let mut ledger = Ledger::new(grid.nodes.iter().map(|node| node.state));
        for entry in entries {
            ledger.apply(&entry);
        }
        let leased_until = match is_planted(Bug::LeasesForgotten) {
            true => now,
            false => now + settings.lease + settings.grace,
        };
        let link = Link {
            is_reached: false,
            leased_until,
        };
        let planner = Planner::new(Arc::clone(&grid), settings.policy.clone(), settings.seed);
        let mut controller = Self {
            links: vec![link; grid.nodes.len()],
            planner: RefCell::new(planner),
            view: Arc::new(View::empty(grid)),
            flights: drive::flights(&ledger),
            wake: ledger.open.keys().copied().collect(),
            settings,
            ledger,
            seen: BTreeMap::new(),
            listening: BTreeMap::new(),
            progress: BTreeMap::new(),
            mended: BTreeMap::new(),
            found: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        };
        controller.ledger.stirred = controller.ledger.deployments.keys().copied().collect();
        controller.unsettle(now);
        controller.ledger.touched = controller.view.grid.node_ids().collect();
        controller.refresh(now);
        controller
    }

    /// Takes one message in and appends what is to be done, in order.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Submitted { operation, command } => self.take(now, operation, *command, out),
            Input::CalledOff { operation } => self.call_off(operation, out),
            Input::Called { node, at, held } => self.called(now, node, at, &held, out),
            Input::Left { node } => self.leave(now, node, out),
            Input::Reported { report } => self.hear(now, *report, out),
            Input::Ticked => self.mend(now, out),
        }
        self.advance(now, out);
        self.unsettle(now);
        self.refresh(now);
    }

    /// The grid as it is.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// What the controller must not forget.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// VMs as their nodes told them last.
    pub fn seen(&self) -> &BTreeMap<VmId, Seen> {
        &self.seen
    }

    /// How far the orders of an operation are, by their places.
    pub fn progress(&self, operation: OperationId) -> impl Iterator<Item = (u32, &Progress)> {
        let flights = self.flights.iter();
        let flights = flights.filter(move |(_, flight)| flight.operation == operation);
        flights.filter_map(|(order, flight)| Some((flight.task, self.progress.get(order)?)))
    }

    /// VMs that nodes have and nobody here has made.
    pub fn found(&self) -> &BTreeMap<VmId, NodeId> {
        &self.found
    }

    /// Whether a node's agent can be reached.
    pub fn is_reached(&self, node: NodeId) -> bool {
        self.links[node.index()].is_reached
    }

    fn write(&mut self, entry: Entry, out: &mut Vec<Output>) {
        self.ledger.apply(&entry);
        out.push(Output::Write(entry));
    }

    fn tell(
        now: Time,
        operation: Option<OperationId>,
        happening: Happening,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Happened(Event {
            at: now,
            operation,
            happening,
        }));
    }
}
