//! A crowded little grid with accelerators, and a trace that does not all fit on it.

use capacity::run::Options;
use capacity::trace::{Trace, VmRequest};
use lab::run::{GridSource, NamedPolicy, RunResult, Scenario, TraceSource, Unobserved};
use lab::store::Store;
use model::grid::Grid;
use model::time::{Span, Time};
use model::units::Resources;
use model::vm::{AcceleratorAmount, AcceleratorAsk, VmSpec};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const GRID: &str = r#"
name = "fixture"
[[node]]
name = "plain"
count = 6
cpu_cores = 8
mem_gib = 32
hypervisor = "qemu"

[[node]]
name = "gpu"
count = 2
cpu_cores = 16
mem_gib = 64
hypervisor = "qemu"
accelerators = { model = "T4", count = 2 }
"#;

pub fn grid() -> Grid {
    model::grid_file::read_grid("fixture.toml", GRID).expect("the fixture is sound")
}

/// 400 VMs in 4,000 seconds, of three shapes; every seventh asks for half an accelerator, every
/// tenth never ends.
pub fn trace() -> Trace {
    let plain = |cores: u32, gib: u32| VmSpec::plain(Resources::cpu_mem(cores * 1000, gib * 1024));
    let mut half = plain(1, 2);
    half.accelerators = Some(AcceleratorAsk {
        models: BTreeSet::new(),
        amount: AcceleratorAmount::ShareMilli(500),
    });
    half.demand = model::vm::Demand::Fixed(Resources::from_array([1000, 2048, 0, 0, 0, 500]));
    let vm = |place: u32| VmRequest {
        arrival: Time(i64::from(place) * 10_000),
        duration: (!place.is_multiple_of(10))
            .then(|| Span(i64::from(place * 7919 % 900 + 20) * 1000)),
        shape: if place.is_multiple_of(7) {
            2
        } else {
            place % 2
        },
        tenant: place % 3,
        priority: 0,
        group: None,
    };
    Trace {
        name: "fixture".into(),
        vms: (0..400).map(vm).collect(),
        shapes: vec![plain(2, 4), plain(4, 20), half],
        tenants: vec!["ann".into(), "bob".into(), "cem".into()],
        end: Time(4_000_000),
        dated_until: Time(3_000_000),
        ..Trace::default()
    }
}

/// The fixture under some policies, with the log.
pub fn run(policies: &[&str]) -> Vec<RunResult> {
    let policy = |word: &&str| NamedPolicy::of(word).expect("a known policy");
    let scenario = Scenario {
        trace: TraceSource::Loaded(Arc::new(trace())),
        grid: GridSource::Loaded(Arc::new(grid())),
        policies: policies.iter().map(policy).collect(),
        options: Options {
            bins: 50,
            log: true,
            ..Options::default()
        },
    };
    lab::run::run(&scenario, &Unobserved).expect("nobody cancels")
}

/// A folder of results of some runs, and the place that is removed with it.
pub fn written(results: &[RunResult]) -> (TempDir, PathBuf) {
    let place = TempDir::new().expect("a temporary folder can be made");
    let folder = place.path().join("results");
    let store = Store::prepare(&folder).expect("the folder is new");
    store.write(results, &Unobserved).expect("there is space");
    (place, folder)
}
