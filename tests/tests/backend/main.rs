//! What a grid promises behind `control::backend::Backend`, on the simulated one; the tests of `server` hold
//! the live one to the same.

mod simulated;
mod suite;
