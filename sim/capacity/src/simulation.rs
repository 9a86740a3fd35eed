//! A simulation of one trace on one grid, event by event.

use crate::meter::{Change, Meter};
use crate::outcome::{Entry, Fate, Outcome, REFUSED};
use crate::run::{Options, Waiting};
use crate::stranding::Stranding;
use crate::tally::{Tally, core_time};
use crate::trace::{Trace, VmRequest};
use crate::waiting::{self, Kind, Waiter};
use engine::digest::Digest;
use engine::queue;
use model::grid::Grid;
use model::id::{GroupId, NodeId};
use model::time::{Span, Time};
use placement::filter::Filter;
use placement::placer::{Decision, Placer};
use placement::policy::Policy;
use placement::state::{Devices, Request, ShapeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for "on no node" in [`Simulation::places`].
const NOWHERE: u32 = u32::MAX;

/// One event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A VM left its node; those that waited may have got its place.
    Departure(u32),
    /// A VM waited too long.
    Deadline(u32),
    /// A VM came, and was placed, refused or queued.
    Arrival(u32),
}

/// A run that goes event by event.
///
/// ```text
///            ┌── arrival ──▶ decide ──▶ placed ──▶ departure ──▶ released
///   trace ───┤                  │          ▲            │
///            └── next           ▼          │            ▼
///                        refused or queued ┴─── the queue is asked again
///                                          └──▶ deadline ──▶ gave up
/// ```
///
/// At one instant departures come first, then deadlines, then arrivals; among equals the lowest
/// place in the trace. Everything up to and including the end of the trace happens, or up to the
/// last arrival, where the trace says that it ends before that; after that only the departures that
/// the trace dates, unmeasured.
#[derive(Debug)]
pub struct Simulation<'a> {
    trace: &'a Trace,
    placer: Placer,
    shapes: Vec<ShapeId>,
    groups: Vec<GroupId>,
    queueing: bool,
    keep_log: bool,
    end: Time,
    /// When the last dated departure may be; at least `end`.
    over: Time,
    now: Time,
    /// Place in the trace of the next arrival.
    next: usize,
    /// By time of departure and place in the trace.
    departures: queue::Queue<Departing>,
    waiting: waiting::Queue,
    /// By place in the trace: the node of a VM that is alive, or [`NOWHERE`].
    places: Vec<u32>,
    devices: BTreeMap<u32, Devices>,
    meter: Meter,
    digest: Digest,
    tally: Tally,
    log: Vec<Entry>,
    log_devices: Vec<(u32, Devices)>,
}

/// What a departure needs to know of its VM; it travels with the event, as looking it up in the trace
/// would wait for memory at every departure.
#[derive(Clone, Copy, Debug)]
struct Departing {
    node: NodeId,
    shape: ShapeId,
}

impl<'a> Simulation<'a> {
    /// A run before its first event.
    pub fn new(trace: &'a Trace, grid: &Arc<Grid>, policy: &Policy, options: &Options) -> Self {
        let mut placer = Placer::new(
            Arc::clone(grid),
            policy.clone(),
            options.search,
            options.seed,
        );
        let shapes: Vec<ShapeId> = trace.shapes.iter().map(|spec| placer.shape(spec)).collect();
        let groups = trace
            .groups
            .iter()
            .map(|rule| placer.group(*rule))
            .collect();
        let last = trace.vms.last().map_or(Time::ZERO, |vm| vm.arrival);
        let end = trace.end.max(last).max(Time::ZERO);
        let over = trace.dated_until.max(end);
        let stranding = Stranding::new(trace, grid, &mut placer, &shapes);
        let meter = Meter::new(trace, &placer, stranding, end, options.bins);
        let (queueing, patience) = match options.waiting {
            Waiting::Refuse => (false, None),
            Waiting::Queue { patience } => (true, patience),
        };
        Self {
            trace,
            placer,
            shapes,
            groups,
            queueing,
            keep_log: options.log,
            end,
            over,
            now: Time::ZERO,
            next: 0,
            departures: queue::Queue::new(),
            waiting: waiting::Queue::new(patience),
            places: vec![NOWHERE; trace.vms.len()],
            devices: BTreeMap::new(),
            meter,
            digest: Digest::new(),
            tally: Tally::default(),
            log: Vec::new(),
            log_devices: Vec::new(),
        }
    }

    /// The instant of the last event.
    pub fn now(&self) -> Time {
        self.now
    }

    /// When the run's figures end.
    pub fn end(&self) -> Time {
        self.end
    }

    /// The state of the grid.
    pub fn placer(&self) -> &Placer {
        &self.placer
    }

    /// The node of a VM that is alive.
    pub fn node_of(&self, vm: u32) -> Option<NodeId> {
        let node = self.places[vm as usize];
        (node != NOWHERE).then_some(NodeId(node))
    }

    /// VMs that arrived.
    pub fn arrived(&self) -> u64 {
        self.next as u64
    }

    /// Arrivals and departures handled.
    pub fn events(&self) -> u64 {
        self.arrived() + self.tally.released
    }

    /// Decisions so far; empty unless asked for.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// Handles the next event; `None` where the run is over.
    #[inline]
    pub fn step(&mut self) -> Option<Event> {
        let arrival = match self.trace.vms.get(self.next) {
            Some(vm) => vm.arrival.max(Time::ZERO),
            None => Time::NEVER,
        };
        let departure = self.departures.next_at().unwrap_or(Time::NEVER);
        // Whoever waits when the trace ends is waiting still.
        let deadline = match self.waiting.next_deadline() {
            Some(deadline) if self.queueing && deadline <= self.end => deadline,
            _ => Time::NEVER,
        };
        let first = departure.min(deadline).min(arrival);
        if first > self.over {
            return None;
        }
        self.now = first;
        self.meter.advance(first.min(self.end));
        if departure == first {
            let due = self.departures.pop()?;
            let vm = due.rank;
            self.depart(vm, due.event);
            Some(Event::Departure(vm))
        } else if deadline == first {
            let (vm, waiter) = self.waiting.give_up()?;
            self.meter.waits(-1);
            self.refuse(vm, waiter.filter, Fate::GaveUp);
            Some(Event::Deadline(vm))
        } else {
            let vm = self.next as u32;
            self.next += 1;
            self.arrive(vm);
            Some(Event::Arrival(vm))
        }
    }

    /// Closes the run where it stands, and gives its figures; those over time take it that nothing
    /// changes any more until the end.
    pub fn finish(self) -> Outcome {
        let mut summary = self.tally.summary(self.next as u64);
        summary.waiting_at_end = self.waiting.len() as u64;
        summary.decision_hash = self.digest.value();
        let (series, nodes) = self.meter.finish(&mut summary);
        Outcome {
            summary,
            series,
            nodes,
            log: self.log,
            devices: self.log_devices,
        }
    }

    #[inline]
    fn arrive(&mut self, vm: u32) {
        let trace = self.trace;
        let request = &trace.vms[vm as usize];
        let core_time = core_time(
            &trace.shapes[request.shape as usize],
            self.remaining(request),
        );
        self.tally.asked += core_time;
        match self.decide(vm) {
            Ok(decision) => {
                self.tally.granted += core_time;
                self.place(vm, decision);
            }
            Err(filter) if self.queueing => {
                let waiter = Waiter {
                    kind: self.kind(vm),
                    since: self.now,
                    filter,
                };
                self.waiting.push(vm, request.priority, waiter);
                self.meter.waits(1);
                self.write(vm, Fate::Queued);
            }
            Err(filter) => self.refuse(vm, filter, Fate::Refused(filter)),
        }
    }

    #[inline]
    fn depart(&mut self, vm: u32, Departing { node, shape }: Departing) {
        self.places[vm as usize] = NOWHERE;
        let devices = if self.devices.is_empty() {
            Devices::new()
        } else {
            self.devices.remove(&vm).unwrap_or_default()
        };
        let decision = Decision { node, devices };
        let group = self.group_of(vm);
        let groups = group.as_slice();
        self.placer.release(Request { shape, groups }, &decision);
        self.meter
            .changed(node, shape, &self.placer, Change::Released);
        self.tally.released += 1;
        self.write(vm, Fate::Released(node));
        if !self.waiting.is_empty() && self.now <= self.end {
            self.ask_waiting(node);
        }
    }

    /// Places whom it can of those that wait, after `freed` lost a VM.
    ///
    /// Before that no node took any of them. So a VM without a group can only go to `freed`, while
    /// the departure of a group's member may open other nodes to the group; and who is refused once
    /// is refused until the next departure, as places only get fewer.
    fn ask_waiting(&mut self, freed: NodeId) {
        let placer = &self.placer;
        let free = placer.free(freed);
        let mut heads = self.waiting.heads(|kind| {
            let demand = placer.demand(kind.shape, freed);
            kind.group.is_some() || demand.first_shortage(free).is_none()
        });
        while let Some((turn, kind)) = heads.pop_first() {
            let vm = turn.1;
            let Ok(decision) = self.decide(vm) else {
                continue;
            };
            if let Some(waiter) = self.waiting.remove(vm) {
                let trace = self.trace;
                let request = &trace.vms[vm as usize];
                let spec = &trace.shapes[request.shape as usize];
                self.tally.granted += core_time(spec, self.remaining(request));
                self.tally.waits.push((self.now - waiter.since).0);
                self.meter.waits(-1);
                self.place(vm, decision);
            }
            if let Some(turn) = self.waiting.head(kind) {
                heads.insert((turn, kind));
            }
        }
    }

    #[inline]
    fn decide(&mut self, vm: u32) -> Result<Decision, Filter> {
        let (shape, group) = self.ask(vm);
        let groups = group.as_slice();
        self.placer.decide(Request { shape, groups })
    }

    #[inline]
    fn place(&mut self, vm: u32, decision: Decision) {
        let (shape, group) = self.ask(vm);
        let groups = group.as_slice();
        let node = decision.node;
        self.placer.place(Request { shape, groups }, &decision);
        self.meter
            .changed(node, shape, &self.placer, Change::Placed);
        self.places[vm as usize] = node.0;
        self.tally.placed += 1;
        self.digest.word(vm);
        self.digest.word(node.0);
        self.write(vm, Fate::Placed(node));
        if !decision.devices.is_empty() {
            if self.keep_log {
                self.log_devices.push((vm, decision.devices.clone()));
            }
            self.devices.insert(vm, decision.devices);
        }
        let request = &self.trace.vms[vm as usize];
        if request.duration.is_some() {
            let leaves = self.now + self.remaining(request);
            if leaves <= self.over {
                self.departures.push(leaves, vm, Departing { node, shape });
            }
        }
    }

    fn refuse(&mut self, vm: u32, filter: Filter, fate: Fate) {
        self.tally.rejected += 1;
        *self.tally.rejections.entry(filter).or_default() += 1;
        self.meter.refused();
        self.digest.word(vm);
        self.digest.word(REFUSED);
        self.write(vm, fate);
    }

    /// How long a VM runs from its placement on: what is left of one that was alive at the start,
    /// and to the end for one that has no end.
    #[inline]
    fn remaining(&self, request: &VmRequest) -> Span {
        let before = request.arrival.0.min(0);
        match request.duration {
            Some(span) => Span(span.0.saturating_add(before).max(0)),
            None => self.end - request.arrival.max(Time::ZERO),
        }
    }

    #[inline]
    fn ask(&self, vm: u32) -> (ShapeId, Option<GroupId>) {
        let shape = self.trace.vms[vm as usize].shape;
        (self.shapes[shape as usize], self.group_of(vm))
    }

    #[inline]
    fn group_of(&self, vm: u32) -> Option<GroupId> {
        if self.groups.is_empty() {
            return None;
        }
        let group = self.trace.vms[vm as usize].group?;
        Some(self.groups[group as usize])
    }

    fn kind(&self, vm: u32) -> Kind {
        let request = &self.trace.vms[vm as usize];
        Kind {
            shape: self.shapes[request.shape as usize],
            group: request.group,
        }
    }

    #[inline]
    fn write(&mut self, vm: u32, fate: Fate) {
        if self.keep_log {
            self.log.push(Entry {
                at: self.now,
                vm,
                fate,
            });
        }
    }
}
