//! The thread that steps: whatever comes is taken in, written down with one sync, and acted on.

use crate::agents::{Agents, Ask};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};
use control::backend::{Command, Refused};
use control::controller::Controller;
use control::journal::Entry;
use control::message::{Input, Output};
use control::settings::Settings;
use control::shown::{EventShown, Names};
use model::event::Event;
use model::grid::Grid;
use model::id::OperationId;
use model::time::{Span, Time};
use model::view::View;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

/// How often the controller is told that time passes.
const TICK: Duration = Duration::from_secs(1);

/// Messages taken in together: enough for one sync to serve a grid that reports at once, few enough that
/// the first of them is answered soon.
const MOST_TOGETHER: usize = 1_024;

/// After how many entries the journal is shortened: reading them takes a second.
const SHORTEN_AFTER: usize = 20_000;

/// Why a controller ends.
#[derive(Debug, thiserror::Error)]
pub enum RulerError {
    /// What it decided cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What the thread is told.
enum Told {
    Input(Input),
    Submitted {
        operation: OperationId,
        command: Box<Command>,
        answer: oneshot::Sender<Result<(), Refused>>,
    },
    Asked(Box<dyn FnOnce(&Controller) + Send>),
    End,
}

/// What the thread shows: the view and its number, which grows whenever the view changes.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How often the view has changed.
    pub number: u64,
    /// The view.
    pub view: Arc<View>,
    /// How many events there were.
    pub events: u64,
}

/// The way to the thread; clones lead to the same.
#[derive(Clone)]
pub struct Ruler {
    told: Sender<Told>,
    shown: watch::Receiver<Shown>,
}

/// The thread has ended, as the process is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller is ending")]
pub struct Ending;

impl Ruler {
    /// Tells it something.
    pub fn tell(&self, input: Input) {
        // One that has ended hears nothing.
        self.told.send(Told::Input(input)).ok();
    }

    /// Asks for something; answered once the answer is on disk.
    ///
    /// # Errors
    /// Where the controller is ending.
    pub async fn submit(
        &self,
        operation: OperationId,
        command: Command,
    ) -> Result<Result<(), Refused>, Ending> {
        let (answer, answered) = oneshot::channel();
        let command = Box::new(command);
        let told = Told::Submitted {
            operation,
            command,
            answer,
        };
        self.told.send(told).map_err(|_| Ending)?;
        answered.await.map_err(|_| Ending)
    }

    /// Looks at the controller as it is between two steps.
    ///
    /// # Errors
    /// Where the controller is ending.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
    ) -> Result<T, Ending> {
        let (answer, answered) = oneshot::channel();
        let look = move |controller: &Controller| {
            // Whoever has gone meanwhile is told nothing.
            answer.send(look(controller)).ok();
        };
        self.told
            .send(Told::Asked(Box::new(look)))
            .map_err(|_| Ending)?;
        answered.await.map_err(|_| Ending)
    }

    /// What it shows, as it changes.
    pub fn shown(&self) -> watch::Receiver<Shown> {
        self.shown.clone()
    }

    /// Ends it; what was accepted goes on with the next one.
    pub fn end(&self) {
        self.told.send(Told::End).ok();
    }
}

/// The thread's own.
pub struct Reign {
    controller: Controller,
    store: Store,
    vault: Vault,
    agents: Arc<Agents>,
    metrics: Arc<Metrics>,
    clock: Clock,
    inbox: Receiver<Told>,
    shown: watch::Sender<Shown>,
    /// Who waits for the answer to an operation.
    waiting: BTreeMap<OperationId, Vec<oneshot::Sender<Result<(), Refused>>>>,
    names: Names,
    events: u64,
    entries: usize,
}

impl Reign {
    /// Goes on where the journal's writer was killed.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn new(
        settings: Settings,
        grid: Arc<Grid>,
        store: Store,
        vault: Vault,
        agents: Arc<Agents>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Ruler), RulerError> {
        let clock = Clock::start();
        let journal = store.journal()?;
        let entries = journal.len();
        let controller = Controller::recover(settings, grid, journal, clock.now());
        let events = store.events_so_far()?;
        let mut names = Names::default();
        names.learn(controller.ledger());
        let (told, inbox) = channel();
        let (shown, seen) = watch::channel(Shown {
            number: 0,
            view: Arc::clone(controller.view()),
            events,
        });
        let ruler = Ruler { told, shown: seen };
        let reign = Self {
            controller,
            store,
            vault,
            agents,
            metrics,
            clock,
            inbox,
            shown,
            waiting: BTreeMap::new(),
            names,
            events,
            entries,
        };
        Ok((reign, ruler))
    }

    /// Steps until it is ended.
    ///
    /// # Errors
    /// Where what it decided cannot be written down: nothing of it was done then.
    pub fn run(mut self) -> Result<(), RulerError> {
        let mut ticked = Instant::now();
        self.step([Input::Ticked])?;
        loop {
            let rest = TICK.saturating_sub(ticked.elapsed());
            let first = match self.inbox.recv_timeout(rest) {
                Ok(told) => Some(told),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let more = std::iter::from_fn(|| self.inbox.try_recv().ok()).take(MOST_TOGETHER);
            let all: Vec<Told> = first.into_iter().chain(more).collect();
            let mut inputs = Vec::new();
            for told in all {
                match told {
                    Told::Input(input) => inputs.push(input),
                    Told::Submitted {
                        operation,
                        command,
                        answer,
                    } => {
                        self.waiting.entry(operation).or_default().push(answer);
                        inputs.push(Input::Submitted { operation, command });
                    }
                    Told::Asked(look) => {
                        self.step(inputs.drain(..))?;
                        look(&self.controller);
                    }
                    Told::End => return self.step(inputs),
                }
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                inputs.push(Input::Ticked);
            }
            self.step(inputs)?;
        }
    }

    /// Takes all in, writes what came of it, and only then acts on it.
    fn step(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<(), RulerError> {
        let begun = Instant::now();
        let mut out = Vec::new();
        let mut steps = 0;
        for input in inputs {
            self.controller.step(self.clock.now(), input, &mut out);
            steps += 1;
        }
        if steps == 0 {
            return Ok(());
        }
        self.metrics.stepped(steps, begun.elapsed());
        self.write(&out)?;
        for output in out {
            self.act(output)?;
        }
        self.show();
        if self.entries > SHORTEN_AFTER {
            self.store.shorten(self.controller.ledger())?;
            self.entries = 1;
        }
        Ok(())
    }

    fn write(&mut self, out: &[Output]) -> Result<(), StoreError> {
        let entries: Vec<&Entry> = out.iter().filter_map(entry).collect();
        self.names.learn(self.controller.ledger());
        let grid = &self.controller.view().grid;
        let events = (self.events..).zip(out.iter().filter_map(event));
        let events = events.map(|(number, event)| self.names.tell(number, event.clone(), grid));
        let events: Vec<EventShown> = events.collect();
        if entries.is_empty() && events.is_empty() {
            return Ok(());
        }
        self.store.write(entries.iter().copied(), &events)?;
        self.entries += entries.len();
        self.events += events.len() as u64;
        for EventShown { text, event, .. } in events {
            let operation = event.operation.map(|operation| operation.0);
            tracing::info!(operation, "{text}");
        }
        Ok(())
    }

    fn act(&mut self, output: Output) -> Result<(), RulerError> {
        match output {
            Output::Write(_) | Output::Happened(_) => {}
            Output::Answer { operation, answer } => {
                for waiting in self.waiting.remove(&operation).into_iter().flatten() {
                    waiting.send(answer.clone()).ok();
                }
            }
            Output::Send { order, keys } => {
                let keys = self.vault.keys(&self.store, &keys)?;
                self.metrics.orders.fetch_add(1, Ordering::Relaxed);
                self.agents.ask(order.node, Ask::Order(order, keys));
            }
            Output::CallOff { node, order } => self.agents.ask(node, Ask::CallOff(order)),
            Output::Lease { node, from, span } => {
                self.agents.ask(node, Ask::Renew { from, span });
            }
        }
        Ok(())
    }

    fn show(&mut self) {
        let events = self.events;
        let view = self.controller.view();
        self.shown.send_if_modified(|shown| {
            let is_new = !Arc::ptr_eq(&shown.view, view);
            if is_new {
                shown.number += 1;
                shown.view = Arc::clone(view);
            }
            let has_more = shown.events != events;
            shown.events = events;
            is_new || has_more
        });
    }
}

fn entry(output: &Output) -> Option<&Entry> {
    match output {
        Output::Write(entry) => Some(entry),
        _ => None,
    }
}

fn event(output: &Output) -> Option<&Event> {
    match output {
        Output::Happened(event) => Some(event),
        _ => None,
    }
}

/// The wall's time at the start, and from there on steps that nobody sets back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    start: Instant,
}

impl Clock {
    /// A clock set by the wall's.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = wall.map_or(0, |since| since.as_millis());
        Self {
            wall: Time(i64::try_from(millis).unwrap_or(i64::MAX)),
            start: Instant::now(),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> Time {
        let since = i64::try_from(self.start.elapsed().as_millis());
        self.wall + Span(since.unwrap_or(i64::MAX))
    }
}
