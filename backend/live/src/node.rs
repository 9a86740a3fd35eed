//! One node's agent at work: the loop between its step function, its journal, its hands and those
//! who ask.
//!
//! ```text
//!  sockets ─┐                       ┌─▶ journal ─ synced ─┐
//!  hands  ──┼─▶ channel ─▶ Agent ───┤                     ├─▶ hands, watchdog, reports
//!  sampler ─┘                       └─────────────────────┘
//! ```
//! One thread steps; whatever came meanwhile is taken in together and written with one sync.

mod answers;

use crate::clock::Clock;
use crate::config::Config;
use crate::hands::{Crew, Hand, Hands};
use crate::journal::{Found, Journal, JournalError};
use crate::lending::Lending;
use crate::rates::Rates;
use crate::sampler::{self, Sampler};
use crate::socket::{self, Asked, Reports};
use crate::watchdog::{Keeper, agent_lock};
use agent::agent::Agent;
use agent::driver::{Driver, DriverError};
use agent::journal::Entry;
use agent::message::{Guard, Input, Output};
use agent::settings::Boot;
use agent::step::SeenState;
use drivers::killpoint;
use link::protocol::Answer;
use model::id::VmId;
use model::report::Report;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How often the agent is told that time passes.
const TICK: Duration = Duration::from_millis(200);

/// Messages taken in together: enough for one sync to serve all VMs of a node, few enough that the
/// first of them is answered soon.
const MOST_TOGETHER: usize = 256;

/// Messages that wait to be taken in: all that hands, connections and the sampler of a full node
/// have to say at once. Whoever has more to say waits, and so has nothing to hold meanwhile.
const MOST_WAITING: usize = 1_024;

/// How long steps under way may take once the agent is to end; what is left is begun again by the
/// next.
const GRACE: Duration = Duration::from_secs(10);

/// How long a starting agent waits for the lock of one that ends: on a busy node, a child that the
/// dead one was just starting may hold it until it runs its own program.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What ends an agent early.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The hypervisor does not tell its VMs.
    #[error("find the VMs again: {0}")]
    Driver(#[from] DriverError),
    /// A file, socket or process.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// Its folder cannot be closed to others.
    #[error("close the node's folder to others: {0}")]
    Open(#[from] image::error::Error),
    /// Another agent is here.
    #[error("another agent has {0}; hint: one node has one agent")]
    Taken(String),
}

/// A node's folder, which is this process's alone.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

impl Claim {
    /// Claims a folder, making it where it is not there, before anything in it is opened.
    ///
    /// # Errors
    /// Where another agent has it, or it cannot be made.
    pub fn new(root: &Path) -> Result<Self, NodeError> {
        fs::create_dir_all(root).map_err(failed("make the node's folder"))?;
        image::sandbox::let_through(root)?;
        Ok(Self { _lock: lock(root)? })
    }
}

/// What an agent works with.
pub struct Tools {
    /// The node's folder.
    pub claim: Claim,
    /// The node's hypervisor.
    pub driver: Arc<dyn Driver>,
    /// Its disks and images.
    pub disks: Arc<dyn Hand>,
    /// Its network.
    pub network: Arc<dyn Hand>,
    /// Its VMs that move standing still.
    pub moves: Arc<dyn Hand>,
    /// Its volumes that are lent.
    pub lending: Arc<Lending>,
    /// Its watchdog.
    pub keeper: Keeper,
}

/// What the loop is told.
enum Message {
    Input(Input),
    Asked(Asked),
    End,
}

/// Ends a running agent; VMs run on.
#[derive(Clone)]
pub struct Ender(SyncSender<Message>);

impl Ender {
    /// Asks the agent to end.
    pub fn end(&self) {
        // One that has ended already hears nothing.
        self.0.send(Message::End).ok();
    }
}

/// An agent that has found its VMs again and is about to work.
pub struct Node {
    agent: Agent,
    journal: Journal,
    crew: Crew,
    driver: Arc<dyn Driver>,
    lending: Arc<Lending>,
    keeper: Keeper,
    clock: Clock,
    boot: Boot,
    followers: Vec<Reports>,
    /// Answers that are due once the journal is on disk.
    due: Vec<(SyncSender<Answer>, Answer)>,
    inbox: Receiver<Message>,
    config: Config,
    ending: Option<Instant>,
    /// What [`Agent::recover`] wants done first.
    first: Vec<Output>,
    _claim: Claim,
}

impl Node {
    /// Reads the journal, finds the VMs, opens the socket, and knows how to go on with what was
    /// under way.
    ///
    /// # Errors
    /// Where the journal is damaged, or the hypervisor does not answer.
    pub fn open(config: Config, tools: Tools) -> Result<(Self, Ender), NodeError> {
        let root = &config.root;
        let Found {
            journal,
            entries,
            torn_bytes,
        } = Journal::open(&root.join("journal"))?;
        if torn_bytes > 0 {
            eprintln!("the journal's torn end of {torn_bytes} bytes was cut off");
        }
        let clock = Clock::start();
        let boot = clock.boot().map_err(failed("ask for the node's boot"))?;
        let settings = config.settings(boot.clone());
        let settings = settings.map_err(failed("ask for the size of the node's disk"))?;
        let known: BTreeSet<VmId> = tools.driver.list()?.into_iter().collect();
        let (seen, silent) = find(&*tools.driver, &known)?;
        let (sender, inbox) = sync_channel(MOST_WAITING);
        let asks = sender.clone();
        socket::listen(&config.listen(), socket::Limits::default(), move |asked| {
            asks.send(Message::Asked(asked)).ok();
        })
        .map_err(failed("listen"))?;
        let rates = Arc::new(Mutex::new(Rates::default()));
        let hands = Hands {
            node: settings.node,
            clock,
            driver: tools.driver.clone(),
            disks: tools.disks,
            network: tools.network,
            moves: tools.moves,
            lending: tools.lending.clone(),
            rates: rates.clone(),
        };
        let inputs = sender.clone();
        let tell: crate::hands::Tell = Arc::new(move |input| {
            inputs.send(Message::Input(input)).ok();
        });
        sampler::start(Sampler {
            node: settings.node,
            root: root.clone(),
            clock,
            driver: tools.driver.clone(),
            rates,
            every: Duration::from_secs(u64::from(config.sample_seconds.max(1))),
            known,
            answering: BTreeSet::new(),
            tell: tell.clone(),
        });
        let mut first = Vec::new();
        let agent = Agent::recover(settings, entries, seen, silent, clock.now(), &mut first);
        let node = Self {
            agent,
            journal,
            crew: Crew::new(hands, tell),
            driver: tools.driver,
            lending: tools.lending,
            keeper: tools.keeper,
            clock,
            boot,
            followers: Vec::new(),
            due: Vec::new(),
            inbox,
            config,
            ending: None,
            first,
            _claim: tools.claim,
        };
        Ok((node, Ender(sender)))
    }

    /// Works until it is asked to end.
    ///
    /// # Errors
    /// Where the journal cannot be written: an agent that cannot remember must not act.
    pub fn run(mut self) -> Result<(), NodeError> {
        let first = std::mem::take(&mut self.first);
        self.carry_out(first)?;
        let mut ticked = Instant::now();
        loop {
            let mut out = Vec::new();
            match self.inbox.recv_timeout(TICK) {
                Ok(message) => self.hear(message, &mut out),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            for _ in 1..MOST_TOGETHER {
                let Ok(message) = self.inbox.try_recv() else {
                    break;
                };
                self.hear(message, &mut out);
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.agent.step(self.clock.now(), Input::Ticked, &mut out);
            }
            self.carry_out(out)?;
            if let Some(asked) = self.ending
                && (self.crew.is_idle() || asked.elapsed() >= GRACE)
            {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Input(input) => {
                if let Input::Ended { operation, .. } = &input {
                    self.crew.ended(*operation);
                }
                self.agent.step(self.clock.now(), input, out);
            }
            Message::Asked(asked) => self.answer(asked, out),
            Message::End => self.ending = self.ending.or_else(|| Some(Instant::now())),
        }
    }

    fn carry_out(&mut self, out: Vec<Output>) -> Result<(), NodeError> {
        self.write(&out)?;
        for (asker, answer) in self.due.drain(..) {
            // Whoever has gone meanwhile is told nothing.
            asker.try_send(answer).ok();
        }
        let mut not_begun = Vec::new();
        for output in out {
            match output {
                Output::Write(_) | Output::Note(_) | Output::Rewrite(_) => {}
                // What an ending agent does not begin, the next one does.
                Output::Begin(_) if self.ending.is_some() => {}
                Output::Begin(task) => not_begun.extend(self.crew.begin(*task).err()),
                Output::CallOff { operation, .. } => self.crew.call_off(operation),
                Output::Report(report) => self.report(report),
                Output::Guard(guard) => self.guard(&guard)?,
            }
        }
        // Each fails its operation or makes it wait longer, so that this ends.
        let mut out = Vec::new();
        for input in not_begun {
            self.agent.step(self.clock.now(), *input, &mut out);
        }
        if out.is_empty() {
            return Ok(());
        }
        self.carry_out(out)
    }

    /// All entries at once, and one sync for all of them: they are then durable before any output is
    /// acted on, which is more than is asked.
    fn write(&mut self, out: &[Output]) -> Result<(), NodeError> {
        let mut durably = false;
        for output in out {
            match output {
                Output::Write(entry) => {
                    killpoint::around(
                        || format!("writing {}", word(entry)),
                        || self.journal.append(std::slice::from_ref(entry)),
                    )?;
                    durably = true;
                }
                Output::Note(entry) => self.journal.append(std::slice::from_ref(entry))?,
                Output::Rewrite(entries) => killpoint::around(
                    || "writing all anew".to_owned(),
                    || self.journal.rewrite(entries),
                )?,
                _ => {}
            }
        }
        if durably {
            self.journal.sync()?;
        }
        Ok(())
    }

    /// A follower that has gone, or that does not keep up, hears nothing more.
    fn report(&mut self, report: Report) {
        let report = Arc::new(report);
        self.followers
            .retain(|follower| follower.try_send(report.clone()).is_ok());
    }

    fn guard(&self, guard: &Guard) -> Result<(), NodeError> {
        let told = self.keeper.tell(guard, &self.boot);
        told.map_err(failed("tell the watchdog"))
    }
}

/// The VMs that answer, and those that do not; the sampler looks at these again.
fn find(
    driver: &dyn Driver,
    known: &BTreeSet<VmId>,
) -> Result<(Vec<SeenState>, BTreeSet<VmId>), DriverError> {
    let mut silent = known.clone();
    let found = driver.recover()?.into_iter().map(|seen| {
        silent.remove(&seen.vm);
        SeenState {
            vm: seen.vm,
            state: Some(seen.state),
        }
    });
    let found = found.collect();
    for vm in &silent {
        eprintln!("{vm} does not answer; its state is unknown until it does");
    }
    Ok((found, silent))
}

/// The word by which an entry is written.
fn word(entry: &Entry) -> String {
    let value = serde_json::to_value(entry).unwrap_or_default();
    value["entry"].as_str().unwrap_or_default().to_owned()
}

fn lock(root: &Path) -> Result<File, NodeError> {
    let path = agent_lock(root);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(failed("open the node's lock"))?;
    let begun = Instant::now();
    // The watchdog looks at the lock now and then, and a former agent may be about to end.
    while file.try_lock().is_err() {
        if begun.elapsed() > LOCK_PATIENCE {
            return Err(NodeError::Taken(root.display().to_string()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(file)
}

fn failed(doing: &str) -> impl Fn(io::Error) -> NodeError {
    let doing = doing.to_owned();
    move |source| NodeError::Io {
        doing: doing.clone(),
        source,
    }
}
