//! Framed JSON, the one form of messages on the agent's sockets: four bytes of length, the most
//! significant first, and that many bytes of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Read, Write};
use zeroize::Zeroizing;

/// The longest message: a blueprint with some hundred files of configuration. More is an attack or
/// somebody who speaks something else.
pub const MOST_BYTES: u32 = 16 << 20;

/// Sends one message.
///
/// # Errors
/// Where the other end is gone, or the message is too long.
pub fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    // Messages may carry keys.
    let json = Zeroizing::new(serde_json::to_vec(message)?);
    let length = u32::try_from(json.len()).ok();
    let Some(length) = length.filter(|length| *length <= MOST_BYTES) else {
        let bytes = json.len();
        let told = format!("a message of {bytes} bytes, at most {MOST_BYTES} are allowed");
        return Err(io::Error::new(ErrorKind::InvalidData, told));
    };
    let mut frame = Zeroizing::new(Vec::with_capacity(json.len() + 4));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&json);
    to.write_all(&frame)?;
    to.flush()
}

/// Receives one message; `None`: the other end has closed between two.
///
/// # Errors
/// Where it breaks off within a message, is too long, or is no such message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..])?,
    }
    let length = u32::from_be_bytes(length);
    if length > MOST_BYTES {
        let told = format!("a message of {length} bytes, at most {MOST_BYTES} are allowed");
        return Err(io::Error::new(ErrorKind::InvalidData, told));
    }
    let mut json = Zeroizing::new(vec![0; length as usize]);
    from.read_exact(&mut json)?;
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}
