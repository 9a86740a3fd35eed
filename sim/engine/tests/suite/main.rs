//! Tests at the door of the crate, in one binary.

mod average;
mod chance;
mod digest;
mod queue;
