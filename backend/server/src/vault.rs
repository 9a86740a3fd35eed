//! The keys of VMs: made when they are first needed, and kept encrypted beside the key that opens them,
//! which is in a file of its own, so that neither a copy of the database nor a backup of it tells any.

use crate::store::{Store, StoreError};
use control::outfitting::is_password;
use link::identity::write_private;
use link::protocol::HexKey;
use model::id::KeyId;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use zeroize::Zeroizing;

/// The length of every key, in bytes.
const KEY_BYTES: usize = 32;

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file of the key that opens the others.
    #[error("the key of keys: {0}")]
    Io(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
    /// It was sealed by another key, or is damaged.
    #[error("{0} does not open; hint: the file keys.key is not the one with which it was sealed")]
    Sealed(KeyId),
}

/// Seals and opens keys.
pub struct Vault {
    key: LessSafeKey,
    chance: SystemRandom,
}

impl Vault {
    /// The one in a folder, made where it is not there.
    ///
    /// # Errors
    /// Where its key cannot be read or made.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        let chance = SystemRandom::new();
        let file = folder.join("keys.key");
        let bytes = match fs::read(&file) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let bytes = random(&chance)?;
                write_private(&file, &bytes)?;
                bytes
            }
            Err(error) => return Err(error.into()),
        };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| {
            let why = format!(
                "{} has {} bytes, expected {KEY_BYTES}",
                file.display(),
                bytes.len()
            );
            io::Error::new(ErrorKind::InvalidData, why)
        })?;
        Ok(Self {
            key: LessSafeKey::new(key),
            chance,
        })
    }

    /// Keys by their ids; those that nobody has asked for are made, and are on disk then.
    ///
    /// # Errors
    /// Where one cannot be opened or kept.
    pub fn keys(
        &self,
        store: &Store,
        ids: &BTreeSet<KeyId>,
    ) -> Result<Vec<(KeyId, HexKey)>, VaultError> {
        let keys = ids.iter().map(|id| {
            let key = match store.key(*id)? {
                Some(sealed) => self.unseal(*id, sealed)?,
                None => {
                    let mut key = random(&self.chance)?;
                    if is_password(*id) {
                        key = in_words(&key);
                    }
                    store.keep_key(*id, &self.seal(*id, &key)?)?;
                    key
                }
            };
            Ok((*id, HexKey::new(&key)))
        });
        keys.collect()
    }

    /// Nonce, then what is sealed, its tag last. The id is sealed with it, so that no row passes for
    /// another one.
    fn seal(&self, id: KeyId, key: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        let filled = self.chance.fill(&mut nonce);
        filled.map_err(|_| VaultError::NoChance)?;
        let mut sealed = Zeroizing::new(key.to_vec());
        let with = Aad::from(id.0.to_be_bytes());
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            with,
            &mut sealed,
        );
        let tag = tag.map_err(|_| VaultError::Sealed(id))?;
        Ok([&nonce[..], &sealed, tag.as_ref()].concat())
    }

    fn unseal(&self, id: KeyId, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let mut sealed = Zeroizing::new(sealed);
        let (nonce, rest) = sealed
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(VaultError::Sealed(id))?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(id.0.to_be_bytes()), rest);
        let opened = opened.map_err(|_| VaultError::Sealed(id))?;
        Ok(Zeroizing::new(opened.to_vec()))
    }
}

/// What a file of text may hold: as many bits as a key's first half, in hexadecimal.
fn in_words(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half & 0xf)];
    let bytes = key[..KEY_BYTES / 2].iter();
    Zeroizing::new(
        bytes
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect(),
    )
}

fn random(chance: &SystemRandom) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
    chance.fill(&mut bytes).map_err(|_| VaultError::NoChance)?;
    Ok(bytes)
}
