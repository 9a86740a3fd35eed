//! Traces made by chance, as like real ones as their published marginals tell.
//!
//! ```text
//! sizes, cores × memory ─couple─▶ types ──────────────┐ quota: tenants repeat their last type
//! deployment sizes ─strata─▶ deployments ─▶ tenants ──┼─▶ VMs ─▶ trace
//! hour factor × gamma noise ─▶ instants ──────────────┤
//! lives ─by quota, or by size at the start─▶ lives ───┘
//! ```
//!
//! In reading order:
//!
//! - [`tables`]: the published marginals, and their sources
//! - [`curve`]: a distribution through a few points
//! - [`types`]: sizes of VMs that have both marginals
//! - [`parameters`]: what to generate
//! - [`text`]: parameters as `synthetic:azure2019?vms=100000` or in a TOML file
//! - `instants`: when deployments come
//! - `quota`: chance that keeps its promises
//! - `cloud`: tenants, their deployments, their VMs

mod cloud;
pub mod curve;
mod instants;
pub mod parameters;
mod quota;
pub mod tables;
pub mod text;
pub mod types;

use capacity::trace::Trace;
use cloud::Cloud;
use engine::watch::{Cancelled, Watch};
pub use parameters::{Parameters, Start};

const HOUR_MILLIS: f64 = 3_600_000.0;
const DAY_HOURS: f64 = 24.0;

/// Generates a trace; the same parameters give the same bytes.
///
/// # Errors
/// [`Cancelled`] where the watcher said so.
pub fn generate(parameters: &Parameters, watch: &dyn Watch) -> Result<Trace, Cancelled> {
    let hours = parameters.days * DAY_HOURS;
    let before = match parameters.start {
        Start::Empty => 0,
        Start::Stationary => {
            let mean = parameters.life().mean();
            (f64::from(parameters.vms) * mean / (mean + hours)).round() as u32
        }
    };
    let mut cloud = Cloud::new(parameters, watch);
    let sizes = cloud.deployments(before);
    for size in sizes {
        cloud.deploy(size, None)?;
    }
    let sizes = cloud.deployments(parameters.vms - before);
    let instants = instants::draw(parameters, sizes.len());
    for (size, at) in sizes.into_iter().zip(instants) {
        cloud.deploy(size, Some(at))?;
    }
    Ok(cloud.trace(parameters))
}
