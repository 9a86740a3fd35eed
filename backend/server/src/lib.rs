//! The controller at work: its database, its door, and the way to its agents.
//!
//! ```text
//!  agents ──▶ ┌──────┐ reports  ┌───────┐ step   ┌─────────────────────┐
//!  admins ──▶ │ door │ ───────▶ │ ruler │ ─────▶ │ control::Controller │
//!             │      │ ◀─────── │       │ ◀───── └─────────────────────┘
//!             └──────┘  orders  └───────┘ journal, events ─▶ SQLite, before anything is acted on
//! ```
//!
//! In reading order:
//!
//! - [`config`]: the controller's configuration
//! - [`store`]: its database
//! - [`vault`]: the keys of VMs, encrypted
//! - [`ruler`]: the thread that steps
//! - [`agents`]: the way to the agents
//! - [`door`]: who is let in, and as what
//! - [`api`]: what admins may ask
//! - [`metrics`]: how the controller fares, for Prometheus
//! - [`serving`]: all of it put together

pub mod agents;
pub mod api;
pub mod config;
pub mod door;
pub mod metrics;
pub mod ruler;
pub mod serving;
pub mod store;
pub mod vault;
