//! A simulated grid in the window: the real controller and agents in virtual time, on a thread of their own.
//!
//! In reading order:
//!
//! - [`clock`]: how fast its time goes, and until when
//! - [`shown`]: its operations, VMs, designs and history as they are shown
//! - [`snapshot`]: all of it at an instant, handed over to the window
//! - [`simulation`]: the window's end: asks, and takes what has come of it
//! - `runner`: the thread's end: lets time pass
//! - [`command`]: what a user can ask of it
//! - [`trouble`]: what a user can let befall it
//! - [`bar`], [`panels`]: its clock, operations and history on the Grid page
//!
//! ```text
//!  pages ─Command──▶ Simulation ─requests─▶ Runner ─▶ world::Simulated (a `control::backend::Backend`)
//!    ▲                   │   ◀──answers──     │
//!    └──── Snapshot ─────┘   ◀─the latest─────┘ request_repaint, where something changed
//! ```

pub mod bar;
pub mod clock;
pub mod command;
pub mod panels;
mod runner;
pub mod shown;
pub mod simulation;
pub mod snapshot;
pub mod trouble;

pub use simulation::Simulation;
