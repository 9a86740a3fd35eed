//! The crate at its door: a real controller, real agents, and those who ask.

mod going;
mod grid;
#[path = "../../../live/tests/live/recipes.rs"]
mod recipes;
mod strangers;
