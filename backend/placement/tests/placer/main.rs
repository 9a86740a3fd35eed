//! The placer at its door: fast and naive search agree, nothing is ever promised twice.

mod equal;
mod world;
