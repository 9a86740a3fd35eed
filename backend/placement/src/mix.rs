//! What the typical mix of shapes could still use of a node: stranding and fragmentation.

use crate::score::{Score, Spot, WEIGHT_BOUND};
use crate::shape::{Ask, Shape};
use crate::state::{
    DEVICE_MILLI, Devices, SHARE, ShapeId, State, WEIGHT_ONE, WHOLE, WIDTH, sum_devices,
};
use model::grid::MAX_ACCELERATORS;
use model::units::DIMENSIONS;
use model::vm::AcceleratorAmount;

/// The shares of a mix, in parts of this, so that sums over nodes stay whole numbers.
pub const MIX_PARTS: u32 = 1 << 16;

/// Shapes with their shares, which add up to nearly [`MIX_PARTS`], for each kind of node.
///
/// What they ask of a kind lies in one row, as every score of a node reads all of them, twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mix {
    /// By kind; none where nobody told what is typical.
    kinds: Vec<KindMix>,
}

/// The mix as a kind of node sees it.
#[derive(Clone, Debug)]
struct KindMix {
    /// Parts of shapes that no such node takes, however much it has free.
    never: u32,
    others: Vec<Typical>,
}

/// A shape of the mix on a kind of node.
#[derive(Clone, Debug)]
struct Typical {
    demand: [u32; WIDTH],
    parts: u32,
    /// Thousandths that a device must have free to be of use, where the shape asks for any.
    device_milli: Option<u16>,
}

impl Typical {
    /// Whether a node with so much free has too little; without a branch, as all columns are
    /// compared at once then.
    #[inline]
    fn lacks(&self, free: &[u32; WIDTH]) -> bool {
        (0..WIDTH).fold(false, |lacks, c| lacks | (self.demand[c] > free[c]))
    }
}

impl KindMix {
    fn new(entries: &[(&Shape, u32)], kind: usize) -> Self {
        let (never, ever): (Vec<_>, Vec<_>) = entries
            .iter()
            .map(|(shape, parts)| (&shape.asks[kind], *parts))
            .partition(|(ask, _)| ask.refused.is_some());
        let typical = |(ask, parts): (&Ask, u32)| Typical {
            demand: ask.demand,
            parts,
            device_milli: ask.accelerators.map(|amount| match amount {
                AcceleratorAmount::ShareMilli(milli) => milli as u16,
                AcceleratorAmount::Devices(_) => DEVICE_MILLI,
            }),
        };
        Self {
            never: never.iter().map(|(_, parts)| parts).sum(),
            others: ever.into_iter().map(typical).collect(),
        }
    }
}

impl Mix {
    /// The mix of shapes by their weights in any unit.
    pub(crate) fn new(weights: &[(ShapeId, u64)], shapes: &[Shape], kinds: usize) -> Self {
        let total: u128 = weights.iter().map(|(_, weight)| u128::from(*weight)).sum();
        let part = |weight: u64| {
            let parts = u128::from(weight) * u128::from(MIX_PARTS);
            parts.checked_div(total).unwrap_or(0) as u32
        };
        let entries = weights
            .iter()
            .map(|(shape, weight)| (&shapes[shape.0 as usize], part(*weight)));
        let entries: Vec<(&Shape, u32)> = entries.filter(|(_, parts)| *parts > 0).collect();
        let kinds = (0..kinds).map(|kind| KindMix::new(&entries, kind));
        Self {
            kinds: kinds.collect(),
        }
    }

    /// Parts of the mix whose shapes do not fit a node of this kind with so much free.
    #[inline]
    pub(crate) fn unusable(&self, kind: usize, free: &[u32; WIDTH]) -> u32 {
        let Some(mix) = self.kinds.get(kind) else {
            return 0;
        };
        let parts = |typical: &Typical| u32::from(typical.lacks(free)) * typical.parts;
        mix.never + mix.others.iter().map(parts).sum::<u32>()
    }

    /// Stranded capacity of a node: what is free, times the part of the mix that cannot use it.
    fn stranded(&self, room: &Room) -> i64 {
        let unusable = self.unusable(room.kind, &room.free);
        i64::from(unusable) * (room.weight >> WEIGHT_SHIFT) as i64
    }

    /// Fragmentation of a node's accelerators, in thousandths of a device times [`MIX_PARTS`].
    ///
    /// FGD (Weng et al., USENIX ATC 2023): the sum over shapes k of p_k F(k), where F(k) is all that
    /// is free on the devices where k does not fit the node or asks for no device, and else what is
    /// free on the devices too small for k.
    fn fragments(&self, room: &Room) -> i64 {
        let devices = &room.devices[..room.count];
        let all: i64 = devices.iter().map(|free| i64::from(*free)).sum();
        let Some(mix) = self.kinds.get(room.kind).filter(|_| all > 0) else {
            return 0;
        };
        let of = |typical: &Typical| match typical.device_milli {
            Some(needs) if !typical.lacks(&room.free) => {
                let small = devices.iter().filter(|free| **free < needs);
                small.map(|free| i64::from(*free)).sum()
            }
            _ => all,
        };
        let parts = mix.others.iter();
        let parts = parts.map(|typical| i64::from(typical.parts) * of(typical));
        i64::from(mix.never) * all + parts.sum::<i64>()
    }
}

/// Weights are shifted by this before they are multiplied by parts of the mix: 2^47 × 2^16 would
/// leave no sign.
const WEIGHT_SHIFT: u32 = 15;

/// One largest node's worth of a dimension, stranded for the whole mix.
pub(crate) fn node_parts() -> f64 {
    (WEIGHT_ONE >> WEIGHT_SHIFT) as f64 * f64::from(MIX_PARTS)
}

/// A bound on stranding, either way: a weight of 2^32 times [`MIX_PARTS`].
const STRANDED_BOUND: i64 = (WEIGHT_BOUND >> WEIGHT_SHIFT) as i64 * MIX_PARTS as i64;

/// A bound on fragmentation, either way.
const FRAGMENTS_BOUND: i64 = MAX_ACCELERATORS as i64 * DEVICE_MILLI as i64 * MIX_PARTS as i64;

/// What a node has free, before or after a placement.
#[derive(Clone)]
struct Room {
    kind: usize,
    free: [u32; WIDTH],
    weight: u64,
    devices: [u16; MAX_ACCELERATORS],
    count: usize,
}

impl Room {
    fn of(state: &State, spot: &Spot<'_>) -> Self {
        let of_node = state.devices(spot.node);
        let mut devices = [0; MAX_ACCELERATORS];
        devices[..of_node.len()].copy_from_slice(of_node);
        Self {
            kind: spot.block.kind[spot.lane] as usize,
            free: std::array::from_fn(|c| spot.block.free[c][spot.lane]),
            weight: spot.block.weight[spot.lane],
            devices,
            count: of_node.len(),
        }
    }

    fn take(&mut self, ask: &Ask, taken: &Devices) {
        for d in 0..DIMENSIONS {
            self.free[d] -= ask.demand[d];
        }
        self.weight -= ask.weight;
        if !taken.is_empty() {
            for (device, milli) in taken {
                self.devices[usize::from(*device)] -= milli;
            }
            let (share, whole) = sum_devices(&self.devices[..self.count]);
            self.free[SHARE] = share;
            self.free[WHOLE] = whole;
        }
    }
}

/// Least growth of stranded capacity; where it is equal, best fit.
pub(crate) struct Stranding<'a> {
    pub(crate) state: &'a State,
    pub(crate) mix: &'a Mix,
}

impl Stranding<'_> {
    /// The growth of what is stranded, and what is left, in [`node_parts`].
    pub(crate) fn parts(&self, spot: Spot<'_>) -> (i64, i64) {
        let before = Room::of(self.state, &spot);
        let devices = spot.ask.choose_devices(self.state.devices(spot.node));
        let mut after = before.clone();
        after.take(spot.ask, &devices.unwrap_or_default());
        let growth = self.mix.stranded(&after) - self.mix.stranded(&before);
        let left = (after.weight >> WEIGHT_SHIFT) as i64;
        (growth, left * i64::from(MIX_PARTS))
    }
}

impl Score for Stranding<'_> {
    const STRAIGHT: bool = false;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let (growth, left) = self.parts(spot);
        // 49 bits to 31, above the 32 bits of what is left.
        let growth = (growth + STRANDED_BOUND) as u64 >> 18;
        growth << 32 | (left / i64::from(MIX_PARTS)) as u64
    }
}

/// Least growth of fragmentation; where it is equal, of stranded capacity.
pub(crate) struct Fragmenting<'a> {
    pub(crate) state: &'a State,
    pub(crate) mix: &'a Mix,
}

impl Fragmenting<'_> {
    /// The growth of fragmentation and of what is stranded, on the best devices of the node; the
    /// first in thousandths of devices times [`MIX_PARTS`], the second in [`node_parts`].
    pub(crate) fn parts(&self, spot: Spot<'_>) -> (i64, i64) {
        self.rate(spot).0
    }

    /// The best devices of a node on which the shape fits; of equal ones the lowest.
    pub(crate) fn best_devices(&self, spot: Spot<'_>) -> Devices {
        self.rate(spot).1
    }

    fn rate(&self, spot: Spot<'_>) -> ((i64, i64), Devices) {
        let before = Room::of(self.state, &spot);
        let fragments = self.mix.fragments(&before);
        let stranded = self.mix.stranded(&before);
        let rate = |devices: Devices| {
            let mut after = before.clone();
            after.take(spot.ask, &devices);
            let fragments = self.mix.fragments(&after) - fragments;
            let stranded = self.mix.stranded(&after) - stranded;
            ((fragments, stranded), devices)
        };
        let free = &before.devices[..before.count];
        let Some(AcceleratorAmount::ShareMilli(milli)) = spot.ask.accelerators else {
            return rate(spot.ask.choose_devices(free).unwrap_or_default());
        };
        let milli = milli as u16;
        // Of devices with the same free share only the first is tried.
        let new = |d: &usize| free[*d] >= milli && !free[..*d].contains(&free[*d]);
        let rated = (0..free.len())
            .filter(new)
            .map(|device| rate(vec![(device as u8, milli)]));
        rated
            .min_by_key(|(growth, _)| *growth)
            .expect("the shape fits one of the devices")
    }
}

impl Score for Fragmenting<'_> {
    const STRAIGHT: bool = false;

    fn key(&self, _: &Shape, spot: Spot<'_>) -> u64 {
        let (fragments, stranded) = self.parts(spot);
        // 32 bits above 32; a growth of stranding is reckoned in steps of 2^17.
        let high = (fragments + FRAGMENTS_BOUND) as u64;
        high << 32 | (stranded + STRANDED_BOUND) as u64 >> 17
    }
}
