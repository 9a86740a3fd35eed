//! The crate at its door: what a node does for real.

mod agent;
mod bases;
mod disks;
mod emulated;
mod everywhere;
mod frames;
mod journal;
mod machine;
mod measure;
mod network;
mod rates;
mod sockets;
