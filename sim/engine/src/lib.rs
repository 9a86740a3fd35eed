//! Virtual time, the event queue and seeded chance; knows nothing of grids.
//!
//! - [`watch`]: how long work tells its progress and learns that it is to stop

pub mod watch;
