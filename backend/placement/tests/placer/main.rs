//! The placer at its door: fast and naive search agree, nothing is ever promised twice.

mod equal;
mod filters;
mod fixed;
mod formulas;
mod world;
