//! The app's one door to a grid, whether live, simulated or recorded.
//!
//! - [`backend`]: the trait that every source of views implements

pub mod backend;
