//! A key, its certificate, and what it is known by.

use ring::digest::{SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The file of an identity in its owner's folder.
const FILE: &str = "identity.pem";

/// A key and its certificate, which is of this key alone.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The identity in a folder, made with the folder where it is not there; nobody but its owner can
    /// read it.
    ///
    /// # Errors
    /// Where it cannot be read or made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let file = folder.join(FILE);
        let pem = match fs::read(&file) {
            Ok(pem) => Zeroizing::new(pem),
            Err(error) if error.kind() == ErrorKind::NotFound => make(folder)?,
            Err(error) => return Err(told(&file, error)),
        };
        let faulty = |what: &str| {
            let why = format!("it holds no {what}; hint: move it away, and join anew");
            told(&file, io::Error::new(ErrorKind::InvalidData, why))
        };
        Ok(Self {
            certificate: CertificateDer::from_pem_slice(&pem).map_err(|_| faulty("certificate"))?,
            key: PrivateKeyDer::from_pem_slice(&pem).map_err(|_| faulty("key"))?,
        })
    }

    /// What it is known by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// Makes an identity, or reads the one that another process has just made; the file appears whole or not
/// at all.
fn make(folder: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(folder)
        .map_err(|error| told(folder, error))?;
    let turn = folder.join("identity.lock");
    let lock = OpenOptions::new().create(true).append(true).open(&turn);
    lock.and_then(|lock| lock.lock().map(|()| lock))
        .and_then(|_held| make_in_turn(folder))
        .map_err(|error| told(&turn, error))
}

fn make_in_turn(folder: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    match fs::read(folder.join(FILE)) {
        Ok(pem) => return Ok(Zeroizing::new(pem)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = rcgen::KeyPair::generate().map_err(io::Error::other)?;
    let subject = vec!["gridwright".to_owned()];
    let parameters = rcgen::CertificateParams::new(subject).map_err(io::Error::other)?;
    let certificate = parameters.self_signed(&key).map_err(io::Error::other)?;
    let secret = Zeroizing::new(key.serialize_pem());
    let pem = Zeroizing::new([certificate.pem().as_bytes(), secret.as_bytes()].concat());
    write_private(&folder.join(FILE), &pem)?;
    Ok(pem)
}

/// Writes a file that its owner alone can read: whole or not at all, and durably.
///
/// # Errors
/// Where it cannot.
pub fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut to = options.open(&new)?;
        to.write_all(bytes)?;
        to.sync_all()?;
        fs::rename(&new, file)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| told(file, error))
}

fn told(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// SHA-256 of a certificate: who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = digest(&SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NoFingerprint;

    fn try_from(text: String) -> Result<Self, NoFingerprint> {
        text.parse()
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let mut bytes = [0; 32];
        let read = hex::decode_to_slice(text, &mut bytes);
        read.map_err(|_| NoFingerprint(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint, expected 64 hexadecimal digits")]
pub struct NoFingerprint(pub String);
