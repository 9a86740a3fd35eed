//! What the services of a running guest are to take: files, and the commands that let them in force.

use crate::id::KeyId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a running guest is to have, whole: taking it twice changes nothing.
///
/// The files are written beside their places and checked there. Where one does not pass, none is
/// put in place and no command is run: the services keep what they have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Files by their absolute paths.
    pub files: BTreeMap<String, ConfiguredFile>,
    /// Commands for the guest's shell, in order, once all files are in place.
    #[serde(default)]
    pub apply: Vec<String>,
}

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredFile {
    /// What it holds, in order.
    pub pieces: Vec<Piece>,
    /// Its mode bits, as `0o644`.
    pub mode: u32,
    /// Whose it is: a user of the guest, and that user's group.
    pub owner: String,
    /// A command for the guest's shell that fails where `"$1"` is no such file; `None`: all are.
    #[serde(default)]
    pub check: Option<String>,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// As it is.
    Text(String),
    /// The bytes of a key, which come beside the order and are never written down with it.
    Key(KeyId),
}

impl Configuration {
    /// The keys that its files hold.
    pub fn keys(&self) -> BTreeSet<KeyId> {
        let pieces = self.files.values().flat_map(|file| &file.pieces);
        let keys = pieces.filter_map(|piece| match piece {
            Piece::Key(key) => Some(*key),
            Piece::Text(_) => None,
        });
        keys.collect()
    }
}
