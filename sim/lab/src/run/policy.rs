//! Policies by the word that people name them with: of the catalogue, a sample chain, or a file.

use crate::read::{self, ReadError};
use model::fault::nearest;
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::rule::sample::CHAINS;
use std::path::Path;

/// A policy with the word by which people named it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPolicy {
    /// As `best-fit`, or the name that a rule chain gives itself.
    pub name: String,
    /// The policy.
    pub policy: Policy,
}

/// Why a word names no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The catalogue has no such name, and it looks like no path.
    #[error("unknown policy {name:?}; known are {}\nhint: {hint}", names().join(", "))]
    Unknown {
        /// The word.
        name: String,
        /// The known name that was meant, perhaps.
        hint: String,
    },
    /// A file with a rule chain that cannot be read or has faults.
    #[error(transparent)]
    Chain(ReadError),
}

/// Every name that [`NamedPolicy::of`] takes without a file: the catalogue's, then the sample chains'.
pub fn names() -> Vec<String> {
    let catalogue = Policy::all().into_iter().map(|policy| policy.name());
    let chains = CHAINS.iter().map(|sample| sample.name.to_owned());
    catalogue.chain(chains).collect()
}

impl NamedPolicy {
    /// The policy of a word: a name of the catalogue, of a sample chain, or the path of a file with
    /// a rule chain.
    ///
    /// # Errors
    /// Where there is no such policy, or its file has faults.
    pub fn of(word: &str) -> Result<Self, PolicyError> {
        if let Ok(policy) = Policy::named(word) {
            return Ok(Self::from(policy));
        }
        if let Some(sample) = CHAINS.iter().find(|sample| sample.name == word) {
            let chain = RuleChain::read(sample.name, sample.text);
            let chain = chain.expect("sample chains are sound, as a test of placement shows");
            return Ok(Self::from(Policy::Chain(chain)));
        }
        let path = Path::new(word);
        if path.exists() || path.extension().is_some() || path.components().count() > 1 {
            let chain = read::chain(path).map_err(PolicyError::Chain)?;
            return Ok(Self::from(Policy::Chain(chain)));
        }
        Err(unknown(word))
    }
}

impl From<Policy> for NamedPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            name: policy.name(),
            policy,
        }
    }
}

fn unknown(word: &str) -> PolicyError {
    let names = names();
    let hint = match nearest(word, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "a file with a rule chain is named by its path".to_owned(),
    };
    PolicyError::Unknown {
        name: word.to_owned(),
        hint,
    }
}
