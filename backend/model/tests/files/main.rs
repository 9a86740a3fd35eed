//! Files of every kind: read, refused with all their faults, written, and read back.

mod grids;
mod profiles;
mod reader;
mod samples;
