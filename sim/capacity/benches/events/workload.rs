//! A grid of three sizes of nodes and a day of VMs that keeps 85 % of its cores in use.

use capacity::trace::{Trace, VmRequest};
use engine::chance::Stream;
use model::grid::Grid;
use model::grid_file::read_grid;
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::VmSpec;
use std::sync::Arc;

/// Cores, GiB, and share in percent: the published mix of Huawei-East-1 (125,430 creations), without
/// the two largest types, which are next to none of it.
const FLAVOURS: [(u32, u32, f64); 13] = [
    (1, 1, 22.0),
    (1, 2, 43.8),
    (1, 4, 2.7),
    (2, 4, 13.4),
    (2, 8, 1.9),
    (4, 8, 9.1),
    (4, 16, 1.7),
    (8, 16, 2.7),
    (8, 32, 1.0),
    (12, 24, 0.5),
    (16, 32, 0.9),
    (32, 64, 0.15),
    (64, 128, 0.2),
];
/// Cores and GiB of nodes, and how many of ten there are.
const NODES: [(u32, u32, u32); 3] = [(32, 128, 4), (64, 256, 4), (128, 512, 2)];
/// Share of all cores that is in use.
const FILL: f64 = 0.85;
/// Seven of ten VMs stay a lognormal time with a median of half an hour; the rest an exponential
/// time, as long as the fill needs.
const SHORT_SHARE: f64 = 0.7;
const SHORT_MEDIAN_SECONDS: f64 = 1_800.0;
const SHORT_LOG_DEVIATION: f64 = 1.2;
const DAY_SECONDS: f64 = 86_400.0;

/// A grid of so many nodes, four in ten small, four medium, two large.
pub fn grid(nodes: u32) -> Arc<Grid> {
    let mut file = String::new();
    for (cores, gib, tenths) in NODES {
        let count = nodes * tenths / 10;
        file += &format!(
            "[[node]]\nname = \"c{cores}\"\ncount = {count}\ncpu_cores = {cores}\nmem_gib = {gib}\n\
             hypervisor = \"qemu\"\n"
        );
    }
    Arc::new(read_grid("bench", &file).expect("the grid has no faults"))
}

/// So many VMs over a day: those of the steady state come in the first ten minutes, the rest as a
/// Poisson process that makes up for those that leave.
pub fn trace(grid: &Grid, vms: usize) -> Trace {
    let mut chance = Stream::new(1, 0, "workload");
    let weights = FLAVOURS.map(|flavour| flavour.2);
    let share: f64 = weights.iter().sum();
    let mean_cores = FLAVOURS.iter().map(|f| f64::from(f.0) * f.2).sum::<f64>() / share;
    let cores: u64 = grid
        .node_ids()
        .map(|n| u64::from(grid.class_of(n).capacity.cpu_milli.0))
        .sum();
    let resident = cores as f64 / 1_000.0 * FILL / mean_cores;
    let short = SHORT_SHARE * SHORT_MEDIAN_SECONDS * (SHORT_LOG_DEVIATION.powi(2) / 2.0).exp();
    let rate = (vms as f64 - resident) / (DAY_SECONDS - short);
    assert!(
        rate > 0.0,
        "more VMs than the {resident:.0} that are alive at once"
    );
    let long_stay = (resident / rate - short) / (1.0 - SHORT_SHARE);
    let settled = (resident - rate * short) as usize;
    let mut requests: Vec<VmRequest> = (0..settled)
        .map(|_| {
            let stay = chance.exponential(long_stay);
            request(chance.uniform_in(0.0, 600.0), stay, chance.pick(&weights))
        })
        .collect();
    let mut at = 0.0;
    while requests.len() < vms {
        at += chance.exponential(1.0 / rate);
        let stay = if chance.uniform() < SHORT_SHARE {
            chance.lognormal(SHORT_MEDIAN_SECONDS.ln(), SHORT_LOG_DEVIATION)
        } else {
            chance.exponential(long_stay)
        };
        requests.push(request(at, stay, chance.pick(&weights)));
    }
    requests.sort_by_key(|request| request.arrival);
    let plain = |f: (u32, u32, f64)| VmSpec::plain(Resources::cpu_mem(f.0 * 1_000, f.1 * 1_024));
    Trace {
        name: "bench".into(),
        end: requests.last().map_or(Time::ZERO, |last| last.arrival),
        vms: requests,
        shapes: FLAVOURS.map(plain).to_vec(),
        tenants: vec!["t".into()],
        ..Trace::default()
    }
}

fn request(at: f64, stay: f64, flavour: usize) -> VmRequest {
    VmRequest {
        arrival: Time::from_seconds(at),
        duration: Some(Span::from_seconds(stay)),
        shape: flavour as u32,
        tenant: 0,
        priority: 0,
        group: None,
    }
}
