//! Assignment and plan of the design on the open grid, made in the background.

use super::document::Document;
use crate::window::jobs::{Job, Poll};
use crate::window::room::Room;
use crate::window::sources;
use egui::Context;
use model::assignment::Assignment;
use model::design::Design;
use model::topology::Topology;
use model::view::View;
use placement::assign::{AssignError, assign};
use placement::plan::{Planned, Unplaced, plan};
use placement::policy::Policy;
use std::sync::Arc;

/// Feeds policies that draw lots; the same design on the same grid gives the same plan.
const SEED: u64 = 1;

/// What planning came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every VM has a node.
    Planned {
        /// Components as VMs.
        assignment: Assignment,
        /// VMs on nodes, with reasons.
        planned: Planned,
    },
    /// The design has this many problems; it must be right before it can be planned.
    Faulty(usize),
    /// The components cannot become VMs of this grid.
    Unassigned(AssignError),
    /// A VM found no node.
    Unplaced {
        /// Components as VMs.
        assignment: Assignment,
        /// Which, and why.
        unplaced: Unplaced,
    },
}

/// What a plan was made from.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The design's revision.
    pub revision: u64,
    /// The grid at its instant.
    pub view: Arc<View>,
    /// The policy's place in [`Planning::policies`].
    pub policy: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Working(Job<Outcome>, Basis),
    Done(Box<Outcome>, Basis),
    /// Planning itself broke.
    Broken,
}

/// The last plan asked for.
#[derive(Debug)]
pub struct Planning {
    /// All policies to choose from: the catalogue, then rule chains.
    pub policies: Vec<Policy>,
    /// The policy chosen, by its place among them.
    pub policy: usize,
    /// The VM whose reasons are shown, by its place in the assignment.
    pub vm: usize,
    state: State,
}

impl Default for Planning {
    /// Best fit at the start, as customers pay for what is packed tightly.
    fn default() -> Self {
        let policies: Vec<Policy> = sources::policies()
            .into_iter()
            .map(|named| named.policy)
            .collect();
        let best_fit = policies
            .iter()
            .position(|policy| *policy == Policy::BestFit);
        Self {
            policies,
            policy: best_fit.unwrap_or(0),
            vm: 0,
            state: State::Nothing,
        }
    }
}

/// Assigns and plans a design.
pub fn work_out(design: &Design, view: &View, policy: &Policy) -> Outcome {
    let topology = match Topology::check(design) {
        Ok(topology) => topology,
        Err(faults) => return Outcome::Faulty(faults.0.len()),
    };
    let assignment = match assign(&topology, &view.grid) {
        Ok(assignment) => assignment,
        Err(error) => return Outcome::Unassigned(error),
    };
    match plan(&assignment, view, policy, SEED) {
        Ok(planned) => Outcome::Planned {
            assignment,
            planned,
        },
        Err(unplaced) => Outcome::Unplaced {
            assignment,
            unplaced,
        },
    }
}

impl Planning {
    /// What its tab is called.
    pub fn title(&self) -> String {
        match &self.state {
            State::Nothing => "Plan".to_owned(),
            State::Working(..) => "Plan (working)".to_owned(),
            State::Broken => "Plan (failed)".to_owned(),
            State::Done(outcome, _) => match &**outcome {
                Outcome::Planned { planned, .. } => format!("Plan ({} VMs)", planned.vms.len()),
                _ => "Plan (refused)".to_owned(),
            },
        }
    }

    /// The result with what it was made from, when there is one.
    pub fn outcome(&self) -> Option<(&Outcome, &Basis)> {
        match &self.state {
            State::Done(outcome, basis) => Some((outcome, basis)),
            _ => None,
        }
    }

    /// Whether it is at work.
    pub fn is_working(&self) -> bool {
        matches!(self.state, State::Working(..))
    }

    /// Whether planning broke down, which is a bug.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Forgets the plan: it was of another design.
    pub fn forget(&mut self) {
        self.state = State::Nothing;
    }

    /// Starts planning in the background; what was planned before is forgotten.
    pub fn start(&mut self, ctx: &Context, document: &Document, room: &mut Room<'_>) {
        let Some(view) = room.view.cloned() else {
            room.notices.error(
                "no grid is open; open one on the Grid page first",
                Vec::new(),
            );
            return;
        };
        let design = Arc::clone(document.design());
        let basis = Basis {
            revision: document.revision(),
            view: Arc::clone(&view),
            policy: self.policy,
        };
        let policy = self.policies[self.policy].clone();
        self.vm = 0;
        let job = room.jobs.start(ctx, "Planning the design", move |_| {
            work_out(&design, &view, &policy)
        });
        self.state = State::Working(job, basis);
    }

    /// Takes the result when it is there.
    pub fn poll(&mut self) {
        let State::Working(job, basis) = &self.state else {
            return;
        };
        match job.poll() {
            Poll::Working => {}
            Poll::Done(outcome) => self.state = State::Done(Box::new(outcome), basis.clone()),
            Poll::Lost => self.state = State::Broken,
        }
    }
}

impl Basis {
    /// What has changed since, in words; nothing where the plan still holds.
    pub fn stale(
        &self,
        revision: u64,
        view: Option<&Arc<View>>,
        policy: usize,
    ) -> Option<&'static str> {
        // Views of one instant of one grid are equal; comparing every VM in each frame would cost.
        let same_grid = view.is_some_and(|view| {
            Arc::ptr_eq(&view.grid, &self.view.grid) && view.at == self.view.at
        });
        match () {
            () if revision != self.revision => Some("The design has changed since"),
            () if !same_grid => Some("The grid has changed since"),
            () if policy != self.policy => Some("Another policy is chosen"),
            () => None,
        }
    }
}
