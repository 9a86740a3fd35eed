//! The words by which two nodes hand a VM over ([`agent::handover`]), and how they are said.
//!
//! ```text
//!        ┌─ SHA-256 ─▶ run      the sender has it, the receiver its digest
//!  key ──┼─ SHA-256 ─▶ taken    the receiver has it, the sender its digest
//!        └─ SHA-256 ─▶ dropped  the receiver has it, the sender its digest
//! ```
//! A word goes over the network as it is, once it has become true and can never become false:
//! whoever overhears it can do no more than say it again. The key cannot be told from it.

use crate::wait::pause;
use agent::driver::DriverError;
use agent::watch::Watch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How often one that waits for the other end looks whether it is called off.
const BEAT: Duration = Duration::from_millis(50);

/// Longer than a line of either side can be.
const LINE_BYTES: usize = 512;

/// A node answers within this, unless it or the way to it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// All that is ever said of one move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The receiver may run it.
    pub run: String,
    /// The receiver has taken it.
    pub taken: String,
    /// The receiver has dropped it.
    pub dropped: String,
}

/// What the sender says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Asked {
    /// That the receiver may run it.
    Word {
        /// The word.
        run: String,
    },
    /// That a disk follows, by NBD over TLS.
    Disk {
        /// The digest of the word by which its VM comes.
        digest: String,
        /// The disk's name.
        disk: String,
    },
}

/// What the receiver answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The VM is its own.
    Taken {
        /// The word for it.
        word: String,
        /// For how long the VM had been running by then, in microseconds; `None`: nobody saw.
        running_micros: Option<u64>,
    },
    /// It never ran there and never will.
    Dropped {
        /// The word for it.
        word: String,
    },
    /// The disk may follow.
    Open,
    /// None of these.
    Refused {
        /// Why.
        why: String,
    },
}

/// What the receiver has said for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It has taken the VM.
    Taken {
        /// As [`Answer::Taken`] has it.
        running_micros: Option<u64>,
    },
    /// It has dropped the VM.
    Dropped,
}

/// What the sender must know to say the word, also after its key is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saying {
    /// The word; a secret no longer, as it is kept only once it is true.
    pub run: String,
    /// The digest of the word for a VM that was taken.
    pub taken_digest: String,
    /// The digest of the word for a VM that was dropped.
    pub dropped_digest: String,
}

impl Words {
    /// Those of a key.
    pub fn of(key: &[u8]) -> Self {
        let word = |purpose: &str| {
            let bytes = Sha256::new().chain_update("gridwright ");
            let bytes = bytes.chain_update(purpose).chain_update(b"\n");
            hex(&bytes.chain_update(key).finalize())
        };
        Self {
            run: word("run"),
            taken: word("taken"),
            dropped: word("dropped"),
        }
    }

    /// What the sender keeps of them.
    pub fn saying(&self) -> Saying {
        Saying {
            run: self.run.clone(),
            taken_digest: digest(&self.taken),
            dropped_digest: digest(&self.dropped),
        }
    }
}

/// What the other end knows a word by.
pub fn digest(word: &str) -> String {
    hex(&Sha256::digest(word))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What came of listening for a while.
pub enum Heard<T> {
    /// A line.
    Line(T),
    /// Nothing yet.
    Nothing,
    /// The other end has hung up.
    HungUp,
}

/// Reads lines of JSON from a stream whose reads time out.
pub struct Lines<'a> {
    stream: &'a TcpStream,
    unread: Vec<u8>,
    /// Bytes that are read at a time.
    portion: usize,
}

impl<'a> Lines<'a> {
    /// From here on.
    pub fn of(stream: &'a TcpStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            portion: LINE_BYTES,
        }
    }

    /// Reads nothing beyond a line, as behind it comes something else.
    fn alone(stream: &'a TcpStream) -> Self {
        Self {
            portion: 1,
            ..Self::of(stream)
        }
    }

    /// The next line, if it comes in time.
    ///
    /// # Errors
    /// Where the connection breaks, or a line is too long or not what it should be.
    pub fn read<T: serde::de::DeserializeOwned>(&mut self) -> std::io::Result<Heard<T>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Heard::Line(serde_json::from_slice(&line)?));
            }
            if self.unread.len() > LINE_BYTES {
                return Err(std::io::Error::from(ErrorKind::InvalidData));
            }
            let mut bytes = [0; LINE_BYTES];
            match self.stream.read(&mut bytes[..self.portion]) {
                Ok(0) => return Ok(Heard::HungUp),
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(Heard::Nothing),
                    ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Writes one line of JSON.
pub fn tell(mut stream: &TcpStream, value: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    stream.write_all(&text)
}

/// What came of announcing a disk.
pub enum Announced {
    /// Its bytes go both ways from here on.
    Open(TcpStream),
    /// It never will be let in, for this reason.
    Refused(String),
}

/// The way to a receiver, open before it is needed: meanwhile a guest stands still.
pub struct Line(TcpStream);

impl Line {
    /// Connects to where a receiver listens for the word.
    ///
    /// # Errors
    /// Where nobody listens there.
    pub fn open(address: &str) -> Result<Self, DriverError> {
        let found = address.to_socket_addrs().map(|mut all| all.next());
        let opened = found.and_then(|to| {
            let to = to.ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))?;
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(BEAT))?;
            Ok(Self(stream))
        });
        opened.map_err(|error| broke(address, &error.to_string()))
    }

    /// As [`Self::open`], as soon as somebody listens there: an agent that dies is followed by another.
    ///
    /// # Errors
    /// Where nobody does within the patience, or the watch calls off.
    pub fn reach(
        address: &str,
        patience: Duration,
        watch: &dyn Watch,
    ) -> Result<Self, DriverError> {
        let begun = Instant::now();
        loop {
            match Self::open(address) {
                Err(_) if begun.elapsed() < patience => {}
                end => return end,
            }
            pause("reach the other node", BEAT, watch)?;
        }
    }

    /// Announces a disk, and waits until it is let in.
    ///
    /// # Errors
    /// Where the connection breaks, or it is over before.
    pub fn announce(
        self,
        digest: &str,
        disk: &str,
        over: &dyn Fn() -> bool,
    ) -> std::io::Result<Announced> {
        let (digest, disk) = (digest.to_owned(), disk.to_owned());
        tell(&self.0, &Asked::Disk { digest, disk })?;
        let mut lines = Lines::alone(&self.0);
        while !over() {
            match lines.read()? {
                Heard::Nothing => {}
                Heard::Line(Answer::Open) => return Ok(Announced::Open(self.0)),
                Heard::Line(Answer::Refused { why }) => return Ok(Announced::Refused(why)),
                Heard::Line(_) => return Err(ErrorKind::InvalidData.into()),
                Heard::HungUp => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        Err(ErrorKind::Interrupted.into())
    }

    /// Says the word, and waits for the answer.
    ///
    /// # Errors
    /// Where there is none, it lacks its own word, or the receiver refuses.
    pub fn say(&self, saying: &Saying, watch: &dyn Watch) -> Result<Said, DriverError> {
        let peer = self.0.peer_addr();
        let address = peer.map_or_else(|error| error.to_string(), |peer| peer.to_string());
        let failed = |error: std::io::Error| broke(&address, &error.to_string());
        let run = saying.run.clone();
        tell(&self.0, &Asked::Word { run }).map_err(failed)?;
        let begun = Instant::now();
        let mut lines = Lines::of(&self.0);
        loop {
            match lines.read().map_err(failed)? {
                Heard::Line(Answer::Taken {
                    word,
                    running_micros,
                }) if digest(&word) == saying.taken_digest => {
                    return Ok(Said::Taken { running_micros });
                }
                Heard::Line(Answer::Dropped { word }) if digest(&word) == saying.dropped_digest => {
                    return Ok(Said::Dropped);
                }
                Heard::Line(Answer::Taken { .. } | Answer::Dropped { .. } | Answer::Open) => {
                    return Err(broke(&address, "its answer is not by the key of this move"));
                }
                Heard::Line(Answer::Refused { why }) => return Err(broke(&address, &why)),
                Heard::HungUp => return Err(broke(&address, "it hung up")),
                Heard::Nothing if begun.elapsed() < PATIENCE => {}
                Heard::Nothing => {
                    let patience = PATIENCE.as_secs();
                    return Err(broke(&address, &format!("no answer within {patience} s")));
                }
            }
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("hand the VM over", why))?;
        }
    }
}

/// An error of a move that has left the VM where it was.
pub fn stays(error: DriverError) -> DriverError {
    match error {
        DriverError::Hypervisor { doing, said } => DriverError::Hypervisor {
            doing,
            said: format!("{said}; it stays here; hint: order the move anew, of both nodes"),
        },
        other => other,
    }
}

fn broke(address: &str, said: &str) -> DriverError {
    DriverError::Hypervisor {
        doing: format!("hand the VM over to {address}"),
        said: said.to_owned(),
    }
}
