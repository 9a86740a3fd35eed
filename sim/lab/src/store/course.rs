//! The course of a stored run: whether each entry of its log can follow those before it, so that a
//! replay never meets a VM that is not there, nor a node with more than it holds.

use capacity::outcome::{Entry, Fate};
use capacity::trace::Trace;
use model::grid::Grid;
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::Resources;
use placement::facts::asked_of;
use placement::state::Devices;
use std::collections::BTreeMap;

/// Thousandths of one whole device.
pub(crate) const DEVICE_MILLI: u16 = 1_000;

/// How far a VM has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Waiting,
    /// On a node, until its time is over, if it has an end.
    On(NodeId, Option<Time>),
    Gone,
}

/// Why an entry cannot be: the column that tells so, and what would do.
#[derive(Debug)]
pub(crate) struct Impossible {
    pub(crate) column: &'static str,
    pub(crate) expected: String,
}

/// A run being followed along its log.
pub(crate) struct Course<'a> {
    trace: &'a Trace,
    grid: &'a Grid,
    devices: &'a BTreeMap<u32, Devices>,
    /// By node class, then by shape; `None` where the shape is not legal.
    demands: Vec<Vec<Option<Resources>>>,
    now: Time,
    /// By place in the trace.
    stages: Vec<Stage>,
    /// By node.
    used: Vec<Resources>,
    /// Thousandths taken of devices, by node and number; those of which nothing is taken may be left out.
    taken: BTreeMap<(NodeId, u8), u16>,
}

impl<'a> Course<'a> {
    /// A run before its first entry, with the devices that its VMs got.
    pub(crate) fn new(
        trace: &'a Trace,
        grid: &'a Grid,
        devices: &'a BTreeMap<u32, Devices>,
    ) -> Self {
        let of_class = |class| {
            let shapes = trace.shapes.iter();
            shapes.map(|spec| asked_of(spec, class)).collect()
        };
        Self {
            trace,
            grid,
            devices,
            demands: grid.classes.iter().map(of_class).collect(),
            now: Time::ZERO,
            stages: vec![Stage::Absent; trace.vms.len()],
            used: vec![Resources::default(); grid.nodes.len()],
            taken: BTreeMap::new(),
        }
    }

    /// Takes the next entry, whose VM and node are there.
    pub(crate) fn follow(&mut self, entry: &Entry) -> Result<(), Impossible> {
        let vm = entry.vm as usize;
        let arrival = self.trace.vms[vm].arrival.max(Time::ZERO);
        let least = self.now.max(arrival);
        if entry.at < least {
            return Err(impossible("at_millis", format!("{} or later", least.0)));
        }
        self.now = entry.at;
        let stage = self.stages[vm];
        self.stages[vm] = match (stage, entry.fate) {
            (Stage::Absent | Stage::Waiting, Fate::Placed(node)) => {
                self.place(entry.vm, node)?;
                Stage::On(node, self.leaves(entry.vm))
            }
            (Stage::On(node, _), Fate::Released(from)) if node != from => {
                return Err(impossible("node", format!("{}, where the VM is", node.0)));
            }
            (Stage::On(_, leaves), Fate::Released(_)) if leaves != Some(entry.at) => {
                let expected = match leaves {
                    Some(leaves) => format!("{}, when the VM's time is over", leaves.0),
                    None => "nothing, as the VM has no end".into(),
                };
                return Err(impossible("at_millis", expected));
            }
            (Stage::On(node, _), Fate::Released(_)) => {
                self.release(entry.vm, node);
                Stage::Gone
            }
            (Stage::Absent, Fate::Queued) => Stage::Waiting,
            (Stage::Absent, Fate::Refused(_)) | (Stage::Waiting, Fate::GaveUp) => Stage::Gone,
            (stage, _) => return Err(impossible("vm", expected_of(stage))),
        };
        Ok(())
    }

    /// When a VM that is placed now leaves; one that was alive at the start has run for a while.
    fn leaves(&self, vm: u32) -> Option<Time> {
        let request = &self.trace.vms[vm as usize];
        let before = request.arrival.0.min(0);
        let left = Span(request.duration?.0.saturating_add(before).max(0));
        Some(self.now + left)
    }

    fn demand(&self, vm: u32, node: NodeId) -> Option<Resources> {
        let class = self.grid.nodes[node.index()].class;
        self.demands[class.index()][self.trace.vms[vm as usize].shape as usize]
    }

    fn place(&mut self, vm: u32, node: NodeId) -> Result<(), Impossible> {
        let class = self.grid.class_of(node);
        let roomy = || impossible("node", "a node with room for the VM".into());
        let demand = self.demand(vm, node).ok_or_else(roomy)?;
        let used = self.used[node.index()].checked_add(demand);
        let used = used.filter(|used| used.first_shortage(class.capacity).is_none());
        self.used[node.index()] = used.ok_or_else(roomy)?;
        let devices = self.devices.get(&vm).map_or(&[][..], Vec::as_slice);
        let given: u32 = devices.iter().map(|(_, milli)| u32::from(*milli)).sum();
        let count = class.accelerators.as_ref().map_or(0, |a| a.count);
        let wished = || impossible("vm", "a VM with the devices it asks for".into());
        if given != demand.accel_milli.0 {
            return Err(wished());
        }
        for &(device, milli) in devices {
            let taken = self.taken.entry((node, device)).or_default();
            *taken = taken.saturating_add(milli);
            if u32::from(device) >= count || *taken > DEVICE_MILLI {
                return Err(wished());
            }
        }
        Ok(())
    }

    fn release(&mut self, vm: u32, node: NodeId) {
        let demand = self.demand(vm, node);
        let used = &mut self.used[node.index()];
        let left = demand.and_then(|demand| used.checked_sub(demand));
        *used = left.expect("what is released was placed here");
        for (device, milli) in self.devices.get(&vm).into_iter().flatten() {
            let taken = self.taken.get_mut(&(node, *device));
            *taken.expect("what is released was placed here") -= milli;
        }
    }
}

fn impossible(column: &'static str, expected: String) -> Impossible {
    Impossible { column, expected }
}

fn expected_of(stage: Stage) -> String {
    match stage {
        Stage::Absent => "a VM that came before",
        Stage::Waiting => "a VM that does not wait already",
        Stage::On(..) => "a VM that has no node yet",
        Stage::Gone => "a VM that is not gone already",
    }
    .into()
}
