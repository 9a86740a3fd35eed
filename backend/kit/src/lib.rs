//! What every driver must pass, whoever wrote it: a failed check panics with what was expected.
//!
//! - [`conformance`]: one suite for all drivers, within the agent or outside
//! - [`raw`]: a driver program at the level of its messages
//! - [`kills`]: kills a driver program at every message, and sees that nothing is lost by it
//! - [`manners`]: what a driver program does with messages that mean nothing, and with haste
//! - [`guest`]: guests small enough to boot in seconds
//! - [`author`]: a driver under test and machines for it, as its author names them

pub mod author;
pub mod conformance;
pub mod guest;
pub mod kills;
pub mod manners;
pub mod raw;
