//! Tenants, their deployments, their VMs.
//!
//! - A deployment belongs to a new tenant or to one of an earlier deployment, all equally likely (Simon 1955): few tenants
//!   have very many.
//! - A tenant repeats the type of its last VMs with a given chance, and VMs of one deployment live alike. Both would make
//!   the marginals of a trace a matter of luck; quotas hold them to the tables.
//! - VMs alive at the start were there before, as in a cloud that has run for ever: drawn by the length of their lives,
//!   and as old as chance wants.

use super::curve::Curve;
use super::quota::{Quota, Strata};
use super::types::types;
use super::{DAY_HOURS, HOUR_MILLIS, Parameters};
use capacity::trace::{Trace, VmRequest};
use engine::chance::Stream;
use engine::watch::{Cancelled, Watch};
use model::time::{Span, Time};
use model::vm::VmSpec;

/// Lives are dealt in so many parts of equal chance.
const LIFE_PARTS: usize = 64;
/// Chance that a deployment is of a tenant never seen before: 6,687 subscriptions had 33,205 deployments (Azure 2019).
const NEW_TENANT: f64 = 6_687.0 / 33_205.0;
/// Chance that a VM lives as the first of its deployment does. Our choice: that lives of one tenant are alike is
/// published (Cortez et al. 2017), a coefficient is not.
const ALIKE: f64 = 0.5;
/// So many VMs between two calls of the watcher.
const VMS_A_PROGRESS: usize = 16_384;

/// A tenant's habits.
#[derive(Clone, Copy, Debug)]
struct Habit {
    vm_type: usize,
    life_part: usize,
}

/// What the generator keeps between deployments.
pub(crate) struct Cloud<'w> {
    life: Curve,
    deployment: Curve,
    repeat: f64,
    types: Quota,
    lives: Quota,
    sizes: Strata,
    old_lives: Strata,
    chance: Stream,
    habits: Vec<Habit>,
    /// The tenant of every deployment so far.
    history: Vec<u32>,
    vms: Vec<VmRequest>,
    total: u64,
    watch: &'w dyn Watch,
}

impl<'w> Cloud<'w> {
    pub(crate) fn new(parameters: &Parameters, watch: &'w dyn Watch) -> Self {
        let stream = |purpose| Stream::new(parameters.seed, 0, purpose);
        let weights: Vec<f64> = types(parameters.tables).iter().map(|t| t.weight).collect();
        Self {
            life: parameters.life(),
            deployment: parameters.deployment(),
            repeat: parameters.repeat,
            types: Quota::new(&weights),
            lives: Quota::new(&[1.0; LIFE_PARTS]),
            sizes: Strata::new(stream("synthetic-sizes")),
            old_lives: Strata::new(stream("synthetic-old")),
            chance: stream("synthetic-vms"),
            habits: Vec::new(),
            history: Vec::new(),
            vms: Vec::with_capacity(parameters.vms as usize),
            total: u64::from(parameters.vms),
            watch,
        }
    }

    /// Sizes of deployments that come to this many VMs; the last one is cut.
    pub(crate) fn deployments(&mut self, vms: u32) -> Vec<u32> {
        let mut left = vms;
        let mut sizes = Vec::new();
        while left > 0 {
            let size = self.deployment.quantile(self.sizes.uniform());
            // Between two points of the table the curve is that of the next whole number.
            let size = (size.ceil() as u32).clamp(1, left);
            sizes.push(size);
            left -= size;
        }
        sizes
    }

    /// One deployment; `None`: some time before the start, and still there.
    pub(crate) fn deploy(&mut self, size: u32, at: Option<Time>) -> Result<(), Cancelled> {
        let tenant = self.tenant();
        self.history.push(tenant);
        let mut left = size;
        let mut vm_type = self.habits[tenant as usize].vm_type;
        if self.chance.uniform() >= self.repeat {
            vm_type = self.types.fresh(left, &mut self.chance);
        }
        while left > 0 {
            let count = self.types.room(vm_type, left);
            self.types.deal(vm_type, count);
            for _ in 0..count {
                self.add(tenant, vm_type, at)?;
            }
            left -= count;
            if count > 0 {
                self.habits[tenant as usize].vm_type = vm_type;
            }
            if left > 0 {
                vm_type = self.types.fresh(left, &mut self.chance);
            }
        }
        let part = self.lives.fresh(1, &mut self.chance);
        self.habits[tenant as usize].life_part = part;
        Ok(())
    }

    fn tenant(&mut self) -> u32 {
        if self.history.is_empty() || self.chance.uniform() < NEW_TENANT {
            let habit = Habit {
                vm_type: self.types.fresh(1, &mut self.chance),
                life_part: self.lives.fresh(1, &mut self.chance),
            };
            self.habits.push(habit);
            return (self.habits.len() - 1) as u32;
        }
        self.history[self.chance.below(self.history.len() as u64) as usize]
    }

    fn add(&mut self, tenant: u32, vm_type: usize, at: Option<Time>) -> Result<(), Cancelled> {
        if self.vms.len().is_multiple_of(VMS_A_PROGRESS) {
            self.watch.progress(self.vms.len() as u64, self.total)?;
        }
        let millis = |hours: f64| (hours * HOUR_MILLIS).round().max(1.0) as i64;
        let (arrival, duration) = match at {
            Some(at) => (at, millis(self.fresh_life(tenant))),
            None => {
                let place = self.old_lives.uniform();
                let life = millis(self.life.by_size(place, self.chance.uniform()));
                let age = (life as f64 * self.chance.uniform()) as i64;
                (Time(-age), life)
            }
        };
        self.vms.push(VmRequest {
            arrival,
            duration: Some(Span(duration)),
            shape: vm_type as u32,
            tenant,
            priority: 0,
            group: None,
        });
        Ok(())
    }

    /// Hours that a VM of this tenant lives.
    fn fresh_life(&mut self, tenant: u32) -> f64 {
        let mut part = self.habits[tenant as usize].life_part;
        if self.chance.uniform() >= ALIKE || self.lives.room(part, 1) == 0 {
            part = self.lives.fresh(1, &mut self.chance);
        }
        self.lives.deal(part, 1);
        let share = (part as f64 + self.chance.uniform()) / LIFE_PARTS as f64;
        self.life.quantile(share)
    }

    pub(crate) fn trace(mut self, parameters: &Parameters) -> Trace {
        self.vms.sort_by_key(|vm| vm.arrival);
        let Parameters {
            tables,
            vms,
            days,
            seed,
            ..
        } = parameters;
        let name = tables.name;
        Trace {
            name: format!("synthetic {name}, {vms} VMs, {days} days, seed {seed}"),
            vms: self.vms,
            names: Vec::new(),
            shapes: types(tables)
                .iter()
                .map(|t| VmSpec::plain(t.resources))
                .collect(),
            tenants: (0..self.habits.len())
                .map(|i| format!("tenant-{i}"))
                .collect(),
            groups: Vec::new(),
            end: Time((days * DAY_HOURS * HOUR_MILLIS) as i64),
            dated_until: Time::ZERO,
            notes: Vec::new(),
        }
    }
}
