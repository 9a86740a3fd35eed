//! Virtual time, the event queue and seeded chance; knows nothing of grids.
//!
//! In reading order:
//!
//! - [`queue`]: events in a total order of (time, rank, sequence)
//! - `heap`: what the queue keeps its next events in
//! - [`chance`]: seeded streams of random numbers and the distributions drawn from them
//! - [`average`]: exact time averages of what changes in steps
//! - [`digest`]: one number for a whole history, to compare runs by
//! - [`watch`]: how long work tells its progress and learns that it is to stop

pub mod average;
pub mod chance;
pub mod digest;
mod heap;
pub mod queue;
pub mod watch;
