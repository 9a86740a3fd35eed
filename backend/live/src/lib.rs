//! What runs on a real node, with its hands: sockets, clocks, processes, devices.
//!
//! - [`network`]: the network of a VM, from the bridge to the last rule

pub mod network;
