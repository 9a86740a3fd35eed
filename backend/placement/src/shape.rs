//! A VM's shape as placement reckons with it: what it asks of each kind of node, and where it is legal.

use crate::facts::{ShapeFacts, asked_of};
use crate::filter::Filter;
use crate::state::{DEVICE_MILLI, Devices, SHARE, State, WHOLE, WIDTH};
use model::grid::{Grid, NodeClass};
use model::id::{NodeClassId, SiteId};
use model::units::{DIMENSIONS, Resources};
use model::vm::{AcceleratorAmount, Demand, Risk, VmSpec};

/// A shape with all that can be reckoned before any node is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) spec: VmSpec,
    /// By kind of node.
    pub(crate) asks: Vec<Ask>,
}

/// What a shape asks of nodes of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The first filter that never lets the shape on to this kind of node.
    pub(crate) refused: Option<Filter>,
    /// In the columns of a block; zero where nothing is asked.
    pub(crate) demand: [u32; WIDTH],
    /// Columns of which anything is asked: the first `asked` entries.
    columns: [usize; WIDTH],
    asked: usize,
    /// The dimensions among them come first.
    asked_dimensions: usize,
    /// The demand's weight; see [`State::weigh`].
    pub(crate) weight: u64,
    /// The tenant's risk.
    pub(crate) risk: Risk,
    /// Busy thousandths of cores that are expected of the VM.
    pub(crate) load_milli: u64,
    /// One over the kind's capacity by dimension; 0 where it has none.
    pub(crate) inverse: [f64; DIMENSIONS],
    /// Demand as a share of the kind's capacity.
    pub(crate) share: [f64; DIMENSIONS],
    /// What rules read; `None` where the shape is not legal on the kind's model.
    pub(crate) facts: Option<ShapeFacts>,
    /// Devices asked for.
    pub(crate) accelerators: Option<AcceleratorAmount>,
}

impl Shape {
    pub(crate) fn new(spec: &VmSpec, state: &State) -> Self {
        let asks = state.kinds.iter();
        let asks = asks.map(|kind| Ask::new(spec, state, kind.class, kind.site));
        Self {
            asks: asks.collect(),
            spec: spec.clone(),
        }
    }
}

impl Ask {
    fn new(spec: &VmSpec, state: &State, class: NodeClassId, site: SiteId) -> Self {
        let grid = &state.grid;
        let node_class = &grid.classes[class.index()];
        let resources = asked_of(spec, node_class).unwrap_or_default();
        let accelerators = accelerators_of(spec, resources);
        let mut demand = [0; WIDTH];
        demand[..DIMENSIONS].copy_from_slice(&resources.to_array());
        match accelerators {
            Some(AcceleratorAmount::ShareMilli(milli)) => demand[SHARE] = milli,
            Some(AcceleratorAmount::Devices(count)) => demand[WHOLE] = count,
            None => {}
        }
        let (mut columns, mut asked) = ([0; WIDTH], 0);
        for (column, _) in demand.iter().enumerate().filter(|(_, asks)| **asks > 0) {
            columns[asked] = column;
            asked += 1;
        }
        let asked_dimensions = columns[..asked].iter().filter(|c| **c < DIMENSIONS).count();
        let inverse = node_class.capacity.to_array();
        let inverse = inverse.map(|has| if has == 0 { 0.0 } else { 1.0 / f64::from(has) });
        Self {
            refused: static_refusal(spec, grid, node_class, site),
            demand,
            columns,
            asked,
            asked_dimensions,
            weight: state.weigh(resources),
            risk: spec.risk,
            load_milli: u64::from(resources.cpu_milli.0) * u64::from(spec.expected_load_milli)
                / 1_000,
            share: std::array::from_fn(|d| f64::from(demand[d]) * inverse[d]),
            inverse,
            facts: ShapeFacts::new(spec, node_class, grid),
            accelerators,
        }
    }

    /// Columns of which anything is asked, in the order of their filters.
    pub(crate) fn columns(&self) -> &[usize] {
        &self.columns[..self.asked]
    }

    /// Dimensions of which anything is asked.
    pub(crate) fn dimensions(&self) -> &[usize] {
        &self.columns[..self.asked_dimensions]
    }

    pub(crate) fn resources(&self) -> Resources {
        Resources::from_array(std::array::from_fn(|d| self.demand[d]))
    }

    /// The devices that the shape gets, or `None` where they do not suffice: of a share, the fullest
    /// device that still has it, so that whole ones stay whole; ties by number.
    pub(crate) fn choose_devices(&self, free: &[u16]) -> Option<Devices> {
        match self.accelerators {
            None => Some(Devices::new()),
            Some(AcceleratorAmount::ShareMilli(milli)) => {
                let enough = (0..free.len()).filter(|d| u32::from(free[*d]) >= milli);
                let device = enough.min_by_key(|d| free[*d])?;
                Some(vec![(device as u8, milli as u16)])
            }
            Some(AcceleratorAmount::Devices(count)) => {
                let whole = (0..free.len()).filter(|d| free[*d] == DEVICE_MILLI);
                let devices = whole.take(count as usize);
                let devices: Devices = devices.map(|d| (d as u8, DEVICE_MILLI)).collect();
                (devices.len() == count as usize).then_some(devices)
            }
        }
    }
}

/// The devices asked for; without an [`model::vm::AcceleratorAsk`], those of the bare sum.
pub(crate) fn accelerators_of(spec: &VmSpec, demand: Resources) -> Option<AcceleratorAmount> {
    let named = spec.accelerators.as_ref().map(|ask| ask.amount);
    named.or_else(|| amount_of(demand.accel_milli.0))
}

/// A sum of thousandths as devices: a share of one up to 999, and whole ones, rounded up, from there.
pub(crate) fn amount_of(accel_milli: u32) -> Option<AcceleratorAmount> {
    const WHOLE: u32 = DEVICE_MILLI as u32;
    match accel_milli {
        0 => None,
        1..WHOLE => Some(AcceleratorAmount::ShareMilli(accel_milli)),
        _ => Some(AcceleratorAmount::Devices(accel_milli.div_ceil(WHOLE))),
    }
}

/// The first filter that keeps a VM off every node of a class on a site for ever.
pub(crate) fn static_refusal(
    spec: &VmSpec,
    grid: &Grid,
    class: &NodeClass,
    site: SiteId,
) -> Option<Filter> {
    let hypervisor = &grid.hypervisors[class.hypervisor.index()];
    let legal = match &spec.demand {
        Demand::Fixed(_) => true,
        Demand::ShareOfModel(models) => models.contains_key(&class.model),
    };
    let arch = |guest| hypervisor.runs_arch(class.arch, guest);
    let way = |way| hypervisor.virtualisation.contains(&way);
    let mut capabilities = spec.capabilities.iter();
    let site = &grid.sites[site.index()].name;
    let mut labels = spec.labels.iter();
    let model = |models: &std::collections::BTreeSet<String>| {
        let has = class.accelerators.as_ref().filter(|a| a.count > 0);
        has.is_some_and(|has| models.is_empty() || models.contains(&has.model))
    };
    let tests = [
        (Filter::Model, legal),
        (Filter::Arch, spec.arch.is_none_or(arch)),
        (Filter::Guest, hypervisor.guests.contains(&spec.guest)),
        (Filter::Virtualisation, spec.virtualisation.is_none_or(way)),
        (
            Filter::Capability,
            capabilities.all(|needs| hypervisor.capabilities.contains(needs)),
        ),
        (Filter::Licence, spec.licences.is_subset(&class.licences)),
        (
            Filter::Site,
            spec.sites.is_empty() || spec.sites.contains(site),
        ),
        (Filter::Role, spec.roles.is_subset(&class.roles)),
        (
            Filter::Label,
            labels.all(|(key, value)| class.labels.get(key) == Some(value)),
        ),
        (Filter::Risk, spec.risk <= class.risk),
        (
            Filter::AcceleratorModel,
            spec.accelerators
                .as_ref()
                .is_none_or(|ask| model(&ask.models)),
        ),
    ];
    let failed = tests.into_iter().find(|(_, passed)| !passed);
    failed.map(|(filter, _)| filter)
}
