//! What runs on each node, without its hands: the agent as a pure step function, and the contracts
//! of those that act for it.
//!
//! - [`machine`]: a VM as its node holds it, every path and name decided
//! - [`secret`]: keys that are never shown or written down
//! - [`watch`]: how a long act is followed and called off
//! - [`lifecycle`]: the states of a VM and what each act does to them, as one table
//! - [`driver`]: the plug-in that turns acts into one hypervisor's own calls

pub mod driver;
pub mod lifecycle;
pub mod machine;
pub mod secret;
pub mod watch;
