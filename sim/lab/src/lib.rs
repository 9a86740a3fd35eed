//! The lab: readers of traces and grids, runs, the store of results, recorded runs as views; the one impure crate of `sim`.
//!
//! In reading order:
//!
//! - [`mod@read`]: traces, grids and policies from files

pub mod read;
