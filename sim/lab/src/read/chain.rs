//! Rule chains from files.

use super::error::ReadError;
use super::source::Source;
use engine::watch::Unwatched;
use placement::rule::RuleChain;
use std::path::Path;

/// Reads a chain that a user wrote.
///
/// # Errors
/// All that is wrong with the file.
pub fn chain(path: &Path) -> Result<RuleChain, ReadError> {
    let source = Source::open(path, &Unwatched)?;
    let (file, text) = source.into_text("a rule chain in TOML")?;
    RuleChain::read(&file, &text).map_err(ReadError::Faults)
}
