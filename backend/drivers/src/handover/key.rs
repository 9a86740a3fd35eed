//! The key of a move as QEMU's programs take it: on no disk, in no argument.

use super::word::hex;
use agent::driver::DriverError;
use model::id::KeyId;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use zeroize::Zeroizing;

/// TLS wants a name with a key; both ends have the same.
pub const USER: &str = "gridwright";

/// What QEMU calls the file of such keys, in a folder of its own.
pub const CREDENTIALS_FILE: &str = "keys.psk";

/// The fewest bytes of a key that nobody guesses.
const KEY_BYTES: usize = 32;

/// What [`CREDENTIALS_FILE`] holds, in memory.
///
/// # Errors
/// Where the key is too short, or as [`in_memory`].
pub fn credentials(id: KeyId, key: &[u8]) -> Result<File, DriverError> {
    in_memory(id, text(id, key)?.as_bytes())
}

/// What [`CREDENTIALS_FILE`] holds.
///
/// # Errors
/// Where the key is too short.
pub fn text(id: KeyId, key: &[u8]) -> Result<Zeroizing<String>, DriverError> {
    if key.len() < KEY_BYTES {
        return Err(DriverError::Invalid {
            field: id.to_string(),
            found: format!("{} bytes long", key.len()),
            expected: format!("at least {KEY_BYTES} random bytes"),
        });
    }
    Ok(Zeroizing::new(format!("{USER}:{}\n", hex(key))))
}

/// A file in memory that holds a key and is gone once nobody has it open.
///
/// # Errors
/// Where the node has no more files or memory.
pub fn in_memory(id: KeyId, bytes: &[u8]) -> Result<File, DriverError> {
    let made = memfd_create("key", MemfdFlags::CLOEXEC)
        .map_err(std::io::Error::from)
        .and_then(|fd| {
            let mut file = File::from(fd);
            file.write_all(bytes)?;
            Ok(file)
        });
    made.map_err(|error| DriverError::Hypervisor {
        doing: format!("hand over {id}"),
        said: error.to_string(),
    })
}
