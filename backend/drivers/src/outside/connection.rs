//! One running driver program: its pipes, the requests that are open, and its end.

use super::frame::{self, FrameError};
use super::wire::{
    Answer, Answered, Ask, Calling, Cancel, Failed, FromDriver, Hello, MAX_OPEN_REQUESTS, Order,
    Progressed, Request, ToDriver, VERSIONS, Welcome, Why,
};
use super::{Program, log};
use agent::driver::{DriverError, NativeCall};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Messages that may wait for a program that reads slowly: each open request and its cancel.
const QUEUE: usize = 2 * MAX_OPEN_REQUESTS;

/// Notifications that may wait for whoever follows an act; beyond it the program waits.
const NOTIFICATIONS: usize = 256;

/// How often a program that is to end by itself is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How long a program that has closed its output may take to leave its exit status.
const SETTLE: Duration = Duration::from_millis(200);

/// What is heard of one request.
#[derive(Debug)]
pub enum Heard {
    /// Part of it is done.
    Progressed(u16),
    /// A call is about to be made.
    Calling(NativeCall),
    /// It was done.
    Answered(Answer),
    /// It was not.
    Failed(DriverError),
}

/// A running driver program that has been greeted.
#[derive(Debug)]
pub struct Connection {
    welcome: Welcome,
    shared: Arc<Shared>,
    next: AtomicU64,
    /// `None` once the program is to end.
    queue: Mutex<Option<SyncSender<Zeroizing<Vec<u8>>>>>,
    grace: Duration,
}

/// What the threads at the pipes and the callers share.
#[derive(Debug)]
struct Shared {
    child: Mutex<Child>,
    open: Mutex<BTreeMap<u64, SyncSender<Heard>>>,
    /// Why it ended; `None`: it runs.
    ended: Mutex<Option<String>>,
}

impl Connection {
    /// Starts a program and agrees on a version with it.
    ///
    /// # Errors
    /// In words, where it cannot be started, speaks no common version, or does not speak the
    /// protocol at all.
    pub fn start(program: &Program) -> Result<Self, String> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .arg(&program.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // With a group of its own, its helpers end with it.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err("was started without pipes".to_owned());
        };
        log::keep(stderr, &program.folder);
        let shared = Arc::new(Shared {
            child: Mutex::new(child),
            open: Mutex::default(),
            ended: Mutex::default(),
        });
        let (queue, outgoing) = sync_channel(QUEUE);
        thread::spawn(move || write_all(stdin, &outgoing));
        let (greeted, greeting) = sync_channel(1);
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.read_all(BufReader::new(stdout), &greeted));
        let hello = ToDriver::Hello(Hello { versions: VERSIONS });
        let welcome = say(&queue, &hello).and_then(|()| {
            match greeting.recv_timeout(program.limits.greeting) {
                Ok(welcome) => Ok(welcome),
                Err(_) => Err(shared.why_ended().unwrap_or_else(|| {
                    let limit = program.limits.greeting;
                    format!("did not answer the greeting within {limit:?}")
                })),
            }
        });
        let welcome = welcome.map_err(|why| shared.end(&why))?;
        Ok(Self {
            welcome,
            shared,
            next: AtomicU64::new(1),
            queue: Mutex::new(Some(queue)),
            grace: program.limits.grace,
        })
    }

    /// How it answered the greeting.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        lock(&self.shared.child).id()
    }

    /// Why it ended; `None`: it runs.
    pub fn why_ended(&self) -> Option<String> {
        let gone = self.shared.has_exited();
        self.shared
            .why_ended()
            .or_else(|| gone.then(|| self.shared.end("ended by itself")))
    }

    /// Sends a request; what is heard of it comes by the receiver, which is cut off when the program
    /// ends.
    ///
    /// # Errors
    /// In words, where it cannot be sent.
    pub fn request(
        &self,
        ask: Ask,
        order: Option<Order>,
        within: Duration,
    ) -> Result<(u64, Receiver<Heard>), String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(NOTIFICATIONS);
        {
            let mut open = lock(&self.shared.open);
            if open.len() >= MAX_OPEN_REQUESTS {
                return Err(format!("has {MAX_OPEN_REQUESTS} requests open already"));
            }
            open.insert(id, sender);
        }
        let within_millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let request = ToDriver::Request(Box::new(Request {
            id,
            within_millis,
            order,
            ask,
        }));
        let sent = self.say(&request);
        // Whoever ended the program in between has cut off all requests but this one.
        match sent.and_then(|()| self.shared.why_ended().map_or(Ok(()), Err)) {
            Ok(()) => Ok((id, receiver)),
            Err(why) => {
                lock(&self.shared.open).remove(&id);
                Err(why)
            }
        }
    }

    /// Calls a request off; a program that has ended has done so already.
    pub fn cancel(&self, id: u64, why: Why) {
        if let Err(why) = self.say(&ToDriver::Cancel(Cancel { id, why })) {
            self.shared.end(&why);
        }
    }

    /// Kills it with all its helpers; gives the reason why it first ended.
    pub fn end(&self, why: &str) -> String {
        self.shared.end(why)
    }

    fn say(&self, message: &ToDriver) -> Result<(), String> {
        match &*lock(&self.queue) {
            Some(queue) => say(queue, message),
            None => Err("is to end".to_owned()),
        }
    }
}

impl Drop for Connection {
    /// Closes its input, at which it ends by itself; kills it where it does not.
    fn drop(&mut self) {
        lock(&self.queue).take();
        self.shared.await_exit(self.grace);
        self.shared.end("was no longer needed");
    }
}

impl Shared {
    /// Hands on what the program says until it ends or says something that means nothing.
    fn read_all(&self, mut stdout: impl BufRead, greeted: &SyncSender<Welcome>) {
        let why = loop {
            match frame::read(&mut stdout) {
                Ok(Some(FromDriver::Welcome(welcome))) => {
                    // A second welcome finds nobody who waits for it.
                    if greeted.try_send(welcome).is_err() {
                        break "welcomed twice".to_owned();
                    }
                }
                Ok(Some(FromDriver::Refused(refused))) => {
                    break format!("said {:?}", refused.reason);
                }
                Ok(Some(message)) => self.hand_on(message),
                Ok(None) => {
                    self.await_exit(SETTLE);
                    break "ended by itself".to_owned();
                }
                Err(FrameError::Io(error)) => break format!("cannot be read: {error}"),
                Err(error) => break format!("said what means nothing here: {error}"),
            }
        };
        self.end(&why);
    }

    /// Gives a message to whoever waits for it; one about a closed request means nothing more.
    fn hand_on(&self, message: FromDriver) {
        let (id, heard) = match message {
            FromDriver::Progressed(Progressed { id, done_milli }) => {
                (id, Heard::Progressed(done_milli))
            }
            FromDriver::Calling(Calling { id, call }) => (id, Heard::Calling(call)),
            FromDriver::Answered(Answered { id, answer }) => (id, Heard::Answered(answer)),
            FromDriver::Failed(Failed { id, error }) => (id, Heard::Failed(error)),
            FromDriver::Welcome(_) | FromDriver::Refused(_) => return,
        };
        let last = matches!(heard, Heard::Answered(_) | Heard::Failed(_));
        let sender = if last {
            lock(&self.open).remove(&id)
        } else {
            lock(&self.open).get(&id).cloned()
        };
        // A caller that no longer listens has been given its error already.
        if let Some(sender) = sender
            && sender.send(heard).is_err()
        {
            lock(&self.open).remove(&id);
        }
    }

    fn why_ended(&self) -> Option<String> {
        lock(&self.ended).clone()
    }

    /// Whether it is gone, without taking note of it: its group can still be killed.
    fn has_exited(&self) -> bool {
        let child = lock(&self.child);
        lock(&self.ended).is_some() || has_exited(&child)
    }

    /// Gives it time to end by itself.
    fn await_exit(&self, limit: Duration) {
        let begun = Instant::now();
        while !self.has_exited() && begun.elapsed() < limit {
            thread::sleep(LOOK);
        }
    }

    /// Kills it with all its helpers, cuts off all requests, and gives the reason why it ended,
    /// which is this one if it is the first.
    fn end(&self, why: &str) -> String {
        let mut child = lock(&self.child);
        let reason = lock(&self.ended).clone();
        let reason = reason.unwrap_or_else(|| {
            let by_itself = has_exited(&child);
            // These fail where nobody is left, which is what they are for.
            let _gone = kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _left_the_group = child.kill();
            match child.wait() {
                Ok(status) if by_itself => format!("{why} ({status})"),
                _ => why.to_owned(),
            }
        });
        *lock(&self.ended) = Some(reason.clone());
        lock(&self.open).clear();
        reason
    }
}

/// Whether a child is gone, leaving its status to be asked for.
fn has_exited(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let found = waitid(WaitId::Pid(Pid::from_child(child)), options);
    !matches!(found, Ok(None))
}

/// Puts a message into the queue of a program.
fn say(queue: &SyncSender<Zeroizing<Vec<u8>>>, message: &ToDriver) -> Result<(), String> {
    let frame = frame::encode(message).map_err(|error| format!("cannot be told: {error}"))?;
    queue
        .try_send(frame)
        .map_err(|_| "does not read what it is told".to_owned())
}

/// Writes what is queued until the program or its agent ends.
fn write_all(mut stdin: ChildStdin, outgoing: &Receiver<Zeroizing<Vec<u8>>>) {
    for frame in outgoing {
        if stdin.write_all(&frame).is_err() {
            break; // the program is gone, which the reader tells
        }
    }
}

/// A lock that a panic elsewhere does not close: every change under it is a single one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
