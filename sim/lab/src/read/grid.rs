//! Grids from files.
