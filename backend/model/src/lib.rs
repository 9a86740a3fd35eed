//! The words of Gridwright as types, without any I/O.
//!
//! In reading order:
//!
//! - [`id`]: typed ids and the grid's generation
//! - [`units`]: quantities and [`units::Resources`], the vector of what a VM asks and a node has
//! - [`time`]: instants and spans of virtual or real time
//! - [`hypervisor`]: kinds, guests, capabilities, efficiency
//! - [`grid`]: nodes, node classes, sites, racks: one resource
//! - [`vm`]: what one VM asks of a node
//! - [`design`]: what a customer draws; may be wrong
//! - [`topology`]: a checked design; cannot be wrong
//! - [`assignment`]: components to VMs, no node named yet
//! - [`plan`]: VMs to nodes, immutable
//! - [`order`]: normalised messages to a node
//! - [`report`]: what comes back of an order
//! - [`event`]: one line of the grid's history
//! - [`sample`]: one measurement in the one schema
//! - [`view`]: the unified picture of the grid at an instant
//! - [`fault`]: what is wrong with a file, where, and what was expected
//! - [`toml_reader`]: reads a file of ours field by field and gathers its faults

pub mod assignment;
pub mod design;
pub mod event;
pub mod fault;
pub mod grid;
pub mod hypervisor;
pub mod id;
pub mod order;
pub mod plan;
pub mod report;
pub mod sample;
pub mod time;
pub mod toml_reader;
pub mod topology;
pub mod units;
pub mod view;
pub mod vm;
