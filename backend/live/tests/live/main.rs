//! The crate at its door: what a node does for real.

mod network;
