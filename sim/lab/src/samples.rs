//! Samples to start from: a trace that the sample grid can carry.

use crate::synthetic::{Parameters, generate};
use capacity::trace::Trace;
use engine::watch::{Cancelled, Watch};
use model::grid::Grid;

/// Share of the grid that the sample's VMs fill on average: busy, with room for the busiest hours.
const FILLED: f64 = 0.75;

/// A week of VMs as on Azure in 2019 that fill three quarters of a grid; the same for the same grid.
///
/// # Errors
/// [`Cancelled`] where the watcher said so.
pub fn trace(grid: &Grid, watch: &dyn Watch) -> Result<Trace, Cancelled> {
    let mut trace = generate(&Parameters::default().filling(grid, FILLED), watch)?;
    trace.name = format!("a week on {}", grid.name);
    Ok(trace)
}
