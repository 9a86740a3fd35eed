//! What components of a design become, for real.

mod backup;
mod firewall;
mod grid;
mod seeded;
mod shop;
