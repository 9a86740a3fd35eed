//! Samples to start from: a trace that the sample grid can carry.

use crate::synthetic::{Parameters, generate};
use capacity::trace::{Trace, VmRequest};
use engine::chance::Stream;
use engine::watch::{Cancelled, Watch};
use model::grid::{Grid, NodeState};
use model::time::Time;
use model::units::{AccelMilli, Dimension, DiskGib, DiskIops, NetMbps, Resources};
use model::vm::{AcceleratorAmount, AcceleratorAsk, Demand, VmSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Share of the grid that the sample's VMs fill on average: busy, with room for the busiest hours.
const FILLED: f64 = 0.75;
/// Share of the grid's accelerators that the sample's VMs ask for on average.
const ACCELERATED: f64 = 0.6;
/// Cores from which on a VM may have accelerators, and cores for each of its devices.
const CORES_A_DEVICE: u32 = 4;
/// Devices of one VM at most: as many as the smallest common machine holds.
const MOST_DEVICES: u32 = 4;

/// A week of VMs as on Azure in 2019 that fill three quarters of a grid; the same for the same grid.
///
/// The published tables tell processors and memory alone. Disk, disk operations and network come in proportion to the
/// processors, more of one or the other by what a tenant does; a few larger VMs have accelerators. Those
/// proportions are our choice.
///
/// # Errors
/// [`Cancelled`] where the watcher said so.
pub fn trace(grid: &Grid, watch: &dyn Watch) -> Result<Trace, Cancelled> {
    let parameters = Parameters::default().filling(grid, FILLED);
    let mut trace = generate(&parameters, watch)?;
    trace.name = format!("a week on {}", grid.name);
    furnish(&mut trace, grid, parameters.seed);
    Ok(trace)
}

/// What a tenant does, and so what its VMs need beside processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trade {
    /// A little of all.
    General,
    /// Sends more than it keeps.
    Web,
    /// Keeps more than it sends.
    Data,
}

impl Trade {
    /// Of six in ten tenants, of two, and of two.
    fn draw(chance: &mut Stream) -> Self {
        match chance.below(10) {
            0..6 => Self::General,
            6 | 7 => Self::Web,
            _ => Self::Data,
        }
    }

    /// Disk, disk operations and network of a VM, in parts of what a node of modest means has for its processors.
    const fn parts(self) -> [f64; 3] {
        match self {
            Self::General => [0.6, 0.4, 0.4],
            Self::Web => [0.4, 0.3, 1.0],
            Self::Data => [1.2, 1.0, 0.3],
        }
    }
}

/// Gives every VM disk, disk operations and network by its tenant's trade, and accelerators to a few.
fn furnish(trace: &mut Trace, grid: &Grid, seed: u64) {
    let mut chance = Stream::new(seed, 0, "sample-trades");
    let tenants = trace.tenants.iter();
    let trades: Vec<Trade> = tenants.map(|_| Trade::draw(&mut chance)).collect();
    let means = means(grid);
    let every = accelerated_every(trace, grid);
    let plain = std::mem::take(&mut trace.shapes);
    let mut shapes: BTreeMap<(u32, Trade, u32), u32> = BTreeMap::new();
    let mut large = 0;
    for vm in &mut trace.vms {
        let size = size_of(&plain[vm.shape as usize]);
        let mut devices = devices(size);
        if devices > 0 {
            large += 1;
            if every.is_none_or(|every| large % every != 0) {
                devices = 0;
            }
        }
        let key = (vm.shape, trades[vm.tenant as usize], devices);
        vm.shape = *shapes.entry(key).or_insert_with(|| {
            trace.shapes.push(furnished(size, key.1, &means, devices));
            (trace.shapes.len() - 1) as u32
        });
    }
}

fn furnished(size: Resources, trade: Trade, means: &[f64; 3], devices: u32) -> VmSpec {
    // Grains in which such amounts are sold.
    const GRAINS: [f64; 3] = [8.0, 100.0, 10.0];
    let parts = trade.parts();
    let [disk_gib, disk_iops, net_mbps] = std::array::from_fn(|kind| {
        let asked = f64::from(size.cpu_milli.0) * means[kind] * parts[kind];
        ((asked / GRAINS[kind]).ceil() * GRAINS[kind]) as u32
    });
    let amount = AcceleratorAmount::Devices(devices);
    VmSpec {
        accelerators: (devices > 0).then(|| AcceleratorAsk {
            models: BTreeSet::new(),
            amount,
        }),
        ..VmSpec::plain(Resources {
            disk_gib: DiskGib(disk_gib),
            disk_iops: DiskIops(disk_iops),
            net_mbps: NetMbps(net_mbps),
            accel_milli: AccelMilli(amount.milli()),
            ..size
        })
    }
}

/// Disk, disk operations and network for a thousandth of a core: three quarters of the nodes have as much or more.
fn means(grid: &Grid) -> [f64; 3] {
    [Dimension::Disk, Dimension::DiskIo, Dimension::Net].map(|dimension| {
        let mut ratios: Vec<f64> = grid
            .node_ids()
            .map(|node| {
                let capacity = grid.class_of(node).capacity;
                let has = f64::from(capacity.in_dimension(dimension));
                has / f64::from(capacity.cpu_milli.0.max(1))
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 4).copied().unwrap_or(0.0)
    })
}

/// Each how manieth of the VMs large enough has accelerators; `None` where the grid has none.
fn accelerated_every(trace: &Trace, grid: &Grid) -> Option<u64> {
    let up = grid
        .node_ids()
        .filter(|node| grid.nodes[node.index()].state == NodeState::Up);
    let has: u64 = up
        .map(|node| u64::from(grid.class_of(node).capacity.accel_milli.0) / 1_000)
        .sum();
    let alive = |vm: &VmRequest| {
        let until = vm.duration.map_or(trace.end, |gone| vm.arrival + gone);
        let millis = until.min(trace.end).0 - vm.arrival.max(Time::ZERO).0;
        millis.max(0) as f64 / trace.end.0 as f64
    };
    let asked: f64 = trace
        .vms
        .iter()
        .map(|vm| alive(vm) * f64::from(devices(size_of(&trace.shapes[vm.shape as usize]))))
        .sum();
    (has > 0).then(|| (asked / (has as f64 * ACCELERATED)).ceil().max(1.0) as u64)
}

/// Devices for a VM of this size, where it has any.
fn devices(size: Resources) -> u32 {
    (size.cpu_milli.0 / (CORES_A_DEVICE * 1_000)).min(MOST_DEVICES)
}

fn size_of(shape: &VmSpec) -> Resources {
    match shape.demand {
        Demand::Fixed(size) => size,
        Demand::ShareOfModel(_) => unreachable!("generated VMs have sizes of their own"),
    }
}
