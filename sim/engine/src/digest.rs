//! One number for a whole history, to compare runs by.

/// FNV-1a of 64 bits over what was added, in order.
///
/// Source: Fowler, Noll, Vo, Eastlake, "The FNV Non-Cryptographic Hash Algorithm",
/// draft-eastlake-fnv. Chosen because anyone can recompute it from a log in three lines; it tells
/// runs apart, and is no defence against somebody who wants two runs to look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Nothing added yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds a word, its lowest byte first.
    #[inline]
    pub fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    /// The number.
    pub fn value(self) -> u64 {
        self.0
    }
}
