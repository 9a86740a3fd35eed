//! A simulated grid: the real controller and agents in virtual time.
//!
//! - [`clock`]: how fast its time goes, and until when
//! - `runner`: its thread: lets time pass
//! - [`command`]: what a user can ask of its clock
//! - [`trouble`]: what a user can let befall it
//! - [`bar`]: its clock on the Grid page

pub mod bar;
pub mod clock;
pub mod command;
pub(super) mod runner;
pub mod trouble;
