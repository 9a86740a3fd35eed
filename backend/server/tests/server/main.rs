//! The crate at its door: a real controller, real agents, and those who ask.

mod chaos;
mod conformance;
mod going;
mod grid;
#[path = "../../../../tests/tests/real/incusd.rs"]
mod incusd;
#[path = "../../../live/tests/live/recipes.rs"]
mod recipes;
mod shop;
mod strangers;
#[path = "../../../../tests/tests/backend/suite/mod.rs"]
mod suite;
#[path = "../../../live/tests/live/sys.rs"]
mod sys;
mod unlike;
mod waiting;
mod wires;
