//! The live grid, as the app sees it: a client of its controller.
//!
//! - [`call`]: one connection, asked in turn
//! - [`live`]: the live grid behind the app's one door

pub mod call;
pub mod live;
