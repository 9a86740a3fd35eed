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
    let mut length = Length(0);
    serde_json::to_writer(&mut length, message)?;
    let length = length.0;
    let Some(short) = u32::try_from(length).ok().filter(|l| *l <= MOST_BYTES) else {
        return Err(too_long(length));
    };
    // Messages may carry keys. Made in full length at once: a vector that grows leaves copies behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(length + 4));
    frame.extend_from_slice(&short.to_be_bytes());
    serde_json::to_writer(&mut *frame, message)?;
    to.write_all(&frame)?;
    to.flush()
}

/// Receives one message; `None`: the other end has closed between two.
///
/// # Errors
/// Where it breaks off within a message, is too long, or is no such message.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    loop {
        match from.read(&mut length[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            // As after a process was suspended.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length);
    if length > MOST_BYTES {
        return Err(too_long(length as usize));
    }
    // Zeros that nobody has written to take no memory, however much was announced.
    let mut json = Zeroizing::new(vec![0; length as usize]);
    from.read_exact(&mut json)?;
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

fn too_long(bytes: usize) -> io::Error {
    let told = format!("a message of {bytes} bytes, at most {MOST_BYTES} are allowed");
    io::Error::new(ErrorKind::InvalidData, told)
}

/// Counts bytes and keeps none.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
