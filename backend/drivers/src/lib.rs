//! The only place that talks to hypervisors: one module for each, behind `agent::driver::Driver`.
//!
//! - [`admission`]: refuses what the lifecycle or the declared capabilities forbid
//! - `copying`: what a copy of a VM asks for
//! - [`field`]: fields of a machine that a driver cannot honour
//! - [`folder`]: what a driver must remember of its VMs, in files that survive it
//! - [`handover`]: what two nodes say to each other of a VM that moves
//! - [`hold`]: one VM, held by whoever acts on it
//! - [`incus`]: system containers, by Incus
//! - [`killpoint`]: points at which a test kills the process
//! - [`measure`]: what the node itself tells of a VM, whatever runs it
//! - [`outside`]: drivers that are programs of their own, in any language
//! - [`process`]: processes of the node, found and ended for sure
//! - `probe_guest`: the only program of a probe's guest
//! - [`qemu`]: QEMU over QMP
//! - `recovery`: all VMs of a node found, none held up by another
//! - [`shell`]: commands as a person would type them
//! - [`sparse`]: copies files with their holes
//! - [`uml`]: User-mode Linux, a kernel that is a process
//! - [`volume`]: volumes of one node in a VM of another
//! - [`wait`]: waits that may be called off
//! - [`xen`]: Xen's paravirtual guests, by xl

pub mod admission;
mod copying;
pub mod field;
pub mod folder;
pub mod handover;
pub mod hold;
pub mod incus;
pub mod killpoint;
pub mod measure;
pub mod outside;
mod probe_guest;
pub mod process;
pub mod qemu;
mod recovery;
pub mod shell;
pub mod sparse;
pub mod uml;
pub mod volume;
pub mod wait;
pub mod xen;
