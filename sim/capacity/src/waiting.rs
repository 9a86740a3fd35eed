//! The queue of VMs that found no node: by priority, then by place in the trace.

use model::time::{Span, Time};
use placement::filter::Filter;
use placement::state::ShapeId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What makes VMs equal before the filters: a node refuses all of a kind or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The shape.
    pub shape: ShapeId,
    /// The group in the trace, if any.
    pub group: Option<u32>,
}

/// The order of the queue: the highest priority first, then the lowest place in the trace.
pub type Turn = (Reverse<u8>, u32);

/// A VM in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Its kind.
    pub kind: Kind,
    /// When it came.
    pub since: Time,
    /// The filter that refused it then.
    pub filter: Filter,
}

/// The queue.
///
/// VMs wait by kind, so that a departure asks for a node once for every kind that waits, and not
/// once for every VM.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    patience: Option<Span>,
    kinds: BTreeMap<Kind, BTreeSet<Turn>>,
    waiters: BTreeMap<u32, (Turn, Waiter)>,
    /// In order of arrival, thus of deadline, as all are equally patient; some have left since.
    deadlines: VecDeque<(Time, u32)>,
}

impl Queue {
    /// Nobody waits; `patience` is how long somebody will, `None`: for ever.
    pub fn new(patience: Option<Span>) -> Self {
        Self {
            patience,
            ..Self::default()
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Adds a VM.
    pub fn push(&mut self, vm: u32, priority: u8, waiter: Waiter) {
        let turn = (Reverse(priority), vm);
        self.kinds.entry(waiter.kind).or_default().insert(turn);
        self.waiters.insert(vm, (turn, waiter));
        if let Some(patience) = self.patience {
            self.deadlines.push_back((waiter.since + patience, vm));
        }
    }

    /// Takes a VM out.
    pub fn remove(&mut self, vm: u32) -> Option<Waiter> {
        let (turn, waiter) = self.waiters.remove(&vm)?;
        if let Some(turns) = self.kinds.get_mut(&waiter.kind) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.kinds.remove(&waiter.kind);
            }
        }
        Some(waiter)
    }

    /// When the next VM gives up.
    pub fn next_deadline(&mut self) -> Option<Time> {
        while let Some(&(at, vm)) = self.deadlines.front() {
            if self.waiters.contains_key(&vm) {
                return Some(at);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// Takes the VM out that gives up next.
    pub fn give_up(&mut self) -> Option<(u32, Waiter)> {
        self.next_deadline()?;
        let (_, vm) = self.deadlines.pop_front()?;
        Some((vm, self.remove(vm)?))
    }

    /// The first in the queue of each kind that `asks` lets through, in the order of the queue.
    pub fn heads(&self, asks: impl Fn(Kind) -> bool) -> BTreeSet<(Turn, Kind)> {
        let first = |(&kind, turns): (&Kind, &BTreeSet<Turn>)| Some((*turns.first()?, kind));
        let kinds = self.kinds.iter().filter(|(kind, _)| asks(**kind));
        kinds.filter_map(first).collect()
    }

    /// The first in the queue of a kind.
    pub fn head(&self, kind: Kind) -> Option<Turn> {
        self.kinds.get(&kind)?.first().copied()
    }
}
