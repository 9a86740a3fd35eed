//! Every pure decision over a grid, used live and simulated alike.
//!
//! In reading order:
//!
//! - [`state`]: what is free on every node, and who is where
//! - `shape`: what a VM asks of each kind of node, and where it is legal
//! - `group`: together and apart
//! - [`filter`]: why a node may not take a VM
//! - [`facts`]: all that a local score may read
//! - [`rule`]: lexicographic chains of quantised rules
//! - [`policy`]: the catalogue of rules of decision
//! - `score`: scores that read one node alone
//! - [`mix`]: what the typical mix of shapes could still use of a node
//! - `nova`, `topsis`: scores that depend on all nodes that fit
//! - `naive`: the oracle, which looks at every node
//! - `index`, `sweep`, `search`: the fast paths, which decide the same
//! - [`placer`]: state and policy together: decide, place, release
//! - [`lending`]: which nodes lend a VM of another how much of their disks
//! - [`reason`]: a decision in short, as it is kept
//! - [`explain`], `scoretable`: any decision taken apart
//! - [`assign`]: the logical step, components to VMs
//! - [`plan`]: the physical step, VMs to nodes, all or none

pub mod assign;
mod chance;
pub mod explain;
pub mod facts;
pub mod filter;
mod group;
mod index;
pub mod lending;
pub mod mix;
mod naive;
mod nova;
pub mod placer;
pub mod plan;
pub mod policy;
pub mod reason;
pub mod rule;
mod score;
mod scoretable;
mod search;
mod shape;
pub mod state;
mod sweep;
mod topsis;
