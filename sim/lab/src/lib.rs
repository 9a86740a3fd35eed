//! The lab: readers of traces and grids, runs, the store of results, recorded runs as views; the one impure crate of `sim`.
//!
//! In reading order:
//!
//! - [`mod@read`]: traces, grids and policies from files
//! - [`synthetic`]: traces made by chance, as like real ones as their published marginals tell
//! - [`samples`]: samples to start from
//! - [`run`]: one trace on one grid under one or several policies
//! - [`run::policy`]: policies by the word that people name them with
//! - [`run::figures`]: what came of it, under names and units
//! - [`store`]: a folder with everything that runs left behind
//! - [`plot`]: their series as pictures
//! - [`recorded`]: a past run as a read-only grid

pub mod plot;
pub mod read;
pub mod recorded;
pub mod run;
pub mod samples;
pub mod store;
pub mod synthetic;
