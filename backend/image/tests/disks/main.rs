//! Disks through the doors of the crate: edited, copied, wiped, built and checked.

mod copying;
mod editing;
mod scratch;
