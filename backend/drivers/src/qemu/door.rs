//! Where senders say their words: one listening socket of a node, for all VMs that have come or are
//! to come.
//!
//! Its port is kept, so that the next driver hears what was told to the former one. Nobody is asked
//! who they are: a word that fits is proof enough, and one that does not changes nothing.

use super::book::{self, Page};
use super::qmp::Qmp;
use super::record::{self, Move};
use super::secure;
use super::word::{Answer, Asked, Heard, Lines, digest, tell};
use crate::folder::Folder;
use crate::hold::Hold;
use agent::driver::DriverError;
use agent::handover::{Arrival, Book, Hearing, hear};
use agent::watch::{CalledOff, Unwatched, Watch};
use model::id::VmId;
use model::order::Storage;
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

/// Another act on the VM is over within this.
const HOLD_PATIENCE: Duration = Duration::from_secs(5);

/// The door of one driver, closed when dropped.
pub(super) struct Door {
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
    pub(super) fn open(folder: &Folder, host: &str) -> Result<Self, DriverError> {
        let kept = kept(folder)?.filter(|kept| kept.ip().to_string() == host);
        let former = kept.and_then(|address| TcpListener::bind(address).ok());
        let bound = former.map_or_else(|| TcpListener::bind((host, 0)), Ok);
        let opened = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = opened.map_err(|error| DriverError::Hypervisor {
            doing: format!("listen on {host}"),
            said: error.to_string(),
        })?;
        folder.save_own(PORT_FILE, &Kept { address })?;
        Ok(Self::keep(folder, address, Some(listener)))
    }

    /// Opens it where it was, as soon as that is free; `None`: there was none.
    ///
    /// # Errors
    /// Where its file cannot be read.
    pub(super) fn reopen(folder: &Folder) -> Result<Option<Self>, DriverError> {
        Ok(kept(folder)?.map(|address| Self::keep(folder, address, None)))
    }

    fn keep(folder: &Folder, address: SocketAddr, listener: Option<TcpListener>) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let (folder, is_closed) = (folder.clone(), closed.clone());
        let keeper = thread::spawn(move || keep(&folder, address, listener, &is_closed));
        Self {
            address,
            closed,
            keeper: Some(keeper),
        }
    }

    /// Whether it is on this address of the node.
    pub(super) fn is_on(&self, host: &str) -> bool {
        self.address.ip().to_string() == host
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
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

fn keep(folder: &Folder, address: SocketAddr, bound: Option<TcpListener>, closed: &AtomicBool) {
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
                let _ = attend(folder, &stream, &is_closed);
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
fn attend(folder: &Folder, stream: &TcpStream, closed: &dyn Fn() -> bool) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(BEAT))?;
    stream.set_write_timeout(Some(HOLD_PATIENCE))?;
    let begun = Instant::now();
    let mut lines = Lines::of(stream);
    while !closed() && begun.elapsed() < IDLE {
        match lines.next::<Asked>()? {
            Heard::Nothing => {}
            Heard::HungUp => break,
            Heard::Line(asked) => {
                let answer = heard(folder, &asked).unwrap_or_else(|error| Answer::Refused {
                    why: error.to_string(),
                });
                tell(stream, &answer)?;
            }
        }
    }
    Ok(())
}

/// Does what a word asks for, if it is known.
fn heard(folder: &Folder, asked: &Asked) -> Result<Answer, DriverError> {
    let digest = digest(&asked.run);
    // Read before the VM is held, which makes its folder: strangers make none.
    let Some(page) = book::page(folder, &digest)? else {
        let why = "no VM comes by this word".to_owned();
        return Ok(Answer::Refused { why });
    };
    let vm = page.vm;
    let _hold = Hold::take(folder, vm, record::MACHINE, &Patience(Instant::now()))?;
    // What it has become meanwhile.
    let page = book::page(folder, &digest)?.unwrap_or(page);
    let mut arrived = Arrived::find(folder, vm, &digest)?;
    let hearing = hear(page.book, arrived.arrival);
    match hearing {
        Hearing::Refuse => {
            let why = format!("{vm} is not whole");
            return Ok(Answer::Refused { why });
        }
        Hearing::Take => book::settle(folder, &digest, Book::Taken)?,
        Hearing::Drop => book::settle(folder, &digest, Book::Dropped)?,
        Hearing::Run | Hearing::SayTaken | Hearing::SayDropped => {}
    }
    let mut running_micros = None;
    if let (Hearing::Take | Hearing::Run, Some(qmp)) = (hearing, &mut arrived.qmp) {
        qmp.execute("cont", None, &Unwatched)?;
        let runs = Instant::now();
        settle_in(folder, &page, qmp)?;
        running_micros = u64::try_from(runs.elapsed().as_micros()).ok();
    } else if let (Hearing::SayTaken, Some(qmp)) = (hearing, &mut arrived.qmp) {
        settle_in(folder, &page, qmp)?;
    }
    Ok(match hearing {
        Hearing::Drop | Hearing::SayDropped => Answer::Dropped { word: page.dropped },
        _ => Answer::Taken {
            word: page.taken,
            running_micros,
        },
    })
}

/// What came by a word, as it is now.
struct Arrived {
    arrival: Arrival,
    qmp: Option<Qmp>,
}

impl Arrived {
    fn find(folder: &Folder, vm: VmId, digest: &str) -> Result<Self, DriverError> {
        let gone = Self {
            arrival: Arrival::Gone,
            qmp: None,
        };
        let place = folder.load(vm, record::MOVE)?;
        let comes = matches!(place, Some(Move::Receiving { digest: kept }) if kept == digest);
        if !comes || record::running(folder, vm)?.is_none() {
            return Ok(gone);
        }
        let mut qmp = Qmp::connect(&folder.of(vm).join(record::ACT_SOCKET), &Unwatched)?;
        let status = qmp.execute("query-status", None, &Unwatched)?;
        let arrival = match status["status"].as_str() {
            Some("inmigrate") => Arrival::Loading,
            Some("paused" | "prelaunch") => Arrival::Whole,
            _ => Arrival::Runs,
        };
        let qmp = Some(qmp);
        Ok(Self { arrival, qmp })
    }
}

/// What is left to do once a VM runs here: nobody writes to its disks from outside any more, and the
/// key of its move is forgotten.
fn settle_in(folder: &Folder, page: &Page, qmp: &mut Qmp) -> Result<(), DriverError> {
    if page.storage == Storage::Local {
        match qmp.execute("nbd-server-stop", None, &Unwatched) {
            Err(error) if error.to_string().contains("not running") => {}
            stopped => drop(stopped?),
        }
    }
    secure::remove(folder, page.vm, qmp);
    folder.forget(page.vm, record::MOVE)
}

struct Patience(Instant);

impl Watch for Patience {
    fn progressed(&self, _done_milli: u16) {}

    fn calling(&self, _call: &agent::driver::NativeCall) {}

    fn checkpoint(&self) -> Result<(), CalledOff> {
        match self.0.elapsed() < HOLD_PATIENCE {
            true => Ok(()),
            false => Err(CalledOff::Expired),
        }
    }
}
