//! The app's one door to a grid, whether live, simulated or recorded.
//!
//! ```text
//!             submit(operation, command)
//!        ┌──────────────────────────────────▶ ┌─────────┐   live:      a client of the controller
//!  app   │   view() → Arc<View>               │ Backend │   simulated: the controller over modelled nodes
//!        ◀──────────────────────────────────  └─────────┘   recorded:  the log of a run, read-only
//!            events(from, limit) → history
//! ```
//!
//! - [`backend`]: the trait that every source of views implements, and what may be asked of it

pub mod backend;
