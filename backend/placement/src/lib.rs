//! Every pure decision over a grid, used live and simulated alike.
//!
//! In reading order:
//!
//! - [`state`]: what is free on every node, and who is where
//! - [`filter`]: why a node may not take a VM
//! - [`policy`]: the catalogue of rules of decision
//! - [`placer`]: state and policy together: decide, place, release

pub mod filter;
pub mod placer;
pub mod policy;
pub mod state;
