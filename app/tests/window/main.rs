//! The window without a screen: found by accessible names, as a screen reader would find it.

mod commands;
mod grid;
mod harness;
mod lab;
mod layout;
