//! The crate at its door: what a node does for real.

mod agent;
mod bases;
mod components;
mod configuration;
mod console;
mod crash;
mod disks;
mod emulated;
mod everywhere;
mod frames;
#[path = "../../../../tests/tests/real/incusd.rs"]
mod incusd;
mod journal;
mod lease;
mod life;
mod machine;
mod measure;
mod modified;
mod moves;
mod network;
mod node;
mod rates;
mod rotation;
mod saved;
mod sockets;
mod statistics;
mod unfinished;
mod utility;
mod watchdog;
