//! Hands: they do what a step says, on threads of their own, and tell the agent how it went.
//!
//! A thread a step, and no pool: the agent bounds them (one a VM, at most
//! [`agent::agent::MAX_OPEN`]), and a step that waits for a guest's shutdown must not hold up others.

use crate::clock::Clock;
use crate::rates::Rates;
use agent::driver::{Act, Driver, DriverError, NativeCall};
use agent::message::{Input, Task};
use agent::secret::Keys;
use agent::step::{Failure, FailureKind, Gained, SeenState, Step};
use agent::watch::{CalledOff, Cause, Watch};
use drivers::killpoint;
use model::id::{Generation, NodeId, OperationId, VmId};
use model::report::VmState;
use model::time::Time;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a VM that moves here is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a part of the steps is done: those on disks and images, or those on the network.
pub trait Hand: Send + Sync {
    /// Does one step; one that is another hand's is refused.
    ///
    /// # Errors
    /// Where it could not; whatever it left is found by the steps that undo it.
    fn perform(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure>;
}

/// All that a node has to act with.
#[derive(Clone)]
pub struct Hands {
    /// Which node.
    pub node: NodeId,
    /// Its clock.
    pub clock: Clock,
    /// Its hypervisor.
    pub driver: Arc<dyn Driver>,
    /// Its disks and images.
    pub disks: Arc<dyn Hand>,
    /// Its network.
    pub network: Arc<dyn Hand>,
    /// Its VMs that move standing still.
    pub moves: Arc<dyn Hand>,
    /// Its volumes that are lent.
    pub lending: Arc<dyn Hand>,
    /// The totals that were read last.
    pub rates: Arc<Mutex<Rates>>,
}

/// How a hand tells the agent.
pub type Tell = Arc<dyn Fn(Input) + Send + Sync>;

/// Steps under way.
pub struct Crew {
    hands: Hands,
    tell: Tell,
    under_way: BTreeMap<OperationId, Arc<AtomicBool>>,
}

impl Crew {
    /// Hands that tell by this function.
    pub fn new(hands: Hands, tell: Tell) -> Self {
        Self {
            hands,
            tell,
            under_way: BTreeMap::new(),
        }
    }

    /// Begins a step; its end is told.
    ///
    /// # Errors
    /// Where the node has no thread for it: its end, which nobody else tells.
    pub fn begin(&mut self, task: Task) -> Result<(), Box<Input>> {
        let cancelled = Arc::new(AtomicBool::new(false));
        self.under_way.insert(task.operation, cancelled.clone());
        let (hands, tell) = (self.hands.clone(), self.tell.clone());
        let name = format!("step {}", task.operation.0);
        let operation = task.operation;
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let mut ending = Ending {
                operation,
                tell: &tell,
                result: Some(Err(broken("the step panicked; see the agent's log"))),
            };
            let watch = Follower {
                operation,
                generation: task.generation,
                deadline: task.deadline,
                cancelled,
                clock: hands.clock,
                told_milli: AtomicU16::new(0),
                tell: &tell,
            };
            ending.result = Some(killpoint::around(
                || task.step.to_string(),
                || hands.perform(&task.step, &task.keys, &watch),
            ));
        });
        spawned.map(drop).map_err(|error| {
            self.ended(operation);
            let result = Err(broken(&format!("start a thread: {error}")));
            Box::new(Input::Ended { operation, result })
        })
    }

    /// Calls off the step of an operation.
    pub fn call_off(&self, operation: OperationId) {
        if let Some(cancelled) = self.under_way.get(&operation) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// The step of an operation has ended.
    pub fn ended(&mut self, operation: OperationId) {
        self.under_way.remove(&operation);
    }

    /// Whether no step is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}

impl Hands {
    fn perform(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        match step {
            Step::Act { vm, act } => self.act(*vm, act, keys, watch),
            Step::Await { vm } => self.wait_for(*vm, watch),
            Step::Measure { vm } => {
                let readings = self.driver.statistics(*vm).map_err(failure)?;
                let at = self.clock.now();
                let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(Gained {
                    samples: rates.samples(self.node, Some(*vm), at, readings),
                    ..Gained::default()
                })
            }
            Step::Expect { .. }
            | Step::Arrive { .. }
            | Step::Dismiss { .. }
            | Step::Knock { .. }
            | Step::Ship { .. }
            | Step::Cede { .. } => self.moves.perform(step, keys, watch),
            Step::Lend { .. } | Step::Withdraw { .. } | Step::Fill { .. } => {
                self.lending.perform(step, keys, watch)
            }
            Step::Plug { .. } | Step::Unplug { .. } => self.network.perform(step, keys, watch),
            _ => self.disks.perform(step, keys, watch),
        }
    }

    fn act(&self, vm: VmId, act: &Act, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        let effect = self.driver.perform(vm, act, keys, watch);
        let effect = effect.map_err(failure)?;
        let mut states = vec![SeenState {
            vm,
            state: effect.state,
        }];
        if let Act::Copy { to } = act {
            let seen = self.driver.inspect(to.vm).map_err(failure)?;
            states.push(SeenState {
                vm: to.vm,
                state: seen.map(|seen| seen.state),
            });
        }
        Ok(Gained {
            states,
            listening: effect.listening,
            downtime_millis: effect.downtime_millis,
            ..Gained::default()
        })
    }

    fn wait_for(&self, vm: VmId, watch: &dyn Watch) -> Result<Gained, Failure> {
        loop {
            // Asked before the look: one that comes while it is called off is seen.
            let called_off = watch.checkpoint();
            let state = self.driver.inspect(vm).map_err(failure)?.map(|s| s.state);
            // It may have run and ended between two looks.
            if !matches!(state, None | Some(VmState::Migrating)) {
                return Ok(Gained {
                    states: vec![SeenState { vm, state }],
                    ..Gained::default()
                });
            }
            called_off.map_err(|why| Failure {
                kind: FailureKind::CalledOff,
                reason: why.to_string(),
            })?;
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// A failure of something that was tried.
pub fn broken(reason: &str) -> Failure {
    Failure {
        kind: FailureKind::Broken,
        reason: reason.to_owned(),
    }
}

/// A failure of something that this node does not do; nothing was tried.
pub fn refused(reason: &str) -> Failure {
    Failure {
        kind: FailureKind::Refused,
        reason: reason.to_owned(),
    }
}

/// A driver's failure, in the agent's words.
pub(crate) fn failure(error: DriverError) -> Failure {
    let kind = match &error {
        DriverError::Unsupported { .. }
        | DriverError::Illegal { .. }
        | DriverError::Invalid { .. } => FailureKind::Refused,
        DriverError::CalledOff { .. } => FailureKind::CalledOff,
        DriverError::Unfinished { .. } => FailureKind::Unfinished,
        DriverError::KeyMissing { .. }
        | DriverError::Missing { .. }
        | DriverError::Hypervisor { .. } => FailureKind::Broken,
    };
    Failure {
        kind,
        reason: error.to_string(),
    }
}

/// Tells the end of a step even where it panicked.
struct Ending<'a> {
    operation: OperationId,
    tell: &'a Tell,
    result: Option<Result<Gained, Failure>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(result) = self.result.take() {
            (self.tell)(Input::Ended {
                operation: self.operation,
                result,
            });
        }
    }
}

/// Follows one step for the agent.
struct Follower<'a> {
    operation: OperationId,
    generation: Generation,
    deadline: Option<Time>,
    cancelled: Arc<AtomicBool>,
    clock: Clock,
    /// What was told last, in thousandths.
    told_milli: AtomicU16,
    tell: &'a Tell,
}

/// Progress in smaller portions than this is not told: a hundred messages a step are enough.
const TOLD_PORTION_MILLI: u16 = 10;

impl Watch for Follower<'_> {
    fn progressed(&self, done_milli: u16) {
        let told = self.told_milli.load(Ordering::Relaxed);
        if done_milli >= told.saturating_add(TOLD_PORTION_MILLI) {
            self.told_milli.store(done_milli, Ordering::Relaxed);
            (self.tell)(Input::Progressed {
                operation: self.operation,
                done_milli,
            });
        }
    }

    fn calling(&self, call: &NativeCall) {
        (self.tell)(Input::Called {
            operation: self.operation,
            call: call.clone(),
        });
        killpoint::pass(|| format!("before the call {}", call.interface));
    }

    fn checkpoint(&self) -> Result<(), CalledOff> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CalledOff::Cancelled);
        }
        match self.deadline {
            Some(deadline) if deadline <= self.clock.now() => Err(CalledOff::Expired),
            _ => Ok(()),
        }
    }

    fn cause(&self) -> Option<Cause> {
        Some(Cause {
            operation: self.operation,
            generation: self.generation,
            deadline: self.deadline.unwrap_or(Time::NEVER),
        })
    }
}
