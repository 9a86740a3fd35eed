//! The controller at its door, alone: commands and reports in; answers, entries and orders out.

mod drain;
mod fixture;
mod heal;
mod history;
mod locks;
mod once;
mod outfits;
mod planner;
