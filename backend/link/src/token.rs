//! What lets somebody in once.

use crate::identity::Fingerprint;
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroize;

/// Lets one peer join: it says whom to trust, and that one is to be trusted. Written as
/// `FINGERPRINT.SECRET`, both in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The controller's.
    pub controller: Fingerprint,
    /// What only the controller and whom it gave it to know.
    pub secret: Secret,
}

/// Sixteen random bytes, wiped when dropped and never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new() -> Result<Self, NoChance> {
        let mut secret = Self([0; 16]);
        SystemRandom::new()
            .fill(&mut secret.0)
            .map_err(|_| NoChance)?;
        Ok(secret)
    }

    /// What a controller keeps of it: SHA-256, in hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(ring::digest::digest(&ring::digest::SHA256, &self.0))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoChance;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.controller, hex::encode(self.secret.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}.…)", self.controller)
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let (controller, secret) = text.trim().split_once('.').ok_or(NoToken)?;
        let mut bytes = Secret([0; 16]);
        hex::decode_to_slice(secret, &mut bytes.0).map_err(|_| NoToken)?;
        Ok(Self {
            controller: controller.parse().map_err(|_| NoToken)?,
            secret: bytes,
        })
    }
}

/// A text that is no token; it is not told, as it may be one with a slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no token, expected 64 hexadecimal digits, a full stop and 32 more; hint: copy the whole \
     line that `gridwright-controller token` printed"
)]
pub struct NoToken;
