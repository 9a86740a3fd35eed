//! The management console of a User-mode Linux kernel: one datagram asks, one or more answer.
//!
//! Requests and answers are those of `arch/um/drivers/mconsole.h` in Linux: three native words
//! (magic and version, or error and more; then a length) and at most 512 bytes of text.

use agent::driver::DriverError;
use agent::watch::Watch;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MAGIC: u32 = 0xcafe_babe;
const VERSION: u32 = 2;
const HEADER: usize = 12;
const MAX_DATA: usize = 512;

/// The kernel answers within milliseconds, unless the node is so loaded that it does not run.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Asks the kernel behind `socket` and returns what it said.
///
/// # Errors
/// Where nobody answers, the kernel refuses, or the watch calls off.
pub fn ask(socket: &Path, command: &str, watch: &dyn Watch) -> Result<String, DriverError> {
    let failed = |said: String| DriverError::Hypervisor {
        doing: format!("mconsole {command}"),
        said,
    };
    let near = connect(socket).map_err(|error| failed(error.to_string()))?;
    near.send(&request(command))
        .map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + ANSWER_LIMIT;
    let mut text = String::new();
    let mut answer = [0; HEADER + MAX_DATA];
    loop {
        let read = match near.recv(&mut answer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                watch
                    .checkpoint()
                    .map_err(|why| DriverError::called_off(&format!("mconsole {command}"), why))?;
                if Instant::now() > deadline {
                    return Err(failed(format!("no answer within {ANSWER_LIMIT:?}")));
                }
                continue;
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let part = Part::parse(&answer[..read]).ok_or_else(|| failed("a torn answer".into()))?;
        text.push_str(&part.text);
        match (part.refused, part.more) {
            (true, _) => return Err(failed(text)),
            (false, true) => {}
            (false, false) => return Ok(text),
        }
    }
}

/// A socket that the kernel can answer to. Its name is abstract, so that no file outlives a killed
/// driver, and it is connected, so that nobody else's datagrams come in.
fn connect(socket: &Path) -> io::Result<UnixDatagram> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gridwright-mconsole-{}-{number}", process::id());
    let near = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    near.connect(socket)?;
    near.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(near)
}

fn request(command: &str) -> Vec<u8> {
    let length = command.len().min(MAX_DATA);
    let mut bytes = Vec::with_capacity(HEADER + MAX_DATA);
    for word in [MAGIC, VERSION, length as u32] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.extend_from_slice(&command.as_bytes()[..length]);
    bytes.resize(HEADER + MAX_DATA, 0);
    bytes
}

/// One datagram of an answer.
struct Part {
    refused: bool,
    more: bool,
    text: String,
}

impl Part {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let four = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_ne_bytes(four))
        };
        let (error, more, length) = (word(0)?, word(4)?, word(8)? as usize);
        let text = bytes.get(HEADER..HEADER + length)?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Self {
            refused: error != 0,
            more: more != 0,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }
}
