//! The program `gridwright`: the window and the command line.
//!
//! - [`cli`]: what the program does without a window, and what it is told when one opens
//! - `instant`: instants in words
//! - [`window`]: pages, theme, commands, background jobs

pub mod cli;
mod instant;
pub mod window;
