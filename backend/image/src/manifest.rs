//! What an image is and how large it may become, signed by whoever made it.

use crate::archive::Bounds;
use crate::error::{At, Error};
use crate::replicate::partial;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use model::hypervisor::{Arch, Guest, words};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

words! {
    /// What the stream of an image holds.
    Content {
        /// The files of a whole guest.
        System,
        /// Files to be put over those of a system.
        Application,
        /// The data of a whole raw disk: one entry an extent, named by its first byte in hex.
        Disk,
    }

    /// How the stream of an image is compressed.
    Compression {
        /// Zstandard.
        Zstd,
        /// XZ.
        Xz,
        /// Not at all.
        None,
    }
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What people call it, as `debian`.
    pub name: String,
    /// Which of that name.
    pub version: String,
    /// Instruction set of its programs.
    pub arch: Arch,
    /// Its operating system.
    pub guest: Guest,
    /// What its stream holds.
    pub content: Content,
    /// Applications that it has, as `nginx`.
    #[serde(default)]
    pub applications: Vec<String>,
    /// How its stream is compressed.
    pub compression: Compression,
    /// SHA-256 of the stream as it is stored, in hex.
    pub stream: String,
    /// Size of the stream as it is stored, in bytes.
    pub stream_bytes: u64,
    /// The most that the stream unpacks to.
    pub bounds: Bounds,
    /// For [`Content::Disk`]: size of the disk in bytes.
    #[serde(default)]
    pub disk_bytes: u64,
    /// Files that are filled with parameters.
    #[serde(default)]
    pub templates: Vec<Template>,
    /// Values of the parameters that nobody set.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Whether cloud-init runs in it and looks for a NoCloud seed.
    #[serde(default)]
    pub cloud_init: bool,
}

/// A file of an image whose text has `{{name}}` where a parameter goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its absolute path.
    pub path: String,
    /// Its mode bits.
    pub mode: u32,
    /// Its text.
    pub text: String,
}

impl Template {
    /// The text with every parameter in its place.
    ///
    /// # Errors
    /// Where a parameter has no value.
    pub fn fill(&self, parameters: &BTreeMap<String, String>) -> Result<String, Error> {
        let mut filled = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let unclosed = || Error::refused(&self.path, "a {{ without its }}");
            let (name, after) = after.split_once("}}").ok_or_else(unclosed)?;
            let value = parameters.get(name.trim()).ok_or_else(|| {
                Error::refused(
                    &self.path,
                    format!("parameter {} has no value", name.trim()),
                )
            })?;
            filled += before;
            filled += value;
            rest = after;
        }
        Ok(filled + rest)
    }
}

/// A manifest as it is stored and sent: its bytes, and who vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The manifest in TOML.
    pub text: String,
    /// Ed25519 over the text, in hex.
    pub signature: String,
}

impl Signed {
    /// Signs a manifest.
    ///
    /// # Panics
    /// Never: every manifest can be written as TOML.
    pub fn new(manifest: &Manifest, key: &SigningKey) -> Self {
        let text = toml::to_string(manifest).expect("a manifest has plain fields only");
        let signature = hex(&key.sign(text.as_bytes()).to_bytes());
        Self { text, signature }
    }

    /// The image's id: SHA-256 of the text, in hex.
    pub fn id(&self) -> String {
        digest(self.text.as_bytes())
    }

    /// The manifest, if it has the id asked for and somebody trusted has signed it.
    ///
    /// # Errors
    /// Where it has another id, no good signature, or does not read.
    pub fn open(&self, id: &str, trusted: &[VerifyingKey]) -> Result<Manifest, Error> {
        let refused = |why: &str| Error::refused(format!("image {id}"), why);
        if self.id() != id {
            return Err(refused("its manifest has another digest"));
        }
        let signature =
            bytes_of(self.signature.trim()).ok_or_else(|| refused("its signature is no hex"))?;
        let signature =
            Signature::from_slice(&signature).map_err(|_| refused("its signature is cut"))?;
        let good = |key: &VerifyingKey| key.verify(self.text.as_bytes(), &signature).is_ok();
        if !trusted.iter().any(good) {
            return Err(refused("nobody trusted has signed it"));
        }
        toml::from_str(&self.text).map_err(|error| refused(error.message()))
    }
}

/// The public key of somebody who signs images, from its 32 bytes in hex.
///
/// # Errors
/// Where it is none.
pub fn signer(hex: &str) -> Result<VerifyingKey, Error> {
    let key = bytes_of(hex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.ok_or_else(|| {
        let why = "it is no Ed25519 key; expected 64 digits of hex";
        Error::refused(format!("signer {hex}"), why)
    })
}

/// The key that a file holds, to sign with; made where there is no such file, for its owner alone.
///
/// # Errors
/// Where it cannot be read or made, or is no key.
pub fn signing_key(path: &Path) -> Result<SigningKey, Error> {
    if !path.try_exists().at(path)? {
        let mut seed = Zeroizing::new([0; 32]);
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut *seed))
            .at(path)?;
        let part = partial(path);
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&part).and_then(|mut file| {
            file.write_all(&*seed)?;
            file.sync_all()
        });
        written.at(&part)?;
        std::fs::rename(&part, path).at(path)?;
    }
    let seed = Zeroizing::new(std::fs::read(path).at(path)?);
    match <&[u8; 32]>::try_from(seed.as_slice()) {
        Ok(seed) => Ok(SigningKey::from_bytes(seed)),
        Err(_) => {
            let why = format!("{} bytes, expected a key of 32", seed.len());
            Err(Error::refused(path.display().to_string(), why))
        }
    }
}

/// SHA-256 in hex.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether this is a SHA-256 in hex, and so a plain file name.
pub fn is_digest(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == 64 && text.chars().all(lower)
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
        .collect()
}
