//! As much of NBD as is spoken between QEMU's programs and [`super::joined`], by
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>: the fixed new style, simple
//! replies, no options but the export.

use std::io::{self, Error, ErrorKind, Read, Write};

/// How a server begins.
pub const MAGIC: [u8; 8] = *b"NBDMAGIC";

/// How every option begins.
const OPTION_MAGIC: [u8; 8] = *b"IHAVEOPT";
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// `NBD_FLAG_FIXED_NEWSTYLE` and `NBD_FLAG_NO_ZEROES`, and the same of a client.
const HANDSHAKE_FLAGS: u16 = 0b11;

const OPTION_ABORT: u32 = 2;
const OPTION_INFO: u32 = 6;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = (1 << 31) + 1;
const INFO_EXPORT: u16 = 0;

/// `NBD_FLAG_HAS_FLAGS`, flush, forced unit access, trim, and writing zeros.
const EXPORT_FLAGS: u16 = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6;

/// The most that an option may hold: a name and a few numbers.
const MOST_OPTION_BYTES: u32 = 1 << 16;

/// The most bytes of one request or reply with data, as the protocol's default.
pub const MOST_BYTES: u32 = 32 << 20;

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Command {
    /// Read bytes.
    Read = 0,
    /// Write bytes.
    Write = 1,
    /// Hang up.
    Disconnect = 2,
    /// Have all that was written so far on the disk.
    Flush = 3,
    /// Bytes are wanted no more.
    Trim = 4,
    /// Write zeros.
    WriteZeroes = 6,
}

impl Command {
    const ALL: [Self; 6] = [
        Self::Read,
        Self::Write,
        Self::Disconnect,
        Self::Flush,
        Self::Trim,
        Self::WriteZeroes,
    ];
}

/// One request, its data apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Flags, as the client gave them.
    pub flags: u16,
    /// What.
    pub command: Command,
    /// By which its reply is known.
    pub cookie: u64,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
}

impl Request {
    /// Reads one; a [`Command::Write`]'s data follow.
    ///
    /// # Errors
    /// Where the client has hung up or says what nobody understands.
    pub fn read(stream: &mut impl Read) -> io::Result<Self> {
        let magic = u32::from_be_bytes(take(stream)?);
        if magic != REQUEST_MAGIC {
            return Err(wrong("no request"));
        }
        let flags = u16::from_be_bytes(take(stream)?);
        let number = u16::from_be_bytes(take(stream)?);
        let mut known = Command::ALL.into_iter();
        let command = known.find(|command| *command as u16 == number);
        let request = Self {
            flags,
            command: command.ok_or_else(|| wrong("an unknown command"))?,
            cookie: u64::from_be_bytes(take(stream)?),
            offset: u64::from_be_bytes(take(stream)?),
            length: u32::from_be_bytes(take(stream)?),
        };
        let carries = matches!(command, Some(Command::Read | Command::Write));
        if carries && request.length > MOST_BYTES {
            return Err(wrong("a request that is too long"));
        }
        Ok(request)
    }

    /// Its bytes; data follow.
    pub fn bytes(&self) -> [u8; 28] {
        let mut bytes = [0; 28];
        bytes[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&(self.command as u16).to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_be_bytes());
        bytes[24..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }
}

/// The bytes of a reply; what was read follows. `error`: an errno of the protocol, 0 for none.
pub fn reply(error: u32, cookie: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&REPLY_MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&error.to_be_bytes());
    bytes[8..].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// Offers a disk of so many bytes to a client; `false`: it wants none.
///
/// # Errors
/// Where it hangs up or says what nobody understands.
pub fn offer(stream: &mut (impl Read + Write), bytes: u64) -> io::Result<bool> {
    let mut greeting = [MAGIC, OPTION_MAGIC].concat();
    greeting.extend(HANDSHAKE_FLAGS.to_be_bytes());
    stream.write_all(&greeting)?;
    let _: [u8; 4] = take(stream)?;
    loop {
        if take(stream)? != OPTION_MAGIC {
            return Err(wrong("no option"));
        }
        let option = u32::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?);
        if length > MOST_OPTION_BYTES {
            return Err(wrong("an option that is too long"));
        }
        let mut data = vec![0; length as usize];
        stream.read_exact(&mut data)?;
        match option {
            OPTION_GO | OPTION_INFO => {
                let mut info = Vec::from(INFO_EXPORT.to_be_bytes());
                info.extend(bytes.to_be_bytes());
                info.extend(EXPORT_FLAGS.to_be_bytes());
                answer(stream, option, REPLY_INFO, &info)?;
                answer(stream, option, REPLY_ACK, &[])?;
                if option == OPTION_GO {
                    return Ok(true);
                }
            }
            OPTION_ABORT => {
                answer(stream, option, REPLY_ACK, &[])?;
                return Ok(false);
            }
            _ => answer(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn answer(stream: &mut impl Write, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::from(OPTION_REPLY_MAGIC.to_be_bytes());
    bytes.extend(option.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    stream.write_all(&bytes)
}

/// A disk of another server.
#[derive(Debug)]
pub struct Disk<S> {
    stream: S,
    /// Its size in bytes.
    pub bytes: u64,
}

impl<S: Read + Write> Disk<S> {
    /// Opens a server's disk of this name.
    ///
    /// # Errors
    /// Where it hangs up or has none.
    pub fn open(mut stream: S, name: &str) -> io::Result<Self> {
        if take(&mut stream)? != MAGIC || take(&mut stream)? != OPTION_MAGIC {
            return Err(wrong("no NBD of the new style"));
        }
        let _: [u8; 2] = take(&mut stream)?;
        let mut words = Vec::from(u32::from(HANDSHAKE_FLAGS).to_be_bytes());
        words.extend(OPTION_MAGIC);
        words.extend(OPTION_GO.to_be_bytes());
        words.extend((name.len() as u32 + 6).to_be_bytes());
        words.extend((name.len() as u32).to_be_bytes());
        words.extend(name.as_bytes());
        // No more to be told than what every server tells.
        words.extend(0_u16.to_be_bytes());
        stream.write_all(&words)?;
        let mut bytes = None;
        loop {
            if u64::from_be_bytes(take(&mut stream)?) != OPTION_REPLY_MAGIC {
                return Err(wrong("no reply"));
            }
            let _: [u8; 4] = take(&mut stream)?;
            let kind = u32::from_be_bytes(take(&mut stream)?);
            let length = u32::from_be_bytes(take(&mut stream)?);
            if length > MOST_OPTION_BYTES {
                return Err(wrong("a reply that is too long"));
            }
            let mut data = vec![0; length as usize];
            stream.read_exact(&mut data)?;
            match (kind, data.as_slice()) {
                (REPLY_ACK, _) => break,
                (REPLY_INFO, [0, 0, size @ ..]) if size.len() == 10 => {
                    let size: [u8; 8] = size[..8].try_into().expect("eight bytes");
                    bytes = Some(u64::from_be_bytes(size));
                }
                (REPLY_INFO, _) => {}
                _ => return Err(wrong(&String::from_utf8_lossy(&data))),
            }
        }
        let bytes = bytes.ok_or_else(|| wrong("a disk without a size"))?;
        Ok(Self { stream, bytes })
    }

    /// Asks for one thing and waits for it; `data` is what is written, or takes what is read. The
    /// answer is an errno of the protocol, 0 for none.
    ///
    /// # Errors
    /// Where the server hangs up; then nobody knows whether it was done.
    pub fn ask(&mut self, request: &Request, data: &mut [u8]) -> io::Result<u32> {
        self.stream.write_all(&request.bytes())?;
        if request.command == Command::Write {
            self.stream.write_all(data)?;
        }
        let magic = u32::from_be_bytes(take(&mut self.stream)?);
        let error = u32::from_be_bytes(take(&mut self.stream)?);
        let cookie = u64::from_be_bytes(take(&mut self.stream)?);
        if magic != REPLY_MAGIC || cookie != request.cookie {
            return Err(wrong("the reply to something else"));
        }
        if error == 0 && request.command == Command::Read {
            self.stream.read_exact(data)?;
        }
        Ok(error)
    }
}

fn take<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("NBD: {what}"))
}
