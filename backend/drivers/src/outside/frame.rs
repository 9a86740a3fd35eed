//! One message on a pipe: a line with its length in bytes, an empty line, and that much JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, Read, Write};
use zeroize::Zeroizing;

/// The longest JSON of one message: the states of some 60,000 VMs in one answer.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// The longest first line: the words and seven digits, with room to tell what else stands there.
const MAX_HEADER_BYTES: u64 = 64;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side ended within a frame.
    #[error("the other side ended within a message")]
    Cut,
    /// Something else stands where a frame begins.
    #[error("found {0:?} where `Content-Length: <bytes>` and an empty line were expected")]
    Header(String),
    /// The frame is longer than [`MAX_FRAME_BYTES`].
    #[error("a message of {0} bytes, more than {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// The JSON is none, or not of a message that is expected.
    #[error("not a message of this protocol: {0}")]
    Json(#[from] serde_json::Error),
    /// The pipe is broken.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads one message; `None`: the other side has ended where a message would begin.
///
/// # Errors
/// Where anything else comes; what follows on the pipe then means nothing.
pub fn read<T: DeserializeOwned>(from: &mut impl BufRead) -> Result<Option<T>, FrameError> {
    let Some(bytes) = read_length(from)? else {
        return Ok(None);
    };
    if bytes > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(bytes));
    }
    // Wiped when dropped, for a request may carry keys.
    let mut json = Zeroizing::new(vec![0; bytes]);
    from.read_exact(&mut json).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            FrameError::Cut
        } else {
            FrameError::Io(error)
        }
    })?;
    Ok(Some(serde_json::from_slice(&json)?))
}

/// A message as the bytes that go over the pipe; wiped when dropped, for it may carry keys.
///
/// # Errors
/// Where it is longer than [`MAX_FRAME_BYTES`].
pub fn encode<T: Serialize>(message: &T) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, message)?;
    if length.0 > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length.0));
    }
    let header = format!("Content-Length: {}\r\n\r\n", length.0);
    // Made in full length at once: a vector that grows would leave copies behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(header.len() + length.0));
    frame.extend_from_slice(header.as_bytes());
    serde_json::to_writer(&mut *frame, message)?;
    Ok(frame)
}

/// Writes one message.
///
/// # Errors
/// Where it is too long, or the other side is gone.
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), FrameError> {
    to.write_all(&encode(message)?)?;
    Ok(to.flush()?)
}

/// Reads the first two lines; `None`: the end.
fn read_length(from: &mut impl BufRead) -> Result<Option<usize>, FrameError> {
    let first = read_line(from)?;
    if first.is_empty() {
        return Ok(None);
    }
    let length = first
        .strip_prefix("Content-Length: ")
        .and_then(|rest| rest.strip_suffix("\r\n"))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| FrameError::Header(first.clone()))?;
    let second = read_line(from)?;
    if second != "\r\n" {
        return Err(FrameError::Header(first + &second));
    }
    Ok(Some(length))
}

/// One line with its end, or what stands where it ought to be.
fn read_line(from: &mut impl BufRead) -> Result<String, FrameError> {
    let mut line = Vec::new();
    from.by_ref()
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
