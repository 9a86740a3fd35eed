//! Who belongs to a grid: what a peer keeps of its controller once it has joined, and the controller of
//! its peers.

use crate::identity::Fingerprint;
use model::time::Time;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Where a peer's controller is, and who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// `HOST:PORT`.
    pub address: String,
    /// The controller's.
    pub controller: Fingerprint,
}

impl Membership {
    /// The name of its file in the peer's folder.
    pub const FILE: &str = "controller.toml";

    /// Reads the one in a folder; `None`: nobody has joined from there.
    ///
    /// # Errors
    /// Where it cannot be read, or is none.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let file = folder.join(Self::FILE);
        let told = |kind, why: String| io::Error::new(kind, format!("{}: {why}", file.display()));
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error.kind(), error.to_string())),
        };
        let read = toml::from_str(&text);
        let read = read.map_err(|error| told(ErrorKind::InvalidData, error.to_string()))?;
        Ok(Some(read))
    }

    /// As its file holds it.
    pub fn written(&self) -> String {
        toml::to_string(self).expect("two texts can be written")
    }
}

/// What a peer is to its controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", content = "name", rename_all = "kebab-case")]
pub enum Role {
    /// The agent of a node, by the node's name in the grid.
    Node(String),
    /// Somebody who may ask for anything, by a name.
    Admin(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name}"),
            Self::Admin(name) => write!(f, "admin {name}"),
        }
    }
}

/// A peer, as its controller knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who it is.
    pub fingerprint: Fingerprint,
    /// What it is.
    #[serde(flatten)]
    pub role: Role,
    /// Since when, by the controller's clock.
    pub since: Time,
}
