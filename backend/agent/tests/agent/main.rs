//! The agent at its door: orders in, steps and reports out, on a modelled node that may be killed
//! at any point.

mod configuration;
mod crash;
mod files;
mod handover;
mod keys;
mod lease;
mod modify;
mod node;
mod orders;
mod random;
mod remote;
mod rules;
mod table;
mod telling;
