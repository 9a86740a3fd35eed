//! The simulation of one trace on one grid under one policy.

use crate::outcome::Outcome;
use crate::simulation::Simulation;
use crate::trace::Trace;
use engine::watch::{Cancelled, Watch};
use model::grid::Grid;
use model::time::Span;
use placement::placer::Search;
use placement::policy::Policy;
use std::sync::Arc;

/// What becomes of a VM that no node takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// It is refused at once.
    #[default]
    Refuse,
    /// It waits, by priority, then by arrival, until a node takes it or it gives up.
    Queue {
        /// How long it waits; `None`: for ever.
        patience: Option<Span>,
    },
}

/// How to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Feeds policies that draw lots.
    pub seed: u64,
    /// Fast or naive; the decisions are the same.
    pub search: Search,
    /// What becomes of VMs that find no node.
    pub waiting: Waiting,
    /// Bins of the series.
    pub bins: usize,
    /// Whether to keep every decision.
    pub log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            search: Search::Indexed,
            waiting: Waiting::Refuse,
            bins: 500,
            log: false,
        }
    }
}

/// Events between two words to the watcher: at a million events a second it hears 250 a second.
const EVENTS_PER_WORD: u64 = 4096;

/// Runs a trace on a grid; the watcher hears of VMs that arrived.
///
/// # Errors
/// [`Cancelled`] where the watcher said so.
pub fn run(
    trace: &Trace,
    grid: &Arc<Grid>,
    policy: &Policy,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Outcome, Cancelled> {
    let total = trace.vms.len() as u64;
    watch.progress(0, total)?;
    let mut simulation = Simulation::new(trace, grid, policy, options);
    let mut steps = 0;
    while simulation.step().is_some() {
        steps += 1;
        if steps % EVENTS_PER_WORD == 0 {
            watch.progress(simulation.arrived(), total)?;
        }
    }
    watch.progress(total, total)?;
    Ok(simulation.finish())
}
