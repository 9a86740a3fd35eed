//! A trace under construction: shapes, tenants and groups made few, VMs brought into order.

use super::error::{ReadError, fault_of};
use capacity::trace::{Trace, VmRequest};
use model::hypervisor::Capability;
use model::time::{Span, Time};
use model::units::{DIMENSIONS, Resources};
use model::vm::{GroupRule, VmSpec};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// The tenant of VMs whose file knows none.
const NOBODY: &str = "all";
/// So many shapes are searched one by one before a hash is worth its price; real traces have a dozen or two.
const FEW_SHAPES: usize = 24;
/// Times later than ten years after zero are counted from an epoch, not from the start of a trace.
const EPOCH_MILLIS: i64 = 10 * 365 * 86_400_000;

/// A trace under construction.
///
/// The maps are only asked, never walked, so that their order cannot be seen.
#[derive(Default)]
pub(crate) struct Builder {
    trace: Trace,
    few: Vec<([u32; DIMENSIONS], u32)>,
    shape_ids: HashMap<VmSpec, u32>,
    tenant_ids: HashMap<Box<[u8]>, u32>,
    group_ids: HashMap<Box<[u8]>, u32>,
    end: Time,
    last_arrival: Time,
    record_end: Option<Time>,
    all_departures: bool,
    /// Hashes of the names of VMs, once they are not their places any more.
    name_hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Builder {
    /// An empty trace of this name.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            trace: Trace {
                name: name.to_owned(),
                ..Trace::default()
            },
            ..Self::default()
        }
    }

    /// Tells the user something about the whole.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.trace.notes.push(note.into());
    }

    /// VMs so far.
    pub(crate) fn len(&self) -> usize {
        self.trace.vms.len()
    }

    /// The shape of a VM that asks for nothing but resources.
    pub(crate) fn plain_shape(&mut self, resources: Resources) -> u32 {
        let key = resources.to_array();
        if let Some((_, id)) = self.few.iter().find(|(known, _)| *known == key) {
            return *id;
        }
        let id = self.shape(VmSpec::plain(resources));
        if self.few.len() < FEW_SHAPES {
            self.few.push((key, id));
        }
        id
    }

    /// Any shape; equal ones give the same place. One with accelerators asks for a hypervisor that
    /// can hand them through, as those of designs do.
    pub(crate) fn shape(&mut self, mut spec: VmSpec) -> u32 {
        if spec.accelerators.is_some() {
            spec.capabilities.insert(Capability::Accelerator);
        }
        if let Some(&id) = self.shape_ids.get(&spec) {
            return id;
        }
        let id = self.trace.shapes.len() as u32;
        self.trace.shapes.push(spec.clone());
        self.shape_ids.insert(spec, id);
        id
    }

    /// The tenant of this name.
    pub(crate) fn tenant(&mut self, name: &[u8]) -> u32 {
        if let Some(&id) = self.tenant_ids.get(name) {
            return id;
        }
        let id = self.trace.tenants.len() as u32;
        let text = String::from_utf8_lossy(name).into_owned();
        self.trace.tenants.push(text);
        self.tenant_ids.insert(name.into(), id);
        id
    }

    /// The group of this name; `None` where it was met with another rule.
    pub(crate) fn group(&mut self, name: &[u8], rule: GroupRule) -> Option<u32> {
        let next = self.trace.groups.len() as u32;
        let id = *self.group_ids.entry(name.into()).or_insert(next);
        if id == next {
            self.trace.groups.push(rule);
        }
        (self.trace.groups[id as usize] == rule).then_some(id)
    }

    /// Whether a VM of this name was added before; asked of every name, in order.
    pub(crate) fn is_taken(&mut self, name: &str) -> bool {
        let place = self.trace.vms.len();
        let numbered = self.trace.names.is_empty();
        if numbered && is_place(name, place) {
            return false;
        }
        if numbered {
            let names = (0..place).map(|place| place.to_string());
            self.name_hashes = names.map(|name| self.hasher.hash_one(&*name)).collect();
        }
        // Of two names with one hash, which hardly ever are two, the text decides.
        let fresh = self.name_hashes.insert(self.hasher.hash_one(name));
        !fresh && (0..place).any(|place| self.is_named(place, name))
    }

    fn is_named(&self, place: usize, name: &str) -> bool {
        match self.trace.names.get(place) {
            Some(known) => **known == *name,
            None => is_place(name, place),
        }
    }

    /// Adds a VM; `name` is `None` where its place in the file is its name.
    pub(crate) fn push(&mut self, name: Option<&str>, request: VmRequest) {
        let place = self.trace.vms.len();
        let names = &mut self.trace.names;
        match name {
            // Most traces number their VMs: as long as the names are the places, they cost nothing.
            Some(name) if names.is_empty() && is_place(name, place) => {}
            Some(name) => {
                if names.is_empty() {
                    names.extend((0..place).map(|p| p.to_string().into_boxed_str()));
                }
                names.push(name.into());
            }
            None if names.is_empty() => {}
            None => names.push(place.to_string().into_boxed_str()),
        }
        self.last_arrival = self.last_arrival.max(request.arrival);
        self.end = self.end.max(departure(&request).unwrap_or(request.arrival));
        self.trace.vms.push(request);
    }

    /// A VM added before.
    pub(crate) fn vm_mut(&mut self, place: usize) -> &mut VmRequest {
        &mut self.trace.vms[place]
    }

    /// The record of the trace lasts at least until then; VMs that end later are known to, but not seen to.
    pub(crate) fn recorded_until(&mut self, at: Time) {
        self.record_end = self.record_end.max(Some(at));
    }

    /// Departures that the file dates after the end of its record count as seen.
    pub(crate) fn handle_all_departures(&mut self) {
        self.all_departures = true;
    }

    /// The trace: by arrival, then as in the file.
    ///
    /// # Errors
    /// That the file holds no VM, or more than a run can count.
    pub(crate) fn finish(mut self) -> Result<Trace, ReadError> {
        let name = &self.trace.name;
        if self.trace.vms.is_empty() {
            return Err(fault_of(name, 0, "", "no VM", "at least one"));
        }
        if u32::try_from(self.trace.vms.len()).is_err() {
            let found = format!("{} VMs", self.trace.vms.len());
            return Err(fault_of(
                name,
                0,
                "",
                found,
                format!("at most {}", u32::MAX),
            ));
        }
        if self.trace.tenants.is_empty() {
            self.trace.tenants.push(NOBODY.to_owned());
        }
        self.set_end();
        self.count_from_first();
        self.leave_out_dead();
        self.sort();
        Ok(self.trace)
    }

    /// Ends the trace with its record, where the file tells of it, and else with the last thing that happens.
    fn set_end(&mut self) {
        let Some(record_end) = self.record_end else {
            self.trace.end = self.end;
            return;
        };
        let end = record_end.max(self.last_arrival);
        self.trace.end = end;
        let later = |vm: &VmRequest| departure(vm).is_some_and(|departure| departure > end);
        let count = self.trace.vms.iter().filter(|vm| later(vm)).count();
        if count > 0 {
            let seconds = end.seconds();
            let ends = if count == 1 { "VM ends" } else { "VMs end" };
            self.note(format!(
                "{count} {ends} after the trace does, at {seconds} s"
            ));
        }
        if self.all_departures {
            self.trace.dated_until = self.end;
        }
    }

    /// Counts the times from the first arrival where they are counted from an epoch.
    fn count_from_first(&mut self) {
        let first = self.trace.vms.iter().map(|vm| vm.arrival).min();
        let Some(first) = first.filter(|first| first.0 > EPOCH_MILLIS) else {
            return;
        };
        for vm in &mut self.trace.vms {
            vm.arrival = Time((vm.arrival - first).0);
        }
        self.trace.end = Time((self.trace.end - first).0);
        self.trace.dated_until = Time((self.trace.dated_until - first).0);
        let seconds = first.seconds();
        self.note(format!(
            "times are counted from the first arrival, {seconds} s"
        ));
    }

    /// Takes out VMs that were gone before the start.
    fn leave_out_dead(&mut self) {
        let dead = |vm: &VmRequest| departure(vm).is_some_and(|end| end < Time::ZERO);
        let count = self.trace.vms.iter().filter(|vm| dead(vm)).count();
        if count == 0 {
            return;
        }
        self.name_all();
        let names = std::mem::take(&mut self.trace.names);
        let alive = self.trace.vms.iter().map(|vm| !dead(vm));
        self.trace.names = names
            .into_iter()
            .zip(alive)
            .filter_map(|(name, alive)| alive.then_some(name))
            .collect();
        self.trace.vms.retain(|vm| !dead(vm));
        self.note(format!(
            "VMs that ended before the start are left out: {count}"
        ));
    }

    fn sort(&mut self) {
        if self.trace.vms.is_sorted_by_key(|vm| vm.arrival) {
            return;
        }
        self.name_all();
        let mut order: Vec<u32> = (0..self.trace.vms.len() as u32).collect();
        order.sort_by_key(|&place| self.trace.vms[place as usize].arrival);
        let names = &mut self.trace.names;
        self.trace.vms = order
            .iter()
            .map(|&place| self.trace.vms[place as usize].clone())
            .collect();
        *names = order
            .iter()
            .map(|&place| std::mem::take(&mut names[place as usize]))
            .collect();
    }

    fn name_all(&mut self) {
        if self.trace.names.is_empty() {
            let places = 0..self.trace.vms.len();
            self.trace.names = places.map(|p| p.to_string().into_boxed_str()).collect();
        }
    }
}

fn departure(vm: &VmRequest) -> Option<Time> {
    vm.duration.map(|Span(span)| vm.arrival + Span(span))
}

/// Whether a name is the decimal number of a place.
fn is_place(name: &str, place: usize) -> bool {
    let canonical = name == "0" || !name.starts_with(['0', '+']);
    canonical && name.parse() == Ok(place)
}
