//! Drivers that are programs of their own, in any language: framed JSON over standard input and
//! output, as `OUTSIDE.md` shows.
//!
//! ```text
//!  agent ── Outside ──▶ Connection ── hello, request, cancel ──▶ stdin ┐
//!                           ▲                                          │ driver program
//!                           └── welcome, calling, answered, … ◀ stdout ┘  (Rust: `serve`)
//!                  driver.log ◀───────────────────────────────── stderr
//! ```
//!
//! - [`wire`]: the messages
//! - [`frame`]: how a message lies on a pipe
//! - [`mod@serve`]: the side of the program, for drivers in Rust
//! - [`Outside`]: the side of the agent, which starts the program again when it has died

pub mod frame;
pub mod serve;
pub mod wire;

mod connection;
mod log;

use crate::process::Process;
use agent::driver::{
    Act, ActKind, Console, Driver, DriverError, Effect, NativeCall, Reading, Seen,
};
use agent::machine::Machine;
use agent::secret::Keys;
use agent::watch::{CalledOff, Unwatched, Watch};
use connection::{Connection, Heard};
use model::fingerprint::FoundHypervisor;
use model::hypervisor::Capability;
use model::id::VmId;
use model::order::Shutdown;
use model::time::Time;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::{Answer, Ask, Order, SentKeys, Welcome};

/// How often whoever waits for an act is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// How long a halt asks before it takes another driver program to be in its way.
const OTHERS_PATIENCE: Duration = Duration::from_secs(5);

/// A watch that ends earlier than the one behind it.
pub(crate) struct Hasty<'a> {
    /// When it ends.
    pub(crate) until: Instant,
    /// The one behind it.
    pub(crate) watch: &'a dyn Watch,
}

impl Watch for Hasty<'_> {
    fn progressed(&self, done_milli: u16) {
        self.watch.progressed(done_milli);
    }

    fn calling(&self, call: &NativeCall) {
        self.watch.calling(call);
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        if Instant::now() > self.until {
            return Err(CalledOff::Expired);
        }
        self.watch.checkpoint()
    }
}

/// A driver program as the admin names it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments; the folder comes after them.
    pub arguments: Vec<String>,
    /// Where it keeps what it must remember, and the agent keeps its log; made where it is not there.
    pub folder: PathBuf,
    /// How long it may take.
    pub limits: Limits,
}

/// How long a driver program may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its welcome.
    pub greeting: Duration,
    /// For what only looks.
    pub question: Duration,
    /// For an act or a probe; an earlier deadline of the order goes before.
    pub act: Duration,
    /// From the moment that a request is called off to the moment that the program is killed.
    pub grace: Duration,
}

impl Default for Limits {
    /// Generous to a slow node, and an end for everything: an hour copies 1 TiB at 300 MiB a second.
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(10),
            question: Duration::from_secs(30),
            act: Duration::from_secs(3_600),
            grace: Duration::from_secs(5),
        }
    }
}

/// A driver that is a program of its own.
///
/// A program that has died is started again by the next call. A question that it died over is asked
/// once more; an act is not, and fails: the VM is then as [`Driver::recover`] tells, and the act may
/// be repeated.
#[derive(Debug)]
pub struct Outside {
    program: Program,
    welcome: Welcome,
    connection: Mutex<Arc<Connection>>,
}

/// Why a call came to nothing.
enum Trouble {
    /// The driver said no.
    Said(DriverError),
    /// The program died or never ran.
    Died(String),
}

impl Outside {
    /// Starts the program.
    ///
    /// # Errors
    /// Where it cannot be started, or speaks no version of the protocol that the agent speaks.
    pub fn start(mut program: Program) -> Result<Self, DriverError> {
        let broken = |doing: String, said: String| DriverError::Hypervisor { doing, said };
        fs::create_dir_all(&program.folder)
            .and_then(|()| program.folder.canonicalize())
            .map(|folder| program.folder = folder)
            .map_err(crate::folder::failed("make", &program.folder.clone()))?;
        let connection = Connection::start(&program)
            .map_err(|said| broken(format!("start {}", program.path.display()), said))?;
        Ok(Self {
            welcome: connection.welcome().clone(),
            program,
            connection: Mutex::new(Arc::new(connection)),
        })
    }

    /// The running program, started again where it has died.
    fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if connection.why_ended().is_some() {
            let fresh = Connection::start(&self.program)?;
            if *fresh.welcome() != self.welcome {
                return Err(format!(
                    "was {:?} and is now {:?}; start the agent again",
                    self.welcome,
                    fresh.welcome()
                ));
            }
            *connection = Arc::new(fresh);
        }
        Ok(Arc::clone(&connection))
    }

    /// Asks what changes nothing: once more where the program dies over it.
    fn question(&self, doing: &str, ask: &Ask) -> Result<Answer, DriverError> {
        let once = || self.ask(ask.clone(), &Unwatched, self.program.limits.question);
        let answer = match once() {
            Err(Trouble::Died(_)) => once(),
            answer => answer,
        };
        answer.map_err(|trouble| self.told(doing, trouble))
    }

    fn ask(&self, ask: Ask, watch: &dyn Watch, limit: Duration) -> Result<Answer, Trouble> {
        let connection = self.connection().map_err(Trouble::Died)?;
        let cause = watch.cause();
        let within = cause.map_or(limit, |cause| limit.min(until(cause.deadline)));
        let order = cause.map(|cause| Order {
            operation: cause.operation,
            generation: cause.generation,
        });
        let (id, heard) = connection
            .request(ask, order, within)
            .map_err(Trouble::Died)?;
        let begun = Instant::now();
        let mut called_off: Option<(CalledOff, Instant)> = None;
        loop {
            match heard.recv_timeout(TICK) {
                Ok(Heard::Progressed(done_milli)) => watch.progressed(done_milli),
                Ok(Heard::Calling(call)) => watch.calling(&call),
                Ok(Heard::Answered(answer)) => return Ok(answer),
                Ok(Heard::Failed(error)) => return Err(Trouble::Said(error)),
                Err(RecvTimeoutError::Timeout) => {
                    // A helper of a dead program may hold its pipe open.
                    connection.why_ended();
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let why = connection.why_ended();
                    return Err(Trouble::Died(why.unwrap_or_else(|| "ended".to_owned())));
                }
            }
            let in_time = || {
                (begun.elapsed() < within)
                    .then_some(())
                    .ok_or(CalledOff::Expired)
            };
            match called_off {
                None => {
                    if let Err(why) = watch.checkpoint().and_then(|()| in_time()) {
                        connection.cancel(id, why.into());
                        called_off = Some((why, Instant::now()));
                    }
                }
                Some((why, since)) if since.elapsed() > self.program.limits.grace => {
                    let grace = self.program.limits.grace;
                    connection.end(&format!("did not stop within {grace:?} when called off"));
                    let doing = format!("kill {}, which hung", self.program.path.display());
                    return Err(Trouble::Said(DriverError::called_off(&doing, why)));
                }
                Some(_) => {}
            }
        }
    }

    /// A trouble in the agent's words.
    fn told(&self, doing: &str, trouble: Trouble) -> DriverError {
        match trouble {
            Trouble::Said(error) => error,
            Trouble::Died(why) => DriverError::Hypervisor {
                doing: format!("ask {} to {doing}", self.program.path.display()),
                said: format!("it {why}; see {}", self.log().display()),
            },
        }
    }

    /// An answer to something else.
    fn astray(&self, doing: &str, answer: &Answer) -> DriverError {
        DriverError::Hypervisor {
            doing: format!("ask {} to {doing}", self.program.path.display()),
            said: format!("it answered something else: {answer:?}"),
        }
    }

    /// Kills the driver programs over this folder but our own, each with its group.
    fn kill_others(&self) {
        let own = self.connection().map(|connection| connection.pid());
        let folder = self.program.folder.as_os_str().as_encoded_bytes();
        let program = self.program.path.as_os_str().as_encoded_bytes();
        for process in Process::all().filter(|process| own != Ok(process.pid)) {
            let words = process.words();
            if words.last().is_some_and(|word| word == folder)
                && words.iter().any(|word| word == program)
            {
                process.kill_group();
            }
        }
    }

    /// Where the agent keeps what the program says on its standard error.
    pub fn log(&self) -> PathBuf {
        self.program.folder.join(log::LOG)
    }
}

/// The time until an instant of the node's clock.
fn until(deadline: Time) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let left = i128::from(deadline.0) - now.map_or(0, |now| now.as_millis().cast_signed());
    Duration::from_millis(u64::try_from(left.max(0)).unwrap_or(u64::MAX))
}

/// Asks, and takes the one answer that fits.
macro_rules! answered {
    ($self:ident, $doing:expr, $answer:expr, $expected:pat => $value:expr) => {
        match $answer {
            $expected => Ok($value),
            other => Err($self.astray($doing, &other)),
        }
    };
}

impl Driver for Outside {
    fn name(&self) -> &str {
        &self.welcome.driver
    }

    fn fingerprint(&self, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
        let doing = "try what works here";
        let answer = self
            .ask(Ask::Fingerprint, watch, self.program.limits.act)
            .map_err(|trouble| self.told(doing, trouble))?;
        answered!(self, doing, answer, Answer::Fingerprinted(found) => *found)
    }

    fn capabilities(&self) -> Vec<Capability> {
        self.welcome.capabilities.clone()
    }

    fn validate(&self, machine: &Machine) -> Result<(), DriverError> {
        let doing = format!("check {}", machine.vm);
        let machine = Box::new(machine.clone());
        let answer = self.question(&doing, &Ask::Validate { machine })?;
        answered!(self, &doing, answer, Answer::Valid => ())
    }

    fn translate(&self, vm: VmId, act: &Act) -> Result<Vec<NativeCall>, DriverError> {
        let doing = format!("translate {} of {vm}", ActKind::from(act));
        let act = act.clone();
        let answer = self.question(&doing, &Ask::Translate { vm, act })?;
        answered!(self, &doing, answer, Answer::Translated(calls) => calls)
    }

    fn perform(
        &self,
        vm: VmId,
        act: &Act,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> Result<Effect, DriverError> {
        let doing = format!("{} {vm}", ActKind::from(act));
        let ask = Ask::Perform {
            vm,
            act: act.clone(),
            keys: SentKeys(keys.clone()),
        };
        let answer = self
            .ask(ask, watch, self.program.limits.act)
            .map_err(|trouble| self.told(&doing, trouble))?;
        answered!(self, &doing, answer, Answer::Performed(effect) => effect)
    }

    /// Asks this program; where it does not stop the VM within [`OTHERS_PATIENCE`], the programs of other agents over the same folder, which may hang with a lock that it waits
    /// for, are killed with their helpers.
    fn halt(&self, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
        let stop = Act::Stop {
            shutdown: Shutdown::Forced,
        };
        let stopped = |watch: &dyn Watch| match self.inspect(vm)? {
            None => Ok(()),
            Some(_) => self.perform(vm, &stop, &Keys::default(), watch).map(drop),
        };
        let hasty = Hasty {
            until: Instant::now() + OTHERS_PATIENCE,
            watch,
        };
        stopped(&hasty).or_else(|_| {
            self.kill_others();
            stopped(watch)
        })
    }

    fn inspect(&self, vm: VmId) -> Result<Option<Seen>, DriverError> {
        let doing = format!("inspect {vm}");
        let answer = self.question(&doing, &Ask::Inspect { vm })?;
        answered!(self, &doing, answer, Answer::Inspected(seen) => seen)
    }

    fn list(&self) -> Result<Vec<VmId>, DriverError> {
        let answer = self.question("list", &Ask::List)?;
        answered!(self, "list", answer, Answer::Listed(vms) => vms)
    }

    fn statistics(&self, vm: VmId) -> Result<Vec<Reading>, DriverError> {
        let doing = format!("measure {vm}");
        let answer = self.question(&doing, &Ask::Statistics { vm })?;
        answered!(self, &doing, answer, Answer::Measured(readings) => readings)
    }

    fn recover(&self) -> Result<Vec<Seen>, DriverError> {
        let answer = self.question("recover", &Ask::Recover)?;
        answered!(self, "recover", answer, Answer::Recovered(seen) => seen)
    }

    fn console(&self, vm: VmId) -> Result<Console, DriverError> {
        let doing = format!("tell the console of {vm}");
        let answer = self.question(&doing, &Ask::Console { vm })?;
        answered!(self, &doing, answer, Answer::Console(console) => console)
    }
}
