//! What a run counts, and the figures that come of counts alone.

use crate::outcome::Summary;
use model::time::Span;
use model::units::{DIMENSIONS, Dimension};
use model::vm::{Demand, VmSpec};
use placement::filter::Filter;
use std::collections::BTreeMap;

/// Counts of a run so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) placed: u64,
    pub(crate) rejected: u64,
    pub(crate) released: u64,
    /// Cores times time asked for, in cpu_milli times milliseconds.
    pub(crate) asked: u128,
    pub(crate) granted: u128,
    /// Waits of placed VMs that did wait, in milliseconds.
    pub(crate) waits: Vec<i64>,
    pub(crate) rejections: BTreeMap<Filter, u64>,
}

impl Tally {
    /// The figures, of so many VMs that arrived.
    pub(crate) fn summary(self, vms: u64) -> Summary {
        Summary {
            vms,
            placed: self.placed,
            rejected: self.rejected,
            released: self.released,
            events: vms + self.released,
            acceptance: ratio(self.placed as f64, vms as f64),
            acceptance_core_hours: ratio(self.granted as f64, self.asked as f64),
            wait_seconds: wait_seconds(self.waits, self.placed, vms),
            rejections: self.rejections,
            ..Summary::default()
        }
    }
}

/// Cores times time, in cpu_milli times milliseconds. A VM counted in shares of a machine is weighed
/// by the largest of its legal shares, in millionths of a machine.
pub(crate) fn core_time(spec: &VmSpec, span: Span) -> u128 {
    let cpu = match &spec.demand {
        Demand::Fixed(resources) => resources.cpu_milli.0,
        Demand::ShareOfModel(shares) => {
            let of = |share: &[u32; DIMENSIONS]| share[Dimension::Cpu as usize];
            shares.values().map(of).max().unwrap_or(0)
        }
    };
    u128::from(cpu) * span.0.max(0) as u128
}

/// Mean of placed VMs, then the nearest-rank percentiles of all, those never placed being infinite.
fn wait_seconds(mut waits: Vec<i64>, placed: u64, vms: u64) -> [f64; 4] {
    waits.sort_unstable();
    let at_once = placed - waits.len() as u64;
    let total: i128 = waits.iter().map(|&wait| i128::from(wait)).sum();
    let mean = total as f64 / 1_000.0 / placed.max(1) as f64;
    let percentile = |percent: u64| {
        let rank = (vms * percent).div_ceil(100).max(1);
        if vms == 0 || rank <= at_once {
            0.0
        } else if rank <= placed {
            Span(waits[(rank - at_once - 1) as usize]).seconds()
        } else {
            f64::INFINITY
        }
    };
    [mean, percentile(50), percentile(95), percentile(99)]
}

/// A part of a whole; nothing of nothing is all of it.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}
