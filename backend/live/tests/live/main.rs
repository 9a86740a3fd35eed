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
#[path = "../../../../tests/tests/real/planted.rs"]
mod planted;
mod rates;
mod recipes;
mod remote;
mod rotation;
mod saved;
mod saved_root;
mod sockets;
mod statistics;
mod sys;
mod unfinished;
mod utility;
mod watchdog;
