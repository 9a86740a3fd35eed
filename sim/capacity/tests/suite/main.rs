//! Tests at the door of the crate, in one binary.

mod fixture;
mod golden;
mod oracle;
mod property;
mod queueing;
mod replay;
mod stranding;
mod waiting;
