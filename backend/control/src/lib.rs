//! Many unlike nodes as one grid: the controller as a pure step function, and the app's one door to a
//! grid, whether live, simulated or recorded.
//!
//! ```text
//!             submit(operation, command)
//!        ┌──────────────────────────────────▶ ┌─────────┐   live:      a client of the controller
//!  app   │   view() → Arc<View>               │ Backend │   simulated: the controller over modelled nodes
//!        ◀──────────────────────────────────  └─────────┘   recorded:  the log of a run, read-only
//!            standing(), events(from, limit)
//!
//!  Input ─▶ Controller::step ─▶ Output::Write ─▶ journal on disk
//!    ▲                       └▶ Output::Send  ─▶ agents
//!    └───────── Joined, Reported, Asked ◀─────────┘
//! ```
//!
//! - [`backend`]: the trait that every source of views implements, and what may be asked of it
//! - [`settings`]: what a controller is told of its grid
//! - [`record`]: what it keeps of VMs, deployed designs and nodes
//! - [`operation`]: what somebody asked for, as the orders that carry it out
//! - [`journal`]: what is written down before it is acted on
//! - [`ledger`]: the sum of a journal
//! - [`message`]: what a controller is told, and what it answers
//! - [`mod@controller`]: the controller itself
//! - [`outfitting`]: what VMs are to hold by their recipes
//! - `pairs`: maps in the journal
//! - [`shown`]: what it tells those who ask, with names in place of ids
//! - `draft`: blueprints of assigned VMs
//! - `planted`: bugs for the simulated world to find, where tests ask for them

pub mod backend;
pub mod controller;
mod draft;
pub mod journal;
pub mod ledger;
pub mod message;
pub mod operation;
pub mod outfitting;
mod pairs;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod record;
pub mod settings;
pub mod shown;
