//! The configuration: which URI, who says so there, and how disks are reached from there.

use crate::door::{Door, is_here};
use agent::driver::DriverError;
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The configuration's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hypervisor, as libvirt names it: `qemu:///system`, `vbox:///session`, `esx://host`.
    pub uri: String,
    /// A file for its owner alone that says who we are there, as libvirt itself reads it
    /// (libvirt.org/auth.html, "Client auth config"); no password passes through this program.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// Whether KVM works there; here it is tried instead.
    #[serde(default)]
    pub kvm: bool,
    /// Folders of this machine as the hypervisor's own sees them; none: it sees the same paths.
    #[serde(default, rename = "share")]
    pub shares: Vec<Share>,
}

/// A folder that the hypervisor's machine sees under another name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The folder here.
    pub here: PathBuf,
    /// What stands there instead of the folder and the slash behind it, as `[store] `.
    pub there: String,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {source}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The hypervisor is none that this driver knows.
    #[error(
        "uri is {0}, expected one of bhyve, esx, hyperv, qemu, test, vbox and vz, and then ://"
    )]
    UnknownUri(String),
    /// The credentials are open to others.
    #[error("{path}: its mode is {mode:o}, expected 600, for its owner alone")]
    Credentials {
        /// Their file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, holds something unknown, or leads nowhere that is known.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Invalid {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.door()?;
        Ok(config)
    }

    /// A configuration of a URI alone.
    pub fn of(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            credentials: None,
            kvm: false,
            shares: Vec::new(),
        }
    }

    /// What stands behind the URI.
    ///
    /// # Errors
    /// Where nothing that this driver knows does.
    pub fn door(&self) -> Result<Door, ConfigError> {
        Door::of(&self.uri).ok_or_else(|| ConfigError::UnknownUri(self.uri.clone()))
    }

    /// Whether the hypervisor runs on this machine.
    pub fn is_here(&self) -> bool {
        is_here(&self.uri)
    }

    /// The URI with the file of credentials, where there is one: libvirt takes it from there.
    ///
    /// # Errors
    /// Where the file is not there, or open to others.
    pub fn uri_to_open(&self) -> Result<String, ConfigError> {
        let Some(path) = &self.credentials else {
            return Ok(self.uri.clone());
        };
        let found = fs::metadata(path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let mode = found.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.clone();
            return Err(ConfigError::Credentials { path, mode });
        }
        let bytes = path.as_os_str().as_encoded_bytes();
        // RFC 3986: whatever might mean something else in a query.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let encoded: String = bytes
            .iter()
            .map(|&byte| match plain(byte) {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            })
            .collect();
        let sign = if self.uri.contains('?') { '&' } else { '?' };
        Ok(format!("{}{sign}authfile={encoded}", self.uri))
    }

    /// A file of this machine by the name that it has for the hypervisor.
    ///
    /// # Errors
    /// [`DriverError::Invalid`] where the name is no text, or the hypervisor sees other folders only.
    pub fn there(&self, field: &str, path: &Path) -> Result<String, DriverError> {
        let invalid = |expected: String| DriverError::Invalid {
            field: field.to_owned(),
            found: path.display().to_string(),
            expected,
        };
        let text = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| invalid("a path in UTF-8".to_owned()))
        };
        if self.shares.is_empty() {
            return text(path);
        }
        for share in &self.shares {
            if let Ok(rest) = path.strip_prefix(&share.here) {
                return Ok(share.there.clone() + &text(rest)?);
            }
        }
        let shares: Vec<_> = self.shares.iter().map(|s| s.here.display()).collect();
        let shares: Vec<String> = shares.iter().map(ToString::to_string).collect();
        Err(invalid(format!("a file below {}", shares.join(" or "))))
    }
}
