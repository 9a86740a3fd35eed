//! Grids from files.

use super::error::{ReadError, shown};
use model::grid::Grid;
use std::path::Path;

/// Reads a grid file.
///
/// # Errors
/// The file cannot be read, or all its faults.
pub fn grid(path: &Path) -> Result<Grid, ReadError> {
    let file = shown(path);
    let text = std::fs::read_to_string(path).map_err(|error| ReadError::io(&file, 0, error))?;
    model::grid_file::read_grid(&file, &text).map_err(ReadError::Faults)
}
