//! Keys as they travel beside an order: never shown, never written down, wiped when dropped.

use model::id::KeyId;
use secrecy::{ExposeSecret, SecretSlice};
use std::collections::BTreeMap;

/// The keys that one order needs, by id.
#[derive(Debug, Default, Clone)]
pub struct Keys(BTreeMap<KeyId, SecretSlice<u8>>);

impl Keys {
    /// Takes a key; a key of the same id is replaced.
    pub fn insert(&mut self, id: KeyId, bytes: Vec<u8>) {
        self.0.insert(id, SecretSlice::from(bytes));
    }

    /// Takes all keys of another set.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The bytes of a key, for the one who hands it to a hypervisor; `None`: it was not sent.
    pub fn bytes(&self, id: KeyId) -> Option<&[u8]> {
        self.0.get(&id).map(ExposeSecret::expose_secret)
    }

    /// Which keys are here.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.keys().copied()
    }
}
