//! Every pure decision over a grid, used live and simulated alike.
//!
//! In reading order:
//!
//! - [`state`]: what is free on every node, and who is where
//! - [`filter`]: why a node may not take a VM
//! - [`facts`]: all that a local score may read
//! - [`rule`]: lexicographic chains of quantised rules
//! - [`policy`]: the catalogue of rules of decision
//! - [`placer`]: state and policy together: decide, place, release

pub mod facts;
pub mod filter;
pub mod placer;
pub mod policy;
pub mod rule;
pub mod state;
