//! The agent's socket: a thread for each connection, which asks and answers in turn, and one for its
//! reports once it follows.
//!
//! Whoever is slow is waited for by those threads alone: the agent hands over what fits and goes on.

use crate::config::Listen;
use crate::frame;
use crate::protocol::{Answer, Request};
use model::report::Report;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much and how long an agent puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Reports that wait for a slow reader, all readers sharing them; one that lets more come up is
    /// cut off.
    pub reports: usize,
    /// The time that a message takes once it has begun, in either direction; whoever needs more is
    /// cut off.
    pub message: Duration,
    /// A connection that does not follow and asks nothing for so long is closed.
    pub idle: Duration,
}

impl Default for Limits {
    /// A controller, some peers and admins need a handful of connections, and all of these together
    /// make the agent hold no more than their number of [`frame::MOST_BYTES`]. A full node tells some
    /// hundred reports a second when all its VMs are ordered about. On a node's own socket a message
    /// takes milliseconds, on a node that swaps a second.
    fn default() -> Self {
        Self {
            connections: 16,
            reports: 4_096,
            message: Duration::from_secs(10),
            idle: Duration::from_secs(300),
        }
    }
}

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The request.
    pub request: Request,
    /// Its one answer; there is always room for it.
    pub answer: SyncSender<Answer>,
    /// Of [`Request::Follow`]: all reports from now on.
    pub reports: Option<Reports>,
}

/// Where reports go.
pub type Reports = SyncSender<Arc<Report>>;

/// Listens, and hands on what is asked.
///
/// # Errors
/// Where nobody can listen there.
pub fn listen<T>(at: &Listen, limits: Limits, ask: T) -> io::Result<()>
where
    T: Fn(Asked) + Clone + Send + 'static,
{
    let Listen::Unix(path) = at;
    let listener = bind(path)?;
    let open = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let place = Place::take(&open, limits.connections);
            let ask = ask.clone();
            let peer = Peer {
                stream,
                limits,
                turn: Arc::default(),
            };
            thread::spawn(move || match place {
                Some(_place) => peer.serve(&ask),
                None => {
                    let reason = format!("{} connections are open already", limits.connections);
                    peer.say(&Answer::Refused { reason })
                }
            });
        }
    });
    Ok(())
}

/// Connects to an agent.
///
/// # Errors
/// Where none listens.
pub fn connect(to: &Listen) -> io::Result<UnixStream> {
    let Listen::Unix(path) = to;
    UnixStream::connect(path)
}

/// Binds a socket that only its owner may open, and that nobody else could open before; one that a
/// killed agent left is replaced.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    Ok(listener)
}

/// One of the places for connections, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let before = open.fetch_add(1, Ordering::SeqCst);
        let place = Self(open.clone());
        (before < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One connection.
struct Peer {
    stream: UnixStream,
    limits: Limits,
    /// Whose it is to write: answers come in turn, reports whenever there are some.
    turn: Arc<Mutex<()>>,
}

impl Peer {
    /// Serves it until either end has enough; whatever goes wrong ends it alone.
    fn serve(self, ask: &impl Fn(Asked)) -> io::Result<()> {
        let served = self.converse(ask);
        if let Err(error) = &served {
            let reason = error.to_string();
            self.say(&Answer::Refused { reason }).ok();
        }
        // The thread that tells reports holds the stream as well.
        self.stream.shutdown(Shutdown::Both).ok();
        served
    }

    /// Takes requests and answers each before the next.
    fn converse(&self, ask: &impl Fn(Asked)) -> io::Result<()> {
        let mut follows = false;
        loop {
            let idle = (!follows).then_some(self.limits.idle);
            let Some(request) = frame::receive(&mut self.timed(idle))? else {
                return Ok(());
            };
            let wants = matches!(request, Request::Follow);
            if wants && follows {
                let reason = "this connection follows already".to_owned();
                self.say(&Answer::Refused { reason })?;
                continue;
            }
            follows |= wants;
            let reports = wants.then(|| self.follow()).transpose()?;
            let (answer, answered) = sync_channel(1);
            ask(Asked {
                request,
                answer,
                reports,
            });
            // An agent that ends answers nothing.
            let Ok(answer) = answered.recv() else {
                return Ok(());
            };
            match self.say(&answer) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let reason = format!("the answer is {error}; hint: ask for less");
                    self.say(&Answer::Refused { reason })?;
                }
                said => said?,
            }
        }
    }

    /// Tells reports on a thread of its own; whoever does not keep up is cut off.
    fn follow(&self) -> io::Result<Reports> {
        let (reports, waiting): (Reports, Receiver<Arc<Report>>) =
            sync_channel(self.limits.reports);
        let peer = Self {
            stream: self.stream.try_clone()?,
            limits: self.limits,
            turn: self.turn.clone(),
        };
        thread::spawn(move || {
            for report in waiting {
                if peer.say(&Answer::Reported { report }).is_err() {
                    break;
                }
            }
            // A connection that misses reports must not look like one that follows.
            peer.stream.shutdown(Shutdown::Both).ok();
        });
        Ok(reports)
    }

    fn say(&self, answer: &Answer) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut timed = self.timed(None);
        timed.begin();
        frame::send(&mut timed, answer)
    }

    fn timed(&self, idle: Option<Duration>) -> Timed<'_> {
        Timed {
            stream: &self.stream,
            limit: self.limits.message,
            idle,
            until: None,
        }
    }
}

/// One message on its way.
struct Timed<'a> {
    stream: &'a UnixStream,
    /// How long it takes once it has begun.
    limit: Duration,
    /// How long the first byte may take; `None`: any time.
    idle: Option<Duration>,
    /// When the message is to be through; `None`: it has not begun.
    until: Option<Instant>,
}

impl Timed<'_> {
    fn begin(&mut self) {
        self.until = self.until.or(Some(Instant::now() + self.limit));
    }

    /// The time that is left; `None`: any.
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(until) = self.until else {
            return Ok(self.idle);
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        let read = self.stream.read(bytes).map_err(late)?;
        self.begin();
        Ok(read)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the kernel says when the time is over.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}
