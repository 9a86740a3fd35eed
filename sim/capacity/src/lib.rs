//! VM requests on a grid in virtual time: arrivals, waiting or refusal, placement, departure.
//!
//! In reading order:
//!
//! - [`trace`]: the requests
//! - [`outcome`]: what came of them: summary, series, nodes, refusals, the log of decisions
//! - [`run`]: the simulation

pub mod outcome;
pub mod run;
pub mod trace;
