//! The model at its door: files read, refused with all their faults, written and read back; and its quantities.

mod designs;
mod grids;
mod mutations;
mod profiles;
mod quantities;
mod reader;
mod samples;
