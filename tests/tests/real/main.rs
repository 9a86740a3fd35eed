//! Real hypervisors, real disks, real guests: what is missing on the machine fails by its name.

#![expect(dead_code, reason = "not every hypervisor's guests need every kernel")]

mod conformance;
mod guest;
mod outside;
mod uml;
