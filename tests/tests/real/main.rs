//! Real hypervisors, real disks, real guests: what is missing on the machine fails by its name.

mod disks;
mod incus;
mod incusd;
mod outside;
mod planted;
mod profiles;
mod qemu;
#[path = "../../../backend/live/tests/live/sys.rs"]
mod sys;
mod uml;

use kit::{conformance, guest};
