//! A client of QEMU's machine protocol: one JSON object a line, over a unix socket.

use agent::driver::DriverError;
use agent::watch::Watch;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};
use serde_json::{Value, json};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// QEMU answers within microseconds, and within seconds on a node that swaps; beyond this it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A wait wakes this often to ask its watch whether to go on.
pub(super) const BEAT: Duration = Duration::from_millis(50);

/// A connection that finds no room is tried again this often.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The longest answer: all that a guest's agent keeps of a command's output (16 MiB, twice, in
/// base64), which a hostile one could go on with for ever.
const LONGEST_BYTES: usize = 64 << 20;

/// One connection. QEMU serves one client a socket, so it is held no longer than an act takes.
pub(super) struct Qmp {
    stream: UnixStream,
    unread: Vec<u8>,
    /// Bytes of these that hold no end of a line.
    searched: usize,
    /// When the guest was last seen to stand still, in microseconds since 1970.
    still_since_micros: Option<u64>,
    /// Events that were told before the last answer: what they tell, it may not know yet.
    passed: Vec<Value>,
}

impl Qmp {
    /// Connects and agrees on the protocol.
    ///
    /// # Errors
    /// Where nobody listens there, or QEMU does not greet in time.
    pub(super) fn connect(socket: &Path, watch: &dyn Watch) -> Result<Self, DriverError> {
        let mut qmp = Self::open(socket, watch)?;
        qmp.object("greet QEMU", Instant::now() + PATIENCE, watch)?;
        qmp.execute("qmp_capabilities", None, watch)?;
        Ok(qmp)
    }

    /// Connects to one who does not greet. One that hangs has no room for whoever comes, and is waited
    /// for as long as for an answer.
    ///
    /// # Errors
    /// Where nobody listens there, nobody is let in, or the wait was called off.
    pub(super) fn open(socket: &Path, watch: &dyn Watch) -> Result<Self, DriverError> {
        let doing = || format!("connect to {}", socket.display());
        let failed = |errno: Errno| broke(doing(), errno.into());
        let address = SocketAddrUnix::new(socket).map_err(failed)?;
        let begun = Instant::now();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let made = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let made = made.map_err(failed)?;
        loop {
            match connect(&made, &address) {
                Ok(()) => break,
                Err(Errno::AGAIN | Errno::INTR) if begun.elapsed() < PATIENCE => {}
                Err(errno) => return Err(failed(errno)),
            }
            checkpoint(watch, &doing())?;
            std::thread::sleep(TRY_AGAIN);
        }
        Self::over(made.into()).map_err(|error| broke(doing(), error))
    }

    fn over(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(BEAT))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
            searched: 0,
            still_since_micros: None,
            passed: Vec::new(),
        })
    }

    /// Sends a command and gives back its answer.
    ///
    /// # Errors
    /// What QEMU said where it refused; that it ended, hung, or was called off.
    pub(super) fn execute(
        &mut self,
        command: &str,
        arguments: Option<&Value>,
        watch: &dyn Watch,
    ) -> Result<Value, DriverError> {
        let mut line = command_text(command, arguments);
        line.push('\n');
        self.ask(command, line.as_bytes(), watch)
    }

    /// Sends a whole line, which is a command, and gives back its answer.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub(super) fn ask(
        &mut self,
        command: &str,
        line: &[u8],
        watch: &dyn Watch,
    ) -> Result<Value, DriverError> {
        self.send(command, line, watch)?;
        self.answer(command, watch)
    }

    /// Sends bytes, whether or not anybody hears them.
    ///
    /// # Errors
    /// Where QEMU has ended, takes nothing for long, or the wait was called off.
    pub(super) fn send(
        &mut self,
        command: &str,
        bytes: &[u8],
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let begun = Instant::now();
        let mut left = bytes;
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if is_pause(&error) && begun.elapsed() < PATIENCE => {}
                Err(error) => return Err(broke(command.to_owned(), error)),
            }
            checkpoint(watch, command)?;
        }
        Ok(())
    }

    /// Whether this number is answered in time; whatever else is heard before it is let go.
    ///
    /// # Errors
    /// That QEMU ended, or that the wait was called off.
    pub(super) fn hears(
        &mut self,
        number: u64,
        limit: Duration,
        watch: &dyn Watch,
    ) -> Result<bool, DriverError> {
        let until = Instant::now() + limit;
        while let Some(line) = self.line("wait for the guest", until, watch)? {
            let answer: Option<Value> = serde_json::from_slice(&line).ok();
            if answer.is_some_and(|answer| answer["return"] == number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As [`Self::execute`], of a command that takes an open file.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub(super) fn give_file(
        &mut self,
        command: &str,
        arguments: &Value,
        file: &impl AsFd,
        watch: &dyn Watch,
    ) -> Result<Value, DriverError> {
        let mut line = command_text(command, Some(arguments));
        line.push('\n');
        let files = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(SendAncillaryMessage::ScmRights(&files));
        sendmsg(
            &self.stream,
            &[IoSlice::new(line.as_bytes())],
            &mut beside,
            SendFlags::empty(),
        )
        .map_err(|error| broke(command.to_owned(), error.into()))?;
        self.answer(command, watch)
    }

    /// Waits until QEMU tells an event of this kind, or the time is over.
    ///
    /// # Errors
    /// That QEMU ended, or that the wait was called off.
    pub(super) fn rest(
        &mut self,
        limit: Duration,
        waited_for: impl Fn(&Value) -> bool,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let until = Instant::now() + limit;
        if self.passed.drain(..).any(|event| waited_for(&event)) {
            return Ok(());
        }
        while let Some(line) = self.line("wait", until, watch)? {
            if serde_json::from_slice(&line).is_ok_and(|event| waited_for(&event)) {
                break;
            }
        }
        Ok(())
    }

    /// Since when the guest stands still, as QEMU told on this connection.
    pub(super) fn still_since_micros(&self) -> Option<u64> {
        self.still_since_micros
    }

    fn answer(&mut self, command: &str, watch: &dyn Watch) -> Result<Value, DriverError> {
        // However much else is told meanwhile.
        let until = Instant::now() + PATIENCE;
        self.passed.clear();
        loop {
            let mut object = self.object(command, until, watch)?;
            if let Some(error) = object.get("error") {
                let said = error["desc"].as_str().unwrap_or("no reason").to_owned();
                let doing = command.to_owned();
                return Err(DriverError::Hypervisor { doing, said });
            }
            if let Some(answer) = object.get_mut("return") {
                return Ok(answer.take());
            }
            self.passed.push(object);
        }
    }

    fn object(
        &mut self,
        doing: &str,
        until: Instant,
        watch: &dyn Watch,
    ) -> Result<Value, DriverError> {
        let line = self
            .line(doing, until, watch)?
            .ok_or_else(|| DriverError::Hypervisor {
                doing: doing.to_owned(),
                said: format!("no answer within {} s", PATIENCE.as_secs()),
            })?;
        serde_json::from_slice(&line).map_err(|error| DriverError::Hypervisor {
            doing: doing.to_owned(),
            said: format!("an answer that is no JSON: {error}"),
        })
    }

    fn note_stop(&mut self, line: &[u8]) {
        self.still_since_micros = stop_micros(line).or(self.still_since_micros);
    }

    /// The next line; `None`: none came until then.
    fn line(
        &mut self,
        doing: &str,
        until: Instant,
        watch: &dyn Watch,
    ) -> Result<Option<Vec<u8>>, DriverError> {
        loop {
            let new = &self.unread[self.searched..];
            if let Some(end) = new.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=self.searched + end).collect();
                self.searched = 0;
                self.note_stop(&line);
                return Ok(Some(line));
            }
            self.searched = self.unread.len();
            if self.searched > LONGEST_BYTES {
                let said = format!("an answer of more than {LONGEST_BYTES} bytes");
                let doing = doing.to_owned();
                return Err(DriverError::Hypervisor { doing, said });
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            checkpoint(watch, doing)?;
            self.stream
                .set_read_timeout(Some(BEAT.min(until - now)))
                .map_err(|error| broke(doing.to_owned(), error))?;
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    return Err(broke(
                        doing.to_owned(),
                        std::io::Error::new(ErrorKind::UnexpectedEof, "QEMU has ended"),
                    ));
                }
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(broke(doing.to_owned(), error)),
            }
        }
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn checkpoint(watch: &dyn Watch, doing: &str) -> Result<(), DriverError> {
    let go_on = watch.checkpoint();
    go_on.map_err(|why| DriverError::called_off(doing, why))
}

/// When an event says that the guest stopped.
fn stop_micros(line: &[u8]) -> Option<u64> {
    // Most lines are answers, some of them long.
    let text = line.windows(6).any(|word| word == br#""STOP""#);
    let event: Value = text.then(|| serde_json::from_slice(line).ok()).flatten()?;
    let time = &event["timestamp"];
    let (seconds, micros) = (time["seconds"].as_u64()?, time["microseconds"].as_u64()?);
    (event["event"] == "STOP").then_some(seconds * 1_000_000 + micros)
}

/// A command as it goes over the wire.
pub(super) fn command_text(command: &str, arguments: Option<&Value>) -> String {
    match arguments {
        Some(arguments) => json!({ "execute": command, "arguments": arguments }).to_string(),
        None => json!({ "execute": command }).to_string(),
    }
}

fn broke(doing: String, error: std::io::Error) -> DriverError {
    DriverError::Hypervisor {
        doing,
        said: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
