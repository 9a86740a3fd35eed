//! Files of every kind: read, refused with all their faults, written, and read back.

mod designs;
mod grids;
mod mutations;
mod profiles;
mod reader;
mod samples;
