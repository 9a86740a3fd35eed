//! The only place that talks to hypervisors: one module for each, behind `agent::driver::Driver`.
//!
//! - [`admission`]: refuses what the lifecycle or the declared capabilities forbid
//! - [`folder`]: what a driver must remember of its VMs, in files that survive it
//! - [`incus`]: system containers, by Incus
//! - [`outside`]: drivers that are programs of their own, in any language
//! - `probe_guest`: the only program of a probe's guest
//! - [`qemu`]: QEMU over QMP
//! - [`sparse`]: copies files with their holes
//! - [`uml`]: User-mode Linux, a kernel that is a process

pub mod admission;
pub mod folder;
pub mod incus;
pub mod outside;
mod probe_guest;
pub mod qemu;
pub mod sparse;
pub mod uml;
