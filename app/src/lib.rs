//! The program `gridwright`: the window and the command line.
//!
//! - [`window`]: pages, theme, commands, background jobs

pub mod window;
