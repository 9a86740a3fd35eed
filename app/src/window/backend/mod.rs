//! The grid that takes commands, simulated or live, on a thread of its own.
//!
//! In reading order:
//!
//! - [`snapshot`]: all of it at an instant, handed over to the window
//! - [`attached`]: the window's end: asks, and takes what has come of it
//! - `keeper`: the thread's end: reads from a `control::backend::Backend`, and hands over what is new
//! - [`live`]: the thread of a live grid, and how it is reached
//! - [`simulated`]: the thread of a simulated grid: the real controller and agents in virtual time
//! - [`joining`]: the question whose grid is to be joined
//! - [`panels`]: operations and history on the Grid page
//!
//! ```text
//!  pages ─Command──▶ Attached ─requests─▶ thread ─▶ client::live::Live or world::simulated::Simulated
//!    ▲                   │  ◀──answers──    │
//!    └──── Snapshot ─────┘  ◀─the latest────┘ request_repaint, where something changed
//! ```

pub mod attached;
pub mod joining;
mod keeper;
pub mod live;
pub mod panels;
pub mod simulated;
pub mod snapshot;

pub use attached::Attached;
