//! Any hypervisor that libvirt reaches, as a driver program of its own.
//!
//! ```text
//!  perform ── holds the VM ─▶ admit ─▶ look ─▶ plan: steps as data ─▶ run ─▶ libvirt ─▶ hypervisor
//!  translate ──────────────────────────┴─────────┴─▶ the same steps, told
//!  inspect, list, statistics, recover ─┴───────────────────────────────────▶ libvirt
//! ```
//!
//! In reading order:
//!
//! - [`config`]: which URI, who says so there, and how disks are reached from there
//! - [`door`]: what stands behind a URI, and what of it was tried
//! - [`identity`]: which domains are ours
//! - [`connection`]: the connection, opened again where it has broken
//! - [`host`]: which guests libvirt says that it runs
//! - [`check`]: machines that cannot be run, refused
//! - [`domain`]: a machine as libvirt's XML
//! - [`look`]: a VM as it is now
//! - [`plan`]: acts as steps, and steps for people to read
//! - [`run`]: carries steps out
//! - [`statistics`]: what libvirt measures
//! - [`probe`]: what really runs here
//! - [`driver`]: all of it behind `agent::driver::Driver`
//!
//! libvirt keeps the domains; a VM's folder keeps the machine as it was defined, for the names of its
//! disks and interfaces. What is not ours, by name and UUID, is never touched.

pub mod check;
pub mod config;
pub mod connection;
pub mod domain;
pub mod door;
pub mod driver;
pub mod host;
pub mod identity;
pub mod look;
pub mod plan;
pub mod probe;
pub mod run;
pub mod statistics;
