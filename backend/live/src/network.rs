//! The network of a VM: a bridge for each tenant network, a tap for each interface, and the rules
//! between them.
//!
//! - [`name`]: what the devices of a node are called, and whose they are

pub mod name;
