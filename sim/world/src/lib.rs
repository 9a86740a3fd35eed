//! The real controller and the real agents in virtual time, over modelled nodes, hypervisors, disks and
//! links, with faults.
//!
//! ```text
//!  Request ─▶ Controller ─▶ orders ─▶ links ─▶ Agent ─▶ steps ─▶ modelled hands
//!                 ▲                   delay,                        │
//!                 └──── reports ◀──── loss, cuts ◀── ends after ────┘
//!                                                    their time
//! ```
//!
//! - [`mod@world`]: all of it, and how it goes on
//! - [`profile`]: how long steps take
//! - [`fault`]: what befalls it
//! - [`workload`]: what is asked of it, and what befalls it, by chance
//! - [`checks`]: what must hold after every step, and at rest
//! - [`simulated`]: it as a [`control::backend::Backend`]
//! - `node`: a node with its agent
//! - `handover`: how VMs go from node to node

pub mod checks;
pub mod fault;
mod handover;
mod node;
pub mod profile;
pub mod simulated;
pub mod workload;
pub mod world;
