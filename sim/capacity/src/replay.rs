//! Any instant of a past run as a view, from its log, fast enough for a slider to be dragged.

use crate::outcome::{Fate, Outcome};
use crate::trace::Trace;
use model::event::{Event, Happening};
use model::grid::Grid;
use model::id::{NodeId, TenantId, VmId};
use model::time::Time;
use model::units::Resources;
use model::view::{View, VmView};
use model::vm::VmSpec;
use placement::placer::{Placer, Search};
use placement::policy::Policy;
use placement::state::Devices;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fewest entries of the log between two checkpoints; below, they would cost more than they save.
const LEAST_ENTRIES: usize = 4096;

/// Stands for "never", as a place in the log.
const NEVER: u32 = u32::MAX;

/// The run kept no log, so that nothing can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run of {vms} vms kept no log\nhint: run it again with the log kept")]
pub struct NoLog {
    /// VMs of the run.
    pub vms: u64,
}

/// A VM's time on its node, as places in the log.
#[derive(Clone, Copy, Debug)]
struct Stay {
    node: NodeId,
    placed: u32,
    /// [`NEVER`] where it was alive at the end.
    released: u32,
}

/// Who was alive before an entry of the log.
#[derive(Clone, Debug)]
struct Checkpoint {
    entry: usize,
    alive: Vec<u32>,
}

/// A past run, ready to be looked at.
///
/// A VM's stay is two places in the log. Who is alive at an instant is found among those alive at
/// the checkpoint before it and those placed since; a checkpoint is made whenever as many entries
/// have gone by as VMs were alive at the last, so that a view costs what its VMs cost, wherever it
/// lies, and all checkpoints together are of the size of the log.
#[derive(Clone, Debug)]
pub struct Replay {
    trace: Arc<Trace>,
    grid: Arc<Grid>,
    outcome: Arc<Outcome>,
    end: Time,
    /// By place in the trace.
    stays: Vec<Stay>,
    checkpoints: Vec<Checkpoint>,
    specs: Vec<Arc<VmSpec>>,
    /// By node class, then by shape.
    demands: Vec<Vec<Resources>>,
    devices: BTreeMap<u32, Devices>,
}

impl Replay {
    /// Reads through the log once.
    ///
    /// # Errors
    /// [`NoLog`] where the run was made without [`crate::run::Options::log`].
    pub fn new(trace: Arc<Trace>, grid: Arc<Grid>, outcome: Arc<Outcome>) -> Result<Self, NoLog> {
        if outcome.log.is_empty() && outcome.summary.vms > 0 {
            let vms = outcome.summary.vms;
            return Err(NoLog { vms });
        }
        let last = trace.vms.last().map_or(Time::ZERO, |vm| vm.arrival);
        let stays = stays_of(&trace, &outcome);
        Ok(Self {
            end: trace.end.max(last).max(Time::ZERO),
            checkpoints: checkpoints_of(&outcome, &stays),
            stays,
            specs: trace.shapes.iter().cloned().map(Arc::new).collect(),
            demands: demands_of(&trace, &grid),
            devices: outcome.devices.iter().cloned().collect(),
            trace,
            grid,
            outcome,
        })
    }

    /// The first and the last instant of the run.
    pub fn span(&self) -> (Time, Time) {
        (Time::ZERO, self.end)
    }

    /// What the run came to.
    pub fn outcome(&self) -> &Arc<Outcome> {
        &self.outcome
    }

    /// The grid after all that happened up to and including an instant.
    pub fn view_at(&self, at: Time) -> View {
        let entry = self.entries_until(at);
        let after = self.checkpoints.partition_point(|c| c.entry <= entry);
        let checkpoint = &self.checkpoints[after - 1];
        let alive = alive_before(entry, checkpoint, &self.outcome, &self.stays);
        let mut view = View::empty(Arc::clone(&self.grid));
        view.at = at;
        let mut counts = vec![0u32; view.nodes.len()];
        for &vm in &alive {
            counts[self.stays[vm as usize].node.index()] += 1;
        }
        for (node, &count) in view.nodes.iter_mut().zip(&counts) {
            node.vms.reserve_exact(count as usize);
        }
        for &vm in &alive {
            let node = self.stays[vm as usize].node;
            let shown = self.vm_view(vm);
            let node = &mut view.nodes[node.index()];
            let used = node.used.checked_add(shown.resources);
            node.used = used.expect("a node's VMs fit its capacity, which fits the type");
            node.vms.push(shown);
        }
        for node in view.nodes.iter_mut() {
            if !node.vms.is_sorted_by_key(|vm| vm.id) {
                node.vms.sort_unstable_by_key(|vm| vm.id);
            }
        }
        view
    }

    /// Events of the run from number `from` on, at most `limit`, oldest first; an event's number is
    /// its place in the log.
    pub fn events(&self, from: u64, limit: usize) -> Vec<Event> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let log = self.outcome.log.iter().skip(from).take(limit);
        let event = |entry: &crate::outcome::Entry| Event {
            at: entry.at,
            operation: None,
            happening: happening(VmId(u64::from(entry.vm)), entry.fate),
        };
        log.map(event).collect()
    }

    /// How many events there are up to and including an instant.
    pub fn entries_until(&self, at: Time) -> usize {
        self.outcome.log.partition_point(|entry| entry.at <= at)
    }

    fn vm_view(&self, vm: u32) -> VmView {
        let request = &self.trace.vms[vm as usize];
        let stay = self.stays[vm as usize];
        let class = self.grid.nodes[stay.node.index()].class;
        let devices = if self.devices.is_empty() {
            Devices::new()
        } else {
            self.devices.get(&vm).cloned().unwrap_or_default()
        };
        VmView {
            id: VmId(u64::from(vm)),
            tenant: TenantId(request.tenant),
            resources: self.demands[class.index()][request.shape as usize],
            spec: Arc::clone(&self.specs[request.shape as usize]),
            since: self.outcome.log[stay.placed as usize].at,
            devices,
        }
    }
}

/// When each VM was on its node.
fn stays_of(trace: &Trace, outcome: &Outcome) -> Vec<Stay> {
    let never = Stay {
        node: NodeId(0),
        placed: NEVER,
        released: NEVER,
    };
    let mut stays = vec![never; trace.vms.len()];
    for (place, entry) in (0u32..).zip(&outcome.log) {
        let stay = &mut stays[entry.vm as usize];
        match entry.fate {
            Fate::Placed(node) => {
                stay.node = node;
                stay.placed = place;
            }
            Fate::Released(_) => stay.released = place,
            Fate::Refused(_) | Fate::Queued | Fate::GaveUp => {}
        }
    }
    stays
}

/// Who was alive, now and then; the first checkpoint is the empty grid.
fn checkpoints_of(outcome: &Outcome, stays: &[Stay]) -> Vec<Checkpoint> {
    let mut checkpoints = Vec::new();
    let mut last = Checkpoint {
        entry: 0,
        alive: Vec::new(),
    };
    for place in 0..outcome.log.len() {
        if place - last.entry >= LEAST_ENTRIES.max(last.alive.len()) {
            let alive = alive_before(place, &last, outcome, stays);
            let next = Checkpoint {
                entry: place,
                alive,
            };
            checkpoints.push(std::mem::replace(&mut last, next));
        }
    }
    checkpoints.push(last);
    checkpoints
}

/// The VMs alive before an entry of the log, from a checkpoint at or before it, in the order of their
/// placement.
fn alive_before(entry: usize, from: &Checkpoint, outcome: &Outcome, stays: &[Stay]) -> Vec<u32> {
    let stays = |vm: u32| stays[vm as usize].released as usize >= entry;
    let mut alive: Vec<u32> = from.alive.iter().copied().filter(|&vm| stays(vm)).collect();
    for line in &outcome.log[from.entry..entry] {
        if matches!(line.fate, Fate::Placed(_)) && stays(line.vm) {
            alive.push(line.vm);
        }
    }
    alive
}

/// What each shape takes of a node of each class; nothing where the class has no node.
fn demands_of(trace: &Trace, grid: &Arc<Grid>) -> Vec<Vec<Resources>> {
    let mut placer = Placer::new(Arc::clone(grid), Policy::FirstFit, Search::Naive, 0);
    let shapes: Vec<_> = trace.shapes.iter().map(|spec| placer.shape(spec)).collect();
    let classes = 0..grid.classes.len();
    let of_class = |class: usize| {
        let node = grid
            .node_ids()
            .find(|node| grid.nodes[node.index()].class.index() == class);
        let demand = |&shape| node.map_or_else(Resources::default, |n| placer.demand(shape, n));
        shapes.iter().map(demand).collect()
    };
    classes.map(of_class).collect()
}

fn happening(vm: VmId, fate: Fate) -> Happening {
    match fate {
        Fate::Placed(node) => Happening::Placed { vm, node },
        Fate::Released(node) => Happening::Released { vm, node },
        Fate::Queued => Happening::Queued { vm },
        Fate::Refused(filter) => Happening::Refused {
            vm,
            reason: filter.to_string(),
        },
        Fate::GaveUp => Happening::Refused {
            vm,
            reason: "gave up waiting".into(),
        },
    }
}
