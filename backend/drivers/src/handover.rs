//! What two nodes say to each other of a VM that moves, whatever moves it ([`agent::handover`]).
//!
//! - [`word`]: the words of a move, and how they are said
//! - [`book`]: the receiver's memory of what became of a VM
//! - [`door`]: where senders say their words
//! - [`key`]: the key of a move as QEMU's programs take it

pub mod book;
pub mod door;
pub mod key;
pub mod word;
