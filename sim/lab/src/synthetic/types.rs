//! Sizes of VMs: types whose shares have both marginals of the tables.

use super::tables::{Bucket, Sizes, Tables};
use model::units::Resources;

/// A type of VM, and how many of all VMs have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VmType {
    /// Its size.
    pub resources: Resources,
    /// Its share, in per cent.
    pub weight: f64,
}

/// The types whose shares have the marginals of the tables.
pub fn types(tables: &Tables) -> Vec<VmType> {
    let sized = |cores: f64, gib: f64, weight| VmType {
        resources: Resources::cpu_mem((cores * 1e3) as u32, (gib * 1024.0) as u32),
        weight,
    };
    match tables.sizes {
        Sizes::Types(types) => types.iter().map(|&(c, g, p)| sized(c, g, p)).collect(),
        Sizes::Marginals {
            cores,
            mem_gib,
            gib_per_core,
        } => couple(cores, mem_gib)
            .into_iter()
            .map(|(core, mem, weight)| {
                let cores = core.sizes[0];
                let off = |gib: f64| libm::fabs(libm::log(gib / (cores * gib_per_core)));
                let gib = mem
                    .sizes
                    .iter()
                    .copied()
                    .min_by(|a, b| off(*a).total_cmp(&off(*b)))
                    .expect("a bucket has sizes");
                sized(cores, gib, weight)
            })
            .collect(),
    }
}

/// The joint distribution of two marginals in which the larger goes with the larger: both are walked at one pace.
fn couple(
    first: &'static [Bucket],
    second: &'static [Bucket],
) -> Vec<(&'static Bucket, &'static Bucket, f64)> {
    /// Shares that rounding leaves over are no types.
    const NOTHING: f64 = 1e-9;
    let sum = |buckets: &[Bucket]| buckets.iter().map(|b| b.percent).sum::<f64>();
    let (scale_a, scale_b) = (100.0 / sum(first), 100.0 / sum(second));
    let (mut a, mut b) = (0, 0);
    let (mut left_a, mut left_b) = (first[0].percent * scale_a, second[0].percent * scale_b);
    let mut joint = Vec::new();
    loop {
        let step = left_a.min(left_b);
        if step > NOTHING {
            joint.push((&first[a], &second[b], step));
        }
        left_a -= step;
        left_b -= step;
        if left_a <= NOTHING {
            a += 1;
            match first.get(a) {
                Some(bucket) => left_a += bucket.percent * scale_a,
                None => return joint,
            }
        }
        if left_b <= NOTHING {
            b += 1;
            match second.get(b) {
                Some(bucket) => left_b += bucket.percent * scale_b,
                None => return joint,
            }
        }
    }
}
