//! Policies: by a name of the catalogue, or as a rule chain from a file.

use super::error::ReadError;
use super::source::Source;
use engine::watch::Unwatched;
use placement::policy::Policy;
use placement::rule::RuleChain;
use std::path::Path;

/// The policy of this name; a name that ends in `.toml` is the path of a rule chain.
///
/// # Errors
/// No such policy, with those that there are and the nearest; or all that is wrong with the file.
pub fn policy(name_or_path: &str) -> Result<Policy, ReadError> {
    let path = Path::new(name_or_path);
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Policy::named(name_or_path).map_err(ReadError::Policy);
    }
    let source = Source::open(path, &Unwatched)?;
    let (file, text) = source.into_text("a rule chain in TOML")?;
    RuleChain::read(&file, &text)
        .map(Policy::Chain)
        .map_err(ReadError::Faults)
}
