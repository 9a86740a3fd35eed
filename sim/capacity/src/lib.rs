//! VM requests on a grid in virtual time: arrivals, waiting or refusal, placement, departure.
//!
//! In reading order:
//!
//! - [`trace`]: the requests
//! - [`outcome`]: what came of them: summary, series, nodes, refusals, the log of decisions
//! - [`run`]: a whole simulation in one call
//! - [`simulation`]: the same, event by event
//! - [`waiting`]: the queue of VMs that found no node
//! - [`meter`]: the figures, kept exactly and at a constant cost an event
//! - `tally`: what is counted
//! - [`stranding`]: how much of the shapes asked for a node has no room for
//! - [`replay`]: any instant of a past run as a view

pub mod meter;
pub mod outcome;
pub mod replay;
pub mod run;
pub mod simulation;
pub mod stranding;
mod tally;
pub mod trace;
pub mod waiting;
