//! One trace on one grid under one or several policies: read, simulate, measure.

pub mod figures;
pub mod policy;

use crate::read::{self, ReadError};
use capacity::outcome::Outcome;
use capacity::run::Options;
use capacity::trace::Trace;
use engine::watch::{Cancelled, Watch};
use model::grid::Grid;
pub use policy::NamedPolicy;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Where the requests come from.
#[derive(Clone, Debug)]
pub enum TraceSource {
    /// A file or a folder.
    File {
        /// Where it lies.
        path: PathBuf,
        /// What it is written in; `None`: told from its name and content.
        format: Option<read::Format>,
    },
    /// Already in memory.
    Loaded(Arc<Trace>),
}

/// Where the grid comes from.
#[derive(Clone, Debug)]
pub enum GridSource {
    /// A grid file.
    File(PathBuf),
    /// Already in memory.
    Loaded(Arc<Grid>),
}

/// All that a run needs.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The requests.
    pub trace: TraceSource,
    /// The nodes.
    pub grid: GridSource,
    /// Each is tried on its own, on the same requests.
    pub policies: Vec<NamedPolicy>,
    /// The same for every policy.
    pub options: Options,
}

/// What a scenario's sources hold.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The requests.
    pub trace: Arc<Trace>,
    /// The nodes.
    pub grid: Arc<Grid>,
    /// Wall clock of reading both.
    pub load_seconds: f64,
}

/// One policy's run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The requests.
    pub trace: Arc<Trace>,
    /// The nodes.
    pub grid: Arc<Grid>,
    /// What decided.
    pub policy: NamedPolicy,
    /// How it was run.
    pub options: Options,
    /// What came of it.
    pub outcome: Arc<Outcome>,
    /// Wall clock of reading the inputs.
    pub load_seconds: f64,
    /// Wall clock of the simulation alone.
    pub sim_seconds: f64,
}

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the trace; progress counts bytes.
    Reading,
    /// Simulating the policy of this place in the scenario; progress counts VMs.
    Simulating(usize),
}

/// Whoever watches a run; called from several threads at once.
pub trait Observer: Sync {
    /// Told now and then: `done` of `total` (0: unknown).
    fn progress(&self, stage: Stage, done: u64, total: u64);

    /// Whether the run is to stop.
    fn cancelled(&self) -> bool;
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _stage: Stage, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input could not be read.
    #[error(transparent)]
    Read(ReadError),
    /// Whoever watched said so.
    #[error("cancelled")]
    Cancelled,
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Cancelled(_) => Self::Cancelled,
            error => Self::Read(error),
        }
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// Reads the inputs, then runs every policy.
///
/// # Errors
/// The first input that cannot be read; [`Error::Cancelled`] where the observer said so.
pub fn run(scenario: &Scenario, observer: &dyn Observer) -> Result<Vec<RunResult>, Error> {
    let inputs = load(&scenario.trace, &scenario.grid, observer)?;
    simulate(&inputs, &scenario.policies, &scenario.options, observer)
}

/// Reads the grid, which is short, and then the trace.
///
/// # Errors
/// The first input that cannot be read; [`Error::Cancelled`] where the observer said so.
pub fn load(
    trace: &TraceSource,
    grid: &GridSource,
    observer: &dyn Observer,
) -> Result<Inputs, Error> {
    let watch = StageWatch {
        observer,
        stage: Stage::Reading,
    };
    let begun = Instant::now();
    let grid = match grid {
        GridSource::File(path) => Arc::new(read::grid(path)?),
        GridSource::Loaded(grid) => Arc::clone(grid),
    };
    let trace = match trace {
        TraceSource::File { path, format } => Arc::new(read::trace(path, *format, &watch)?),
        TraceSource::Loaded(trace) => Arc::clone(trace),
    };
    Ok(Inputs {
        trace,
        grid,
        load_seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Runs every policy on the same inputs, as many at once as there are cores; results come in the
/// order of the policies, whatever finished first.
///
/// # Errors
/// [`Error::Cancelled`] where the observer said so.
pub fn simulate(
    inputs: &Inputs,
    policies: &[NamedPolicy],
    options: &Options,
    observer: &dyn Observer,
) -> Result<Vec<RunResult>, Error> {
    policies
        .par_iter()
        .enumerate()
        .map(|(index, policy)| {
            let watch = StageWatch {
                observer,
                stage: Stage::Simulating(index),
            };
            let begun = Instant::now();
            let outcome =
                capacity::run::run(&inputs.trace, &inputs.grid, &policy.policy, options, &watch)?;
            Ok(RunResult {
                trace: Arc::clone(&inputs.trace),
                grid: Arc::clone(&inputs.grid),
                policy: policy.clone(),
                options: options.clone(),
                outcome: Arc::new(outcome),
                load_seconds: inputs.load_seconds,
                sim_seconds: begun.elapsed().as_secs_f64(),
            })
        })
        .collect()
}

/// Tells an observer what one stage reports.
struct StageWatch<'a> {
    observer: &'a dyn Observer,
    stage: Stage,
}

impl Watch for StageWatch<'_> {
    fn progress(&self, done: u64, total: u64) -> Result<(), Cancelled> {
        if self.observer.cancelled() {
            return Err(Cancelled);
        }
        self.observer.progress(self.stage, done, total);
        Ok(())
    }
}
