//! The agent's socket: a thread for each connection, which asks and answers in turn, and one for its
//! reports once it follows.
//!
//! Whoever is slow is waited for by those threads alone: the agent hands over what fits and goes on.

use crate::config::Listen;
use link::frame;
use link::protocol::{Answer, Request};
use model::report::Report;
use rustix::fs::{Mode, chmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
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
#[derive(Debug)]
pub struct Reports {
    waiting: SyncSender<Arc<Report>>,
    gone: Arc<AtomicBool>,
}

impl Reports {
    /// Hands a report over, if there is room for it and somebody who follows.
    ///
    /// # Errors
    /// Where there is not.
    pub fn try_send(&self, report: Arc<Report>) -> Result<(), TrySendError<Arc<Report>>> {
        match self.is_gone() {
            true => Err(TrySendError::Disconnected(report)),
            false => self.waiting.try_send(report),
        }
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// How often who tells reports looks whether the connection is still there, while there are none.
const BEAT: Duration = Duration::from_millis(200);

/// How long nobody new is let in once the node has no more files: those who are there end meanwhile.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait to be let in; more are refused.
const MOST_AT_THE_DOOR: i32 = 128;

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
        let mut is_full = false;
        for stream in listener.incoming() {
            let stream = match stream {
                Ok(stream) => stream,
                // Whoever has gone before they were let in.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    if !is_full {
                        eprintln!("let nobody in for now: {error}");
                    }
                    is_full = true;
                    thread::sleep(FULL_PAUSE);
                    continue;
                }
            };
            is_full = false;
            let place = Place::take(&open, limits.connections);
            let ask = ask.clone();
            let peer = Peer {
                stream,
                limits,
                turn: Arc::default(),
                gone: Arc::default(),
            };
            let served = thread::Builder::new().spawn(move || match place {
                Some(place) => peer.serve(&Arc::new(place), &ask),
                None => {
                    let reason = format!("{} connections are open already", limits.connections);
                    peer.say(&Answer::Refused { reason })
                }
            });
            if let Err(error) = served {
                eprintln!("serve a connection: {error}");
            }
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

/// Binds a socket that only its owner may open; nobody hears there before that is so. One that a
/// killed agent left is replaced.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&new)?)?;
    chmod(&new, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, MOST_AT_THE_DOOR)?;
    fs::rename(&new, path)?;
    Ok(UnixListener::from(socket))
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
    /// Whether it has ended.
    gone: Arc<AtomicBool>,
}

impl Peer {
    /// Serves it until either end has enough; whatever goes wrong ends it alone.
    fn serve(self, place: &Arc<Place>, ask: &impl Fn(Asked)) -> io::Result<()> {
        let served = self.converse(place, ask);
        if let Err(error) = &served {
            let reason = error.to_string();
            self.say(&Answer::Refused { reason }).ok();
        }
        // The thread that tells reports holds the stream as well.
        self.stream.shutdown(Shutdown::Both).ok();
        self.gone.store(true, Ordering::Relaxed);
        served
    }

    /// Takes requests and answers each before the next.
    fn converse(&self, place: &Arc<Place>, ask: &impl Fn(Asked)) -> io::Result<()> {
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
            let reports = wants.then(|| self.follow(place.clone())).transpose()?;
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

    /// Tells reports on a thread of its own, for which the place is kept too; whoever does not keep up
    /// is cut off.
    fn follow(&self, place: Arc<Place>) -> io::Result<Reports> {
        let (reports, waiting) = sync_channel(self.limits.reports);
        let peer = Self {
            stream: self.stream.try_clone()?,
            limits: self.limits,
            turn: self.turn.clone(),
            gone: self.gone.clone(),
        };
        let gone = self.gone.clone();
        thread::Builder::new().spawn(move || {
            let _place = place;
            peer.tell(&waiting);
            // A connection that misses reports must not look like one that follows.
            peer.stream.shutdown(Shutdown::Both).ok();
        })?;
        let waiting = reports;
        Ok(Reports { waiting, gone })
    }

    /// Tells reports until they or the connection end.
    fn tell(&self, waiting: &Receiver<Arc<Report>>) {
        while !self.gone.load(Ordering::Relaxed) {
            let told = match waiting.recv_timeout(BEAT) {
                Ok(report) => self.say(&Answer::Reported { report }),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if told.is_err() {
                return;
            }
        }
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
