//! What runs on a real node, with its hands: sockets, clocks, processes, devices.
//!
//! In reading order:
//!
//! - [`config`]: the agent's configuration
//! - [`clock`]: the node's clock
//! - [`socket`]: the sockets
//! - [`calling`]: the call to the controller
//! - [`journal`]: the agent's journal on disk
//! - [`machine`]: what a node is made of
//! - [`measure`]: statistics of the node
//! - [`rates`]: totals made rates
//! - [`sampler`]: looks at VMs and measures
//! - [`console`]: logs of consoles, bounded
//! - [`hands`]: steps, on threads of their own
//! - [`disks`]: the hand on disks and images
//! - [`moves`]: the hand on VMs that go to another node, standing still
//! - [`lending`]: the hand on volumes that are lent to VMs of other nodes
//! - [`network`]: the network of a VM, from the bridge to the last rule
//! - [`plugs`]: the hands on networks
//! - [`hypervisor`]: the driver that the configuration names
//! - [`watchdog`]: the process that stops highly available VMs once the lease has lapsed
//! - [`node`]: the loop that joins them
//!
//! Threads and channels, not an asynchronous runtime: drivers and disks block by their nature, one
//! thread steps, and the few connections of a node are a handful of threads more. The call to the
//! controller alone has a runtime, on its thread: TLS both hears and says on one stream.

pub mod calling;
pub mod clock;
pub mod config;
pub mod console;
pub mod disks;
pub mod hands;
pub mod hypervisor;
pub mod journal;
pub mod lending;
pub mod machine;
pub mod measure;
pub mod moves;
pub mod network;
pub mod node;
pub mod plugs;
pub mod rates;
pub mod sampler;
pub mod socket;
pub mod watchdog;
