//! The window without a screen: found by accessible names, as a screen reader would find it.

mod commands;
mod design_bench;
mod design_clipboard;
mod design_editing;
mod design_files;
mod design_page;
mod design_planning;
mod grid;
mod harness;
mod lab;
mod layout;
mod live;
mod simulated;
mod small;
