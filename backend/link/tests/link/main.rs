//! The crate at its door: who is let in, and who is spoken with.

mod connections;
mod texts;
