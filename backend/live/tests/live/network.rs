//! The network of VMs, on nodes that are network namespaces.

mod names;
pub mod node;
mod reach;
mod settled;
mod six;
