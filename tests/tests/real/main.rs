//! Real hypervisors, real disks, real guests: what is missing on the machine fails by its name.

#![expect(dead_code, reason = "the first driver's tests use the suite")]

mod conformance;
mod guest;
