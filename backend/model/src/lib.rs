//! The words of Gridwright as types, without any I/O.
//!
//! In reading order:
//!
//! - [`id`]: typed ids and the grid's generation
//! - [`units`]: quantities and [`units::Resources`], the vector of what a VM asks and a node has
//! - [`time`]: instants and spans of virtual or real time
//! - [`hypervisor`]: kinds, guests, capabilities, efficiency
//! - [`hypervisor_file`]: reads the profiles of hypervisors
//! - [`grid`]: nodes, node classes, sites, racks: one resource
//! - [`grid_builder`]: a grid in the making
//! - [`grid_file`], [`grid_writer`]: reads and writes grid files
//! - [`vm`]: what one VM asks of a node
//! - [`design`]: what a customer draws; may be wrong
//! - [`kind`]: what a component of each kind is before anyone changes it
//! - [`design_file`], [`design_writer`]: reads and writes design files
//! - [`topology`]: a checked design; cannot be wrong
//! - [`assignment`]: components to VMs, no node named yet
//! - [`plan`]: VMs to nodes, immutable
//! - [`order`]: normalised messages to a node
//! - [`report`]: what comes back of an order
//! - [`event`]: one line of the grid's history
//! - [`sample`]: one measurement in the one schema
//! - [`view`]: the unified picture of the grid at an instant
//! - [`samples`]: sample grids and designs, built in
//! - [`fault`]: what is wrong with a file, where, and what was expected
//! - [`toml_reader`]: reads a file of ours field by field and gathers its faults
//! - [`toml_writer`]: writes the files that people read

pub mod assignment;
pub mod design;
pub mod design_file;
pub mod design_writer;
pub mod event;
pub mod fault;
pub mod grid;
pub mod grid_builder;
pub mod grid_file;
pub mod grid_writer;
pub mod hypervisor;
pub mod hypervisor_file;
pub mod id;
pub mod kind;
pub mod order;
pub mod plan;
pub mod report;
pub mod sample;
pub mod samples;
mod size;
pub mod time;
pub mod toml_reader;
pub mod toml_writer;
pub mod topology;
mod topology_check;
pub mod units;
pub mod view;
pub mod vm;
