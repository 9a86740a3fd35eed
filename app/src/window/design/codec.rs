//! Designs as TOML text, for files, the clipboard and recovery.

use model::design::Design;
use model::design_file::read_design;
use model::design_writer::write_design;
use model::fault::Faults;

/// The text of a design.
pub fn to_text(design: &Design) -> String {
    write_design(design)
}

/// The design of a text, right or wrong; `file` is what faults call it.
///
/// # Errors
/// All faults of its form, with their lines.
pub fn from_text(file: &str, text: &str) -> Result<Design, Faults> {
    read_design(file, text)
}
