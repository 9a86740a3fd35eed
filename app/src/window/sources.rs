//! The one door to samples, readers and runs: what the pages open and start, as plain functions for jobs.

use crate::window::jobs::Progress;
use capacity::run::Options;
use engine::watch::Watch;
use lab::read::{self, Format, ReadError};
use lab::recorded::Recorded;
use lab::run::{self, GridSource, NamedPolicy, Observer, RunResult, Stage, TraceSource};
use lab::store::{Store, StoreError};
use model::design::Design;
use model::grid::Grid;
use model::samples;
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::rule::sample::CHAINS;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The grid that the window starts with.
pub const FIRST_SAMPLE: &str = "sample";

/// Tenants of the sample grid at the first start.
const TENANTS: usize = 48;

/// Bins of the plotted series: about one a pixel of a plot.
const BINS: usize = 400;

/// Why something came to nothing, for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One line.
    pub text: String,
    /// Beyond it, one line each.
    pub details: Vec<String>,
    /// The user wished it so; nothing needs to be told.
    pub cancelled: bool,
}

impl Trouble {
    fn of(what: &str, error: &dyn std::error::Error) -> Self {
        let mut details: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        let mut cause = error.source();
        while let Some(source) = cause {
            details.push(source.to_string());
            cause = source.source();
        }
        Self {
            text: what.to_owned(),
            details,
            cancelled: false,
        }
    }

    fn cancelled() -> Self {
        Self {
            text: "cancelled".to_owned(),
            details: Vec::new(),
            cancelled: true,
        }
    }
}

/// A grid to be opened.
#[derive(Clone, Debug, PartialEq)]
pub enum GridChoice {
    /// The one that is open on the Grid page.
    Open,
    /// A sample by name.
    Sample(&'static str),
    /// A file.
    File(PathBuf),
}

/// A trace to be run.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceChoice {
    /// The made-up one.
    Sample,
    /// A file or folder.
    File(PathBuf, Option<Format>),
}

/// Reads a grid.
///
/// # Errors
/// All that is wrong with the file.
pub fn open_grid(choice: &GridChoice, open: Option<&Arc<Grid>>) -> Result<Arc<Grid>, Trouble> {
    match choice {
        GridChoice::Open => open.cloned().ok_or_else(|| Trouble {
            text: "No grid is open".into(),
            details: vec!["open one on the Grid page, or choose a sample".into()],
            cancelled: false,
        }),
        GridChoice::Sample(name) => {
            let sample = samples::grid(name).unwrap_or(&samples::GRIDS[0]);
            let grid = model::grid_file::read_grid(sample.name, sample.text);
            grid.map(Arc::new)
                .map_err(|faults| Trouble::of("The sample grid could not be read", &faults))
        }
        GridChoice::File(path) => read::grid(path).map(Arc::new).map_err(|error| {
            let count = match &error {
                ReadError::Faults(faults) => faults.0.len(),
                _ => 1,
            };
            let faults = if count == 1 {
                "a fault".to_owned()
            } else {
                format!("{count} faults")
            };
            let name = path.display();
            Trouble::of(&format!("The grid {name} was not opened: {faults}"), &error)
        }),
    }
}

/// Sample designs of as many tenants as give the sample grid of the first start something to run. A VM with
/// a disk of other nodes cannot move, and would keep its node from being drained: designs with such are
/// left out.
pub fn tenants() -> Vec<Design> {
    let designs = samples::DESIGNS.iter().filter_map(|sample| {
        let read = model::design_file::read_design(sample.name, sample.text);
        read.ok()
    });
    let moves = |design: &Design| design.components.iter().all(|c| c.remote_disk_gib == 0);
    let designs: Vec<Design> = designs.filter(moves).collect();
    let tenants = designs.iter().cycle().take(TENANTS).enumerate();
    tenants
        .map(|(number, design)| Design {
            tenant: format!("tenant-{}", number + 1),
            ..design.clone()
        })
        .collect()
}

/// Every policy of the catalogue, then the rule chains that come with the program.
pub fn policies() -> Vec<NamedPolicy> {
    let catalogue = Policy::all();
    let chains = CHAINS
        .iter()
        .filter_map(|sample| RuleChain::read(sample.name, sample.text).ok())
        .map(Policy::Chain);
    catalogue
        .into_iter()
        .chain(chains)
        .map(NamedPolicy::from)
        .collect()
}

/// Reads a user's own rule chain.
///
/// # Errors
/// All that is wrong with the file.
pub fn open_policy(path: &Path) -> Result<NamedPolicy, Trouble> {
    let text = format!("The rule chain {} was not opened", path.display());
    NamedPolicy::of(&path.display().to_string()).map_err(|error| Trouble::of(&text, &error))
}

/// How people call a policy, and what it does.
pub fn policy_words(policy: &Policy) -> (String, String) {
    if let Policy::Chain(chain) = policy {
        return (format!("Rules {}", chain.name()), chain.title().to_owned());
    }
    let entry = policy.entry();
    (
        entry.title.to_owned(),
        format!("{}\n{}", entry.description, entry.source),
    )
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The requests.
    pub trace: TraceChoice,
    /// The nodes.
    pub grid: GridChoice,
    /// The grid that is open on the Grid page.
    pub open: Option<Arc<Grid>>,
    /// Each is tried on its own.
    pub policies: Vec<NamedPolicy>,
    /// Seed and waiting.
    pub options: Options,
}

/// Reads the inputs and runs every policy.
///
/// # Errors
/// What is wrong with an input; or that the watcher has had enough.
pub fn run(setup: &Setup, progress: &Progress) -> Result<Vec<RunResult>, Trouble> {
    let grid = open_grid(&setup.grid, setup.open.as_ref())?;
    let trace = match &setup.trace {
        TraceChoice::Sample => {
            let trace = lab::samples::trace(&grid, progress).map_err(|_| Trouble::cancelled())?;
            TraceSource::Loaded(Arc::new(trace))
        }
        TraceChoice::File(path, format) => TraceSource::File {
            path: path.clone(),
            format: *format,
        },
    };
    let observer = Shares::new(progress, setup.policies.len());
    let scenario = run::Scenario {
        trace,
        grid: GridSource::Loaded(grid),
        policies: setup.policies.clone(),
        options: Options {
            bins: BINS,
            log: true,
            ..setup.options.clone()
        },
    };
    run::run(&scenario, &observer).map_err(|error| match error {
        run::Error::Cancelled => Trouble::cancelled(),
        run::Error::Read(error) => Trouble::of("The trace was not run", &error),
    })
}

/// Makes a run ready to be looked at.
///
/// # Errors
/// Where it kept no log.
pub fn record(result: &RunResult) -> Result<Recorded, Trouble> {
    Recorded::new(result).map_err(|error| Trouble::of("The run cannot be replayed", &error))
}

/// Writes all there is of some runs into a folder.
///
/// # Errors
/// Why nothing was written; or that the watcher has had enough.
pub fn export(folder: &Path, results: &[RunResult], progress: &Progress) -> Result<(), Trouble> {
    let observer = Shares::new(progress, 0);
    let store = Store::prepare(folder);
    store
        .and_then(|store| store.write(results, &observer))
        .map_err(|error| match error {
            StoreError::Cancelled => Trouble::cancelled(),
            error => Trouble::of("The results were not exported", &error),
        })
}

/// Sums the progress of reading and of all policies up to one bar.
struct Shares<'a> {
    progress: &'a Progress,
    /// Thousandths: reading first, then each policy.
    parts: Vec<AtomicU64>,
}

impl<'a> Shares<'a> {
    fn new(progress: &'a Progress, policies: usize) -> Self {
        Self {
            progress,
            parts: (0..=policies).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Observer for Shares<'_> {
    fn progress(&self, stage: Stage, done: u64, total: u64) {
        let part = match stage {
            Stage::Reading => 0,
            Stage::Simulating(index) => {
                self.parts[0].store(1_000, Ordering::Relaxed);
                index + 1
            }
        };
        self.parts[part].store(done * 1_000 / total.max(1), Ordering::Relaxed);
        let sum = self
            .parts
            .iter()
            .map(|part| part.load(Ordering::Relaxed))
            .sum();
        // Whether to stop is asked for apart.
        let _ = self.progress.progress(sum, 1_000 * self.parts.len() as u64);
    }

    fn cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}
