//! Keys as they travel beside an order: never shown, never written down, wiped when dropped.

use model::id::KeyId;
use secrecy::{ExposeSecret, SecretSlice};
use std::collections::BTreeMap;

/// The keys that one order needs, by id.
#[derive(Debug, Default, Clone)]
pub struct Keys(BTreeMap<KeyId, Key>);

#[derive(Debug, Clone)]
struct Key {
    bytes: SecretSlice<u8>,
    digits: SecretSlice<u8>,
}

impl Keys {
    /// Takes a key; a key of the same id is replaced.
    pub fn insert(&mut self, id: KeyId, bytes: Vec<u8>) {
        // Made as large as it gets: what grows leaves its former self behind.
        let mut digits = Vec::with_capacity(2 * bytes.len());
        for byte in &bytes {
            digits.extend(
                [byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
            );
        }
        let (bytes, digits) = (SecretSlice::from(bytes), SecretSlice::from(digits));
        self.0.insert(id, Key { bytes, digits });
    }

    /// Takes all keys of another set.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The bytes of a key, for the one who hands it to a hypervisor; `None`: it was not sent.
    pub fn bytes(&self, id: KeyId) -> Option<&[u8]> {
        self.0.get(&id).map(|key| key.bytes.expose_secret())
    }

    /// What opens the disks of a key, as their passphrase: its hexadecimal digits in lower case, since
    /// QEMU takes text alone (`qcrypto_secret_lookup_as_utf8`); `None`: it was not sent.
    pub fn passphrase(&self, id: KeyId) -> Option<&[u8]> {
        self.0.get(&id).map(|key| key.digits.expose_secret())
    }

    /// Which keys are here.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.keys().copied()
    }
}
