//! The watchdog: a process of its own that outlives the agent and stops the highly available VMs
//! once the node's lease has lapsed.
//!
//! The agent writes down when the lease lapses, by a clock that counts from the boot and that nobody
//! sets, which VMs there are, and the command that stops one, before any of them can run.

use crate::clock::since_boot;
use crate::journal::replace;
use agent::message::Guard;
use agent::settings::Boot;
use drivers::process;
use model::id::VmId;
use model::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A living agent stops its VMs itself; after this long it is taken to hang.
const AGENT_PATIENCE: Span = Span(5_000);

/// While an agent lives that should have stopped its VMs and has not, those that the watchdog has
/// stopped are looked at again this often: an agent that wakes up goes on where it was.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// A dead agent begins nothing, but what it had begun may come up yet, as by a hypervisor's server
/// that takes its time.
const AGAIN_LATE: Duration = Duration::from_secs(5);

/// The command that stops a VM gets this long, and is then begun again.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How often a lock is tried that others only look at.
const LOCK_EVERY: Duration = Duration::from_millis(1);

/// How long an agent waits for its watchdog to be there.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// What the agent wrote down for its watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The boot by whose clock it is; after another one nothing runs any more.
    pub boot: String,
    /// How long after that boot the lease lapses; `None`: it has.
    pub until: Option<Span>,
    /// The VMs.
    pub vms: Vec<VmId>,
    /// The command that stops one; its number is appended.
    pub stop: Vec<String>,
}

impl Orders {
    /// Whether there is anything to watch in this boot.
    fn concern(&self, boot: &str) -> bool {
        self.boot == boot && !self.vms.is_empty()
    }
}

/// The agent's side: keeps the watchdog's orders up to date, and the watchdog alive.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// The node's folder.
    pub root: PathBuf,
    /// The command that becomes the watchdog.
    pub start: Vec<String>,
    /// The command that stops a VM.
    pub stop: Vec<String>,
}

impl Keeper {
    /// Writes the orders, and starts a watchdog where there is something to watch and none does.
    ///
    /// # Errors
    /// Where they cannot be written, or no watchdog comes up.
    pub fn tell(&self, guard: &Guard, boot: &Boot) -> io::Result<()> {
        let file = orders_file(&self.root);
        if guard.vms.is_empty() && !file.exists() {
            return Ok(());
        }
        let orders = Orders {
            boot: boot.id.clone(),
            until: guard.until.map(|until| until - boot.at),
            vms: guard.vms.clone(),
            stop: self.stop.clone(),
        };
        replace(&file, &serde_json::to_vec(&orders)?)?;
        if guard.vms.is_empty() {
            return Ok(());
        }
        self.keep_alive()
    }

    fn keep_alive(&self) -> io::Result<()> {
        let begun = Instant::now();
        let mut started: Option<Child> = None;
        while !is_held(&watchdog_lock(&self.root))? {
            if started.is_none() {
                // A group of its own: what ends the agent's does not end it.
                let mut command = command(&self.start)?;
                started = Some(command.process_group(0).spawn()?);
            }
            if begun.elapsed() > START_PATIENCE {
                let told = format!("no watchdog within {START_PATIENCE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(mut child) = started {
            // Whoever starts a process waits for it, or it stays as a zombie.
            thread::spawn(move || child.wait());
        }
        Ok(())
    }
}

/// Watches until there is nothing left to watch: no highly available VM, and no agent.
///
/// # Errors
/// Where the node's folder cannot be read.
pub fn watch(root: &Path) -> io::Result<()> {
    let path = watchdog_lock(root);
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(false);
    let boot = process::boot()?;
    loop {
        let lock = options.open(&path)?;
        // Whoever only looks at the lock holds it for a moment, together with others who look.
        while lock.try_lock().is_err() {
            if is_held(&path)? {
                return Ok(()); // another one watches
            }
            thread::sleep(LOCK_EVERY);
        }
        watch_alone(root, &boot);
        drop(lock);
        // An agent that came at the last moment has taken this watchdog for one that watches.
        if !matches!(read_orders(root), Ok(Some(orders)) if orders.concern(&boot)) {
            return Ok(());
        }
    }
}

fn watch_alone(root: &Path, boot: &str) {
    let mut stops = BTreeMap::new();
    let mut latest: Option<(Orders, Span)> = None;
    loop {
        // The file is replaced whole, so one that cannot be read is damage, or a node short of
        // something: what was read last holds on.
        let found = read_orders(root);
        let is_known = found.is_ok();
        let orders = found.unwrap_or_else(|_| latest.as_ref().map(|(orders, _)| orders.clone()));
        // An agent that cannot be looked for does not stop its VMs either.
        let alive = is_held(&agent_lock(root)).unwrap_or(false);
        match orders.filter(|orders| orders.concern(boot)) {
            Some(orders) => {
                // Other VMs are no other lease.
                let known = latest
                    .take()
                    .filter(|(known, _)| known.until == orders.until);
                let heard = known.map_or_else(since_boot, |(_, heard)| heard);
                if is_due(&orders, heard, alive) {
                    stop_lapsed(&orders, alive, &mut stops);
                } else {
                    // Whatever stops one still is seen to its end.
                    stops.retain(|_, stop| matches!(stop, Stop::UnderWay(..)));
                    stops.values_mut().for_each(Stop::look);
                }
                latest = Some((orders, heard));
            }
            None if !alive && is_known => return,
            None => {}
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The agent's orders; `None`: it has given none.
fn read_orders(root: &Path) -> io::Result<Option<Orders>> {
    match fs::read(orders_file(root)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the VMs are to be stopped by the watchdog now. A living agent that has just given these
/// orders is about to act on them, and may be about to hear of a new lease.
fn is_due(orders: &Orders, heard: Span, alive: bool) -> bool {
    let until = orders.until.unwrap_or(Span(0));
    let due = if alive {
        Span(until.max(heard).0.saturating_add(AGENT_PATIENCE.0))
    } else {
        until
    };
    since_boot() >= due
}

/// How far the stop of one VM is.
enum Stop {
    /// The command was begun then.
    UnderWay(Child, Instant),
    /// It has failed, or hung.
    Failed,
    /// It has ended well, then.
    Done(Instant),
}

impl Stop {
    fn begin(orders: &Orders, vm: VmId) -> Self {
        let mut words = orders.stop.clone();
        words.push(vm.0.to_string());
        match command(&words).and_then(|mut command| command.spawn()) {
            Ok(child) => Self::UnderWay(child, Instant::now()),
            Err(error) => {
                eprintln!("stop {vm}: {error}");
                Self::Failed
            }
        }
    }

    fn look(&mut self) {
        let Self::UnderWay(child, begun) = self else {
            return;
        };
        *self = match child.try_wait() {
            Ok(None) if begun.elapsed() < STOP_PATIENCE => return,
            Ok(Some(status)) if status.success() => Self::Done(Instant::now()),
            _ => {
                child.kill().and_then(|()| child.wait()).ok();
                Self::Failed
            }
        };
    }
}

/// Begins to stop what was not stopped yet, and what an agent may have started since; each VM by
/// itself, so that none waits for another.
fn stop_lapsed(orders: &Orders, alive: bool, stops: &mut BTreeMap<VmId, Stop>) {
    stops.values_mut().for_each(Stop::look);
    stops.retain(|vm, stop| orders.vms.contains(vm) || matches!(stop, Stop::UnderWay(..)));
    for &vm in &orders.vms {
        let stop = stops.entry(vm).or_insert_with(|| Stop::begin(orders, vm));
        let again = match stop {
            Stop::UnderWay(..) => false,
            Stop::Failed => true,
            Stop::Done(at) if alive => at.elapsed() >= AGAIN_EVERY,
            Stop::Done(at) => at.elapsed() >= AGAIN_LATE,
        };
        if again {
            *stop = Stop::begin(orders, vm);
        }
    }
}

/// The lock that a living agent holds.
pub fn agent_lock(root: &Path) -> PathBuf {
    root.join("agent.lock")
}

/// The lock that a living watchdog holds.
pub fn watchdog_lock(root: &Path) -> PathBuf {
    root.join("watchdog.lock")
}

fn orders_file(root: &Path) -> PathBuf {
    root.join("watchdog.json")
}

/// Whether somebody holds a lock.
///
/// # Errors
/// Where the file is there and cannot be opened.
pub fn is_held(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => Ok(matches!(
            file.try_lock_shared(),
            Err(fs::TryLockError::WouldBlock)
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn command(words: &[String]) -> io::Result<Command> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command was given"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}
