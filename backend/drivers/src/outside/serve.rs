//! The side of the program: makes one of any [`Driver`] in Rust.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = std::env::args_os().next_back().expect("the agent gives the folder");
//! let driver = drivers::qemu::Qemu::open(folder.as_ref())?;
//! drivers::outside::serve::serve(&driver, std::io::stdin().lock(), std::io::stdout())?;
//! # Ok(())
//! # }
//! ```

use super::frame::{self, FrameError};
use super::wire::{
    Answer, Answered, Ask, Calling, Cancel, Failed, FromDriver, MAX_OPEN_REQUESTS, Order,
    Progressed, Refused, Request, ToDriver, VERSIONS, Versions, Welcome,
};
use agent::driver::{Driver, DriverError, NativeCall};
use agent::watch::{CalledOff, Cause, Watch};
use model::time::{Span, Time};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a driver program ended before its agent let it go.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The agent said what this program does not understand.
    #[error("the agent said what means nothing here: {0}")]
    Meaningless(String),
    /// The agent is gone.
    #[error("the agent cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
}

/// Serves one agent until it closes `input`: each request on a thread of its own, at most
/// [`MAX_OPEN_REQUESTS`] at once. What is being done when the agent goes is called off.
///
/// # Errors
/// Where the agent says what means nothing, which it is told, or the pipes break.
pub fn serve(
    driver: &dyn Driver,
    input: impl Read,
    output: impl Write + Send,
) -> Result<(), ServeError> {
    let mut input = BufReader::new(input);
    let desk = Desk {
        output: Mutex::new(output),
        open: Mutex::default(),
    };
    let ended = greet(driver, &mut input, &desk).and_then(|greeted| {
        if greeted {
            thread::scope(|scope| {
                let ended = requests(driver, &mut input, &desk, scope);
                desk.call_all_off();
                ended
            })
        } else {
            Ok(())
        }
    });
    if let Err(ServeError::Meaningless(reason)) = &ended {
        let reason = reason.clone();
        desk.say(&FromDriver::Refused(Refused { reason }))?;
    }
    ended
}

/// Agrees on a version; `false`: the agent went before.
fn greet<W: Write>(
    driver: &dyn Driver,
    input: &mut impl BufRead,
    desk: &Desk<W>,
) -> Result<bool, ServeError> {
    let versions = match heard(input)? {
        None => return Ok(false),
        Some(ToDriver::Hello(hello)) => hello.versions,
        Some(_) => return Err(ServeError::Meaningless("a request before a hello".into())),
    };
    let version = versions.common(VERSIONS).ok_or_else(|| {
        let Versions { oldest, newest } = VERSIONS;
        ServeError::Meaningless(format!(
            "versions {versions} of the protocol; this driver speaks {oldest} to {newest}"
        ))
    })?;
    desk.say(&FromDriver::Welcome(Welcome {
        version,
        driver: driver.name().to_owned(),
        capabilities: driver.capabilities(),
    }))?;
    Ok(true)
}

/// Takes requests until the agent goes.
fn requests<'scope, 'env, W: Write + Send>(
    driver: &'env dyn Driver,
    input: &mut impl BufRead,
    desk: &'env Desk<W>,
    scope: &'scope thread::Scope<'scope, 'env>,
) -> Result<(), ServeError> {
    while let Some(message) = heard(input)? {
        match message {
            ToDriver::Hello(_) => {
                return Err(ServeError::Meaningless("a second hello".into()));
            }
            // The answer to a request that is no longer open is on its way.
            ToDriver::Cancel(Cancel { id, why }) => {
                if let Some(called_off) = desk.open().get(&id) {
                    *lock(called_off) = Some(why.into());
                }
            }
            ToDriver::Request(request) => {
                let called_off = desk.take(request.id)?;
                scope.spawn(move || {
                    let id = request.id;
                    let answer = answer(driver, *request, desk, &called_off);
                    desk.open().remove(&id);
                    desk.reply(id, answer);
                });
            }
        }
    }
    Ok(())
}

/// Asks the driver.
fn answer<W: Write + Send>(
    driver: &dyn Driver,
    request: Request,
    desk: &Desk<W>,
    called_off: &Mutex<Option<CalledOff>>,
) -> Result<Answer, DriverError> {
    let watch = Follower {
        id: request.id,
        order: request.order,
        until: Instant::now().checked_add(Duration::from_millis(request.within_millis)),
        called_off,
        desk,
    };
    Ok(match request.ask {
        Ask::Fingerprint => Answer::Fingerprinted(Box::new(driver.fingerprint(&watch)?)),
        Ask::Validate { machine } => {
            driver.validate(&machine)?;
            Answer::Valid
        }
        Ask::Translate { vm, act } => Answer::Translated(driver.translate(vm, &act)?),
        Ask::Perform { vm, act, keys } => {
            Answer::Performed(driver.perform(vm, &act, &keys.0, &watch)?)
        }
        Ask::Inspect { vm } => Answer::Inspected(driver.inspect(vm)?),
        Ask::List => Answer::Listed(driver.list()?),
        Ask::Statistics { vm } => Answer::Measured(driver.statistics(vm)?),
        Ask::Recover => Answer::Recovered(driver.recover()?),
        Ask::Console { vm } => Answer::Console(driver.console(vm)?),
    })
}

/// The next message; what is wrong with one is told without quoting it, for it may hold keys.
fn heard(input: &mut impl BufRead) -> Result<Option<ToDriver>, ServeError> {
    frame::read(input).map_err(|error| match error {
        FrameError::Io(error) => ServeError::Unreachable(error),
        FrameError::Json(error) => ServeError::Meaningless(format!(
            "a message that is none, at byte {} of its JSON",
            error.column()
        )),
        error => ServeError::Meaningless(error.to_string()),
    })
}

/// What the threads share: the way back to the agent, and the requests that are open.
struct Desk<W> {
    output: Mutex<W>,
    open: Mutex<BTreeMap<u64, Arc<Mutex<Option<CalledOff>>>>>,
}

impl<W: Write> Desk<W> {
    fn say(&self, message: &FromDriver) -> Result<(), ServeError> {
        let mut output = lock(&self.output);
        match frame::write(&mut *output, message) {
            Err(FrameError::Io(error)) => Err(ServeError::Unreachable(error)),
            Err(error) => Err(ServeError::Meaningless(error.to_string())),
            Ok(()) => Ok(()),
        }
    }

    /// Says how a request ended. An agent that is gone reads no answer; the reader notices that.
    fn reply(&self, id: u64, answer: Result<Answer, DriverError>) {
        let failed = |error| FromDriver::Failed(Failed { id, error });
        let said = self.say(&match answer {
            Ok(answer) => FromDriver::Answered(Answered { id, answer }),
            Err(error) => failed(error),
        });
        if let Err(ServeError::Meaningless(said)) = said {
            let doing = "answer".to_owned();
            let _unread = self.say(&failed(DriverError::Hypervisor { doing, said }));
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Mutex<Option<CalledOff>>>>> {
        lock(&self.open)
    }

    /// Opens a request.
    fn take(&self, id: u64) -> Result<Arc<Mutex<Option<CalledOff>>>, ServeError> {
        let mut open = self.open();
        if open.len() >= MAX_OPEN_REQUESTS {
            let told = format!("more than {MAX_OPEN_REQUESTS} requests at once");
            return Err(ServeError::Meaningless(told));
        }
        match open.entry(id) {
            Entry::Vacant(vacant) => Ok(Arc::clone(vacant.insert(Arc::default()))),
            Entry::Occupied(_) => Err(ServeError::Meaningless(format!("request {id} twice"))),
        }
    }

    fn call_all_off(&self) {
        for called_off in self.open().values() {
            *lock(called_off) = Some(CalledOff::Cancelled);
        }
    }
}

/// Hands on to the agent what is heard of one request.
struct Follower<'a, W> {
    id: u64,
    order: Option<Order>,
    /// `None`: so late that no clock reaches it.
    until: Option<Instant>,
    called_off: &'a Mutex<Option<CalledOff>>,
    desk: &'a Desk<W>,
}

impl<W: Write + Send> Watch for Follower<'_, W> {
    fn progressed(&self, done_milli: u16) {
        let id = self.id;
        // An agent that is gone follows nothing.
        let _unread = self
            .desk
            .say(&FromDriver::Progressed(Progressed { id, done_milli }));
    }

    fn calling(&self, call: &NativeCall) {
        let (id, call) = (self.id, call.clone());
        let _unread = self.desk.say(&FromDriver::Calling(Calling { id, call }));
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        if let Some(why) = *lock(self.called_off) {
            return Err(why);
        }
        match self.until {
            Some(until) if Instant::now() >= until => Err(CalledOff::Expired),
            _ => Ok(()),
        }
    }

    fn cause(&self) -> Option<Cause> {
        let order = self.order?;
        let left = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Some(Cause {
            operation: order.operation,
            generation: order.generation,
            deadline: left.map_or(Time::NEVER, |left| Time(millis(now)) + Span(millis(left))),
        })
    }
}

/// A lock that a panic elsewhere does not close: every change under it is a single one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
