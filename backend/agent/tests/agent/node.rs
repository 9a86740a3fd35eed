//! Runs an agent over a modelled node, kills it at numbered points, and lets another go on.

use agent::agent::Agent;
use agent::journal::Entry;
use agent::ledger::Ledger;
use agent::message::{Guard, Input, Output, Task};
use agent::modelled::Hands;
use agent::naming::{Naming, Plugging, Roots};
use agent::secret::Keys;
use agent::settings::{Boot, Settings};
use model::fingerprint::Reserved;
use model::id::{KeyId, NodeId, OperationId, VmId};
use model::order::Order;
use model::report::{Outcome, Report};
use model::time::{Span, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What befalls operations while the agent is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    /// All deadlines pass.
    Expire,
    /// Everything is called off, as the first that the next agent hears.
    CallOff,
}

/// The agent was killed.
#[derive(Debug)]
pub struct Killed;

/// A node, its agent, and the controller that waits for reports.
pub struct Node {
    pub world: Hands,
    /// The journal as text, as a disk would hold it.
    pub journal: Vec<String>,
    pub agent: Agent,
    /// The node's boot, by its clock.
    pub boot: Boot,
    pub now: Time,
    /// Ends that were reported, all of them.
    pub ends: BTreeMap<OperationId, Vec<Outcome>>,
    /// All reports.
    pub reports: Vec<Report>,
    /// Points passed so far, by name.
    pub points: Vec<String>,
    /// Points at which it is to be killed, by number.
    pub kill_at: BTreeSet<usize>,
    pub meanwhile: Meanwhile,
    /// Calls of the hands that break, by their number.
    pub breaks: BTreeSet<usize>,
    /// Which of the steps under way ends next, by turns; empty: the first.
    pub choices: VecDeque<usize>,
    /// What the watchdog was told last.
    pub guard: Option<Guard>,
    /// VMs that do not answer an agent that starts.
    pub silent: BTreeSet<VmId>,
    /// Orders whose end was not reported.
    pub sent: BTreeMap<OperationId, Order>,
    out: VecDeque<Output>,
    hands: Vec<(Task, bool)>,
    calls: usize,
}

/// Where everything is in these tests.
pub fn naming() -> Naming {
    Naming {
        root: "/node".into(),
        plugging: Plugging::Tap,
        roots: Roots::Kept,
        first_disk: "/dev/vda".to_owned(),
    }
}

fn settings(boot: &Boot) -> Settings {
    Settings {
        node: NodeId(1),
        boot: boot.clone(),
        naming: naming(),
        host: Some("192.0.2.1".to_owned()),
        disk_mib: 10_000,
        reserved: Reserved::default(),
        signer: "5a".repeat(32),
    }
}

/// Keys of every id that tests use.
pub fn keys() -> Keys {
    let mut keys = Keys::default();
    keys.insert(KeyId(1), b"first".to_vec());
    keys.insert(KeyId(2), b"second".to_vec());
    keys
}

impl Node {
    /// A node on which nothing was ever done, with a lease.
    pub fn new() -> Self {
        let mut out = Vec::new();
        let now = Time(1_000);
        let boot = Boot {
            id: "boot".to_owned(),
            at: Time(400),
        };
        let agent = Agent::recover(settings(&boot), [], [], [], now, &mut out);
        let mut node = Self {
            world: Hands::default(),
            journal: Vec::new(),
            agent,
            boot,
            now,
            ends: BTreeMap::new(),
            reports: Vec::new(),
            points: Vec::new(),
            kill_at: BTreeSet::new(),
            meanwhile: Meanwhile::Nothing,
            breaks: BTreeSet::new(),
            choices: VecDeque::new(),
            silent: BTreeSet::new(),
            guard: None,
            sent: BTreeMap::new(),
            out: out.into(),
            hands: Vec::new(),
            calls: 0,
        };
        let span = Span(1_000_000_000);
        node.tell(Input::Renewed { span });
        node.settle();
        node
    }

    /// A message to the agent.
    pub fn tell(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.step(self.now, input, &mut out);
        self.out.extend(out);
    }

    /// An order to the agent, remembered until its end is reported.
    pub fn order(&mut self, order: &Order) {
        self.sent.insert(order.operation, order.clone());
        let order = Box::new(order.clone());
        self.tell(Input::Ordered {
            order,
            keys: keys(),
        });
    }

    /// Runs until nothing is left to do, through all kills.
    pub fn settle(&mut self) {
        // Far beyond what any of these tests takes; a livelock would run into it.
        for _ in 0..100_000 {
            match self.turn() {
                Ok(true) => {}
                Ok(false) if self.agent.ledger().open.is_empty() => return,
                Ok(false) => self.wait(),
                Err(Killed) => self.restart(),
            }
        }
        panic!("no end in sight: {:?}", self.agent.ledger().open);
    }

    /// One output or one step of a hand; `false`: there is none.
    pub fn turn(&mut self) -> Result<bool, Killed> {
        if let Some(output) = self.out.pop_front() {
            self.carry_out(output)?;
            return Ok(true);
        }
        if self.hands.is_empty() {
            return Ok(false);
        }
        let choice = self.choices.pop_front().unwrap_or(0) % self.hands.len();
        let (task, called_off) = self.hands.remove(choice);
        self.perform(task, called_off)?;
        Ok(true)
    }

    /// The hands break at their call after this many.
    pub fn break_after(&mut self, calls: usize) {
        self.breaks.insert(self.calls + calls);
    }

    /// The agent dies with all that it had not written down, and another takes over.
    pub fn restart(&mut self) {
        self.out.clear();
        self.hands.clear();
        if self.meanwhile == Meanwhile::Expire {
            let last = self.sent.values().map(|order| order.deadline).max();
            self.now = last.unwrap_or(self.now).max(self.now);
        }
        let entries = self.journal.iter().map(|line| {
            let entry: Entry = serde_json::from_str(line).expect("what was written is read");
            entry
        });
        let seen = self.world.seen().into_iter();
        let mut out = Vec::new();
        self.agent = Agent::recover(
            settings(&self.boot),
            entries,
            seen.filter(|seen| !self.silent.contains(&seen.vm)),
            self.silent.clone(),
            self.now,
            &mut out,
        );
        let ledger = self.agent.ledger();
        assert_eq!(&sum(&ledger.entries()), ledger, "a rewritten journal");
        // Nobody follows it as yet: where it listens is heard by those alone who ask again.
        out.retain(|output| match output {
            Output::Report(report) => !matches!(report.outcome, Outcome::Listening { .. }),
            _ => true,
        });
        self.out.extend(out);
        let waiting: Vec<Order> = self.sent.values().cloned().collect();
        for order in waiting {
            if self.meanwhile == Meanwhile::CallOff {
                let operation = order.operation;
                self.tell(Input::CalledOff { operation });
            }
            self.order(&order);
        }
    }

    fn carry_out(&mut self, output: Output) -> Result<(), Killed> {
        match output {
            Output::Write(entry) => {
                let name = name_of(&entry);
                self.point(format!("before writing {name}"))?;
                self.write(&entry);
                self.point(format!("after writing {name}"))?;
            }
            Output::Note(entry) => self.write(&entry),
            Output::Rewrite(entries) => {
                self.journal.clear();
                for entry in entries {
                    self.write(&entry);
                }
            }
            Output::Begin(task) => self.take(*task),
            Output::CallOff { operation, .. } => {
                for (task, called_off) in &mut self.hands {
                    *called_off |= task.operation == operation;
                }
            }
            Output::Report(report) => self.hear(report),
            Output::Guard(guard) => self.guard = Some(guard),
        }
        Ok(())
    }

    fn take(&mut self, task: Task) {
        let vms = |operation: &OperationId| -> Vec<_> {
            let open = self.agent.ledger().open.get(operation);
            open.map_or_else(Vec::new, |open| agent::steps::vms_of(&open.order))
        };
        let touched = vms(&task.operation);
        let open = &self.agent.ledger().open[&task.operation];
        assert_eq!(task.generation, open.order.generation, "whose it is");
        for (other, _) in &self.hands {
            let shared = vms(&other.operation).iter().any(|vm| touched.contains(vm));
            assert!(!shared, "two steps at once on one VM");
        }
        self.hands.push((task, false));
    }

    fn perform(&mut self, task: Task, called_off: bool) -> Result<(), Killed> {
        let operation = task.operation;
        let expired = task.deadline.is_some_and(|deadline| deadline <= self.now);
        let late = called_off || expired;
        self.point(format!("before {}", task.step))?;
        if !late {
            self.world.begin(&task.step);
            self.point(format!("within {}", task.step))?;
        }
        self.calls += 1;
        let result = if self.breaks.contains(&self.calls) {
            Err(self.world.break_off(&task.step))
        } else {
            self.world.end(&task.step, late)
        };
        self.point(format!("after {}", task.step))?;
        self.tell(Input::Ended { operation, result });
        Ok(())
    }

    /// The controller hears a report; it sends a VM where somebody listens.
    fn hear(&mut self, report: Report) {
        if let (Some(operation), true) = (report.operation, is_end(&report.outcome)) {
            self.sent.remove(&operation);
            let ends = self.ends.entry(operation).or_default();
            ends.push(report.outcome.clone());
        }
        if let (Some(vm), Outcome::Listening { .. }) = (report.vm, &report.outcome)
            && self.world.elsewhere.contains(&vm)
        {
            self.world.coming.insert(vm);
        }
        self.reports.push(report);
    }

    fn point(&mut self, name: String) -> Result<(), Killed> {
        let number = self.points.len();
        self.points.push(name);
        if self.kill_at.contains(&number) {
            Err(Killed)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, entry: &Entry) {
        let line = serde_json::to_string(entry).expect("entries are JSON");
        self.journal.push(line);
    }

    fn wait(&mut self) {
        self.now = self.now + Span(60_000);
        self.tell(Input::Ticked);
    }
}

fn sum(entries: &[Entry]) -> Ledger {
    let mut ledger = Ledger::default();
    entries.iter().for_each(|entry| ledger.apply(entry));
    ledger
}

fn name_of(entry: &Entry) -> String {
    let value = serde_json::to_value(entry).expect("entries are JSON");
    value["entry"]
        .as_str()
        .expect("entries have a name")
        .to_owned()
}

fn is_end(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Done | Outcome::Failed { .. } | Outcome::Cancelled
    )
}
