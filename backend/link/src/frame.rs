//! Framed JSON, the one form of messages to and from an agent: four bytes of length, the most
//! significant first, and that many bytes of JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Read, Write};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// The longest message: a blueprint with some hundred files of configuration. More is an attack or
/// somebody who speaks something else.
pub const MOST_BYTES: u32 = 16 << 20;

/// Sends one message.
///
/// # Errors
/// Where the other end is gone, or the message is too long.
pub fn send<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// The bytes of one message.
///
/// # Errors
/// Where it is too long.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Zeroizing<Vec<u8>>> {
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
    Ok(frame)
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
    let mut json = room(length)?;
    from.read_exact(&mut json)?;
    decode(&json).map(Some)
}

/// As [`receive`], of a stream that is waited for; what was read is lost where it is not waited for to
/// the end.
///
/// # Errors
/// As those of [`receive`].
pub async fn next<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..]).await?;
    let mut json = room(length)?;
    from.read_exact(&mut json).await?;
    decode(&json).map(Some)
}

/// Room for what was announced.
fn room(length: [u8; 4]) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = u32::from_be_bytes(length);
    if length > MOST_BYTES {
        return Err(too_long(length as usize));
    }
    // Zeros that nobody has written to take no memory, however much was announced.
    Ok(Zeroizing::new(vec![0; length as usize]))
}

fn decode<T: DeserializeOwned>(json: &[u8]) -> io::Result<T> {
    serde_json::from_slice(json).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
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
