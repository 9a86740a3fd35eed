//! The protocol for drivers outside the agent: its frames, its document, and both of its sides.

mod document;
mod frames;
mod host;
mod served;
