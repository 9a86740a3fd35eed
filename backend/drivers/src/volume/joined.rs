//! Disks end to end, as one: a request is cut where a disk ends and another one begins.

use super::nbd::{Command, Disk, MOST_BYTES, Request, offer, reply};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Requests that are carried out at a time; as many as a virtio disk of one queue has in flight on
/// average while it is written from end to end.
const WORKERS: usize = 8;

/// A server that ends is started again at once; one that has not come back within this does not.
const RETRY_PATIENCE: Duration = Duration::from_secs(60);

/// How often a server that has ended is tried.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// `NBD_EIO` and `NBD_EINVAL`.
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// A part of a request that lies on one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which disk.
    pub disk: usize,
    /// From which of its bytes on.
    pub offset: u64,
    /// Which bytes of the request these are.
    pub start: usize,
    /// How many.
    pub length: usize,
}

/// Cuts a request for `length` bytes from `offset` on; `None`: disks of these sizes in bytes, end to
/// end, do not have them all.
pub fn pieces(sizes: &[u64], offset: u64, length: u64) -> Option<Vec<Piece>> {
    let end = offset.checked_add(length)?;
    let mut pieces = Vec::new();
    let mut begin = 0_u64;
    for (disk, size) in sizes.iter().enumerate() {
        let (from, to) = (offset.max(begin), end.min(begin + size));
        if from < to {
            pieces.push(Piece {
                disk,
                offset: from - begin,
                start: (from - offset) as usize,
                length: (to - from) as usize,
            });
        }
        begin += size;
    }
    (end <= begin).then_some(pieces)
}

/// Disks of one server, whose names there are their numbers.
#[derive(Clone, Debug)]
pub struct Joined {
    server: PathBuf,
    sizes: Vec<u64>,
}

impl Joined {
    /// Those of a server that listens on a unix socket, of these sizes in bytes.
    pub fn new(server: PathBuf, sizes: Vec<u64>) -> Self {
        Self { server, sizes }
    }

    /// Whether all of them are there, and as large as they are said to be.
    ///
    /// # Errors
    /// The first that is not there yet, of kind [`io::ErrorKind::InvalidData`] where it never will be.
    pub fn check(&self) -> io::Result<()> {
        for (disk, size) in self.sizes.iter().enumerate() {
            let found = open(&self.server, disk)?.bytes;
            if found != *size {
                let told = format!("volume {disk} has {found} bytes, expected {size}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, told));
            }
        }
        Ok(())
    }

    /// Serves a client until it hangs up, which `used` is told at once, whatever it still waited for;
    /// of a client that only looked, nothing is told.
    ///
    /// # Errors
    /// Where it says what nobody understands.
    pub fn serve(&self, mut client: UnixStream, used: impl Fn()) -> io::Result<()> {
        if !offer(&mut client, self.sizes.iter().sum())? {
            return Ok(());
        }
        let (sender, receiver) = sync_channel::<(Request, Vec<u8>)>(WORKERS);
        let receiver = Arc::new(Mutex::new(receiver));
        let answers = Mutex::new(client.try_clone()?);
        let gone = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(&receiver, &answers, &gone));
            }
            loop {
                let request = match Request::read(&mut client) {
                    Ok(request) if request.command != Command::Disconnect => request,
                    _ => break,
                };
                let mut data = Vec::new();
                if request.command == Command::Write {
                    data.resize(request.length as usize, 0);
                    if client.read_exact(&mut data).is_err() {
                        break;
                    }
                }
                if sender.send((request, data)).is_err() {
                    break;
                }
            }
            gone.store(true, Ordering::Relaxed);
            used();
            drop(sender);
        });
        Ok(())
    }

    fn work(
        &self,
        requests: &Mutex<Receiver<(Request, Vec<u8>)>>,
        answers: &Mutex<UnixStream>,
        gone: &AtomicBool,
    ) {
        let mut disks: Vec<Option<Disk<UnixStream>>> = self.sizes.iter().map(|_| None).collect();
        loop {
            let next = requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok((request, mut data)) = next else {
                return;
            };
            let error = self.carry_out(&mut disks, &request, &mut data, gone);
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let read = error == 0 && request.command == Command::Read;
            let told = answers.write_all(&reply(error, request.cookie));
            // A client that has hung up is noticed by who reads.
            told.and_then(|()| answers.write_all(if read { &data } else { &[] }))
                .ok();
        }
    }

    fn carry_out(
        &self,
        disks: &mut [Option<Disk<UnixStream>>],
        request: &Request,
        data: &mut Vec<u8>,
        gone: &AtomicBool,
    ) -> u32 {
        let length = u64::from(request.length);
        let pieces = match request.command {
            // All that was written lies on any of them.
            Command::Flush => {
                let all = (0..self.sizes.len()).map(|disk| Piece {
                    disk,
                    offset: 0,
                    start: 0,
                    length: 0,
                });
                all.collect()
            }
            _ => match pieces(&self.sizes, request.offset, length) {
                Some(pieces) => pieces,
                None => return EINVAL,
            },
        };
        if request.command == Command::Read {
            data.resize(request.length.min(MOST_BYTES) as usize, 0);
        }
        for piece in pieces {
            let part = Request {
                offset: piece.offset,
                length: piece.length as u32,
                ..*request
            };
            let range = piece.start..piece.start + piece.length;
            let bytes = data.get_mut(range).unwrap_or_default();
            let error = self.ask(&mut disks[piece.disk], piece.disk, &part, bytes, gone);
            if error != 0 {
                return error;
            }
        }
        0
    }

    /// Asks again where the server ends before it has answered: each request may be done twice.
    fn ask(
        &self,
        open_disk: &mut Option<Disk<UnixStream>>,
        disk: usize,
        request: &Request,
        data: &mut [u8],
        gone: &AtomicBool,
    ) -> u32 {
        let mut since = Instant::now();
        loop {
            if open_disk.is_none() {
                *open_disk = open(&self.server, disk).ok();
            }
            if let Some(opened) = open_disk {
                match opened.ask(request, data) {
                    Ok(error) => return error,
                    Err(_) => {
                        *open_disk = None;
                        since = Instant::now();
                    }
                }
            }
            if gone.load(Ordering::Relaxed) || since.elapsed() > RETRY_PATIENCE {
                return EIO;
            }
            thread::sleep(RETRY_EVERY);
        }
    }
}

fn open(server: &Path, disk: usize) -> io::Result<Disk<UnixStream>> {
    Disk::open(UnixStream::connect(server)?, &disk.to_string())
}
