//! Where senders say their words: one listening socket of a node, for all VMs that have come or are
//! to come.
//!
//! Its port is kept, so that the next driver hears what was told to the former one. Nobody is asked
//! who they are: a word that fits is proof enough, and one that does not changes nothing.

use super::word::{Answer, Asked, Heard, Lines, tell};
use crate::folder::Folder;
use agent::driver::DriverError;
use serde::{Deserialize, Serialize};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The file of the port, in the driver's folder.
const PORT_FILE: &str = "door.json";

/// Senders at once; a node has tens of VMs, and of these few move here together. Of more than these the
/// one that came first makes room, so that silent strangers keep nobody out: a sender connects again.
const MOST_SENDERS: usize = 64;

/// A sender connects once its disks are copied, and says the word once its memory is; of tens of GiB
/// that takes minutes.
const IDLE: Duration = Duration::from_secs(3_600);

/// How often a waiting thread looks whether the driver is still there.
const BEAT: Duration = Duration::from_millis(200);

/// A sender takes an answer within this.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Who is behind a door.
pub trait Host: Send + Sync {
    /// Answers a word.
    ///
    /// # Errors
    /// Where it can say neither that the VM is taken nor that it is dropped.
    fn hear(&self, run: &str) -> Result<Answer, DriverError>;

    /// Takes a disk in until its sender has hung up or the door is closed.
    ///
    /// # Errors
    /// Where it is not expected, or the connection breaks.
    fn carry(
        &self,
        _digest: &str,
        _disk: &str,
        _stream: &TcpStream,
        _closed: &dyn Fn() -> bool,
    ) -> std::io::Result<()> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }
}

/// The door of one driver, closed when dropped.
pub struct Door {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

/// Where the door was.
#[derive(Serialize, Deserialize)]
struct Kept {
    address: SocketAddr,
}

impl Door {
    /// Opens it on a node's address, where it was before if it can be.
    ///
    /// # Errors
    /// Where the node has no such address.
    pub fn open(folder: &Folder, host: &str, behind: Arc<dyn Host>) -> Result<Self, DriverError> {
        let kept = kept(folder)?.filter(|kept| kept.ip().to_string() == host);
        let former = kept.and_then(|address| TcpListener::bind(address).ok());
        let bound = former.map_or_else(|| TcpListener::bind((host, 0)), Ok);
        let opened = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = opened.map_err(|error| DriverError::Hypervisor {
            doing: format!("listen on {host}"),
            said: error.to_string(),
        })?;
        folder.save_own(PORT_FILE, &Kept { address })?;
        Ok(Self::keep(behind, address, Some(listener)))
    }

    /// Opens it where it was, as soon as that is free; `None`: there was none.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub fn reopen(folder: &Folder, behind: Arc<dyn Host>) -> Result<Option<Self>, DriverError> {
        Ok(kept(folder)?.map(|address| Self::keep(behind, address, None)))
    }

    fn keep(behind: Arc<dyn Host>, address: SocketAddr, listener: Option<TcpListener>) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = closed.clone();
        let keeper = thread::spawn(move || keep(&*behind, address, listener, &is_closed));
        Self {
            address,
            closed,
            keeper: Some(keeper),
        }
    }

    /// Whether it is on this address of the node.
    pub fn is_on(&self, host: &str) -> bool {
        self.address.ip().to_string() == host
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(keeper) = self.keeper.take() {
            // A thread that panicked has closed the door as well.
            let _ = keeper.join();
        }
    }
}

fn kept(folder: &Folder) -> Result<Option<SocketAddr>, DriverError> {
    let kept: Option<Kept> = folder.load_own(PORT_FILE)?;
    Ok(kept.map(|kept| kept.address))
}

fn keep(host: &dyn Host, address: SocketAddr, bound: Option<TcpListener>, closed: &AtomicBool) {
    let is_closed = || closed.load(Ordering::Relaxed);
    let senders: Mutex<Vec<Arc<TcpStream>>> = Mutex::default();
    let present = || senders.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bound = bound;
    thread::scope(|scope| {
        while !is_closed() {
            let Some(listener) = &bound else {
                // Another driver of this folder has it; should that end, its words are for this one.
                bound = TcpListener::bind(address).ok();
                if bound.is_none() {
                    thread::sleep(BEAT);
                }
                continue;
            };
            let Some(stream) = accept(listener).map(Arc::new) else {
                continue;
            };
            let mut before = present();
            if before.len() >= MOST_SENDERS {
                // It is on its way out by itself where this fails.
                let _ = before.remove(0).shutdown(Shutdown::Both);
            }
            before.push(stream.clone());
            drop(before);
            scope.spawn(move || {
                // A sender that is not understood, or hangs up, says it again.
                let _ = attend(host, &stream, &is_closed);
                present().retain(|other| !Arc::ptr_eq(other, &stream));
            });
        }
    });
}

/// The next sender; `None`: none came for a while.
fn accept(listener: &TcpListener) -> Option<TcpStream> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut waiting = [PollFd::new(listener, PollFlags::IN)];
    let beat = Timespec::try_from(BEAT).expect("a fraction of a second");
    let Ok(1..) = poll(&mut waiting, Some(&beat)) else {
        return None;
    };
    match listener.accept() {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // As where the node has no more files: whoever waits is let in once it has.
            thread::sleep(BEAT);
            None
        }
    }
}

/// Hears one sender to its end.
fn attend(host: &dyn Host, stream: &TcpStream, closed: &dyn Fn() -> bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(BEAT))?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let begun = Instant::now();
    let mut lines = Lines::of(stream);
    while !closed() && begun.elapsed() < IDLE {
        match lines.read::<Asked>()? {
            Heard::Nothing => {}
            Heard::HungUp => break,
            Heard::Line(Asked::Word { run }) => {
                let answer = host.hear(&run).unwrap_or_else(|error| Answer::Refused {
                    why: error.to_string(),
                });
                tell(stream, &answer)?;
            }
            Heard::Line(Asked::Disk { digest, disk }) => {
                return host.carry(&digest, &disk, stream, closed);
            }
        }
    }
    Ok(())
}
