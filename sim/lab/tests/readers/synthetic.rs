//! Generated traces: their distance to every published marginal, stationarity, repetition, and the ways to ask for them.

use crate::read_bytes;
use capacity::run::{Options, run};
use capacity::trace::{Trace, VmRequest};
use engine::watch::Unwatched;
use lab::read::Format;
use lab::synthetic::tables::{ALL, Bucket, Sizes, Tables};
use lab::synthetic::{Parameters, Start, generate};
use model::time::Time;
use model::vm::Demand;
use placement::policy::Policy;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The furthest a marginal may be from its table (Kolmogorov and Smirnov).
const FURTHEST: f64 = 0.02;

fn generated(parameters: &Parameters) -> Trace {
    generate(parameters, &Unwatched).expect("nobody cancels")
}

/// VMs that arrive in the trace, with their cores and GiB.
fn arrivals(trace: &Trace) -> impl Iterator<Item = (&VmRequest, f64, f64)> {
    let arriving = trace.vms.iter().filter(|vm| vm.arrival >= Time::ZERO);
    arriving.map(|vm| {
        let Demand::Fixed(size) = trace.shapes[vm.shape as usize].demand else {
            panic!("fixed sizes");
        };
        let cores = f64::from(size.cpu_milli.0) / 1e3;
        (vm, cores, f64::from(size.mem_mib.0) / 1024.0)
    })
}

/// The largest difference between the cumulative shares of values and of a table, at the table's edges.
fn distance(values: &[f64], table: &[(f64, f64)]) -> f64 {
    let count = values.len() as f64;
    let differences = table.iter().map(|(edge, percent)| {
        let below = values.iter().filter(|value| *value <= edge).count() as f64;
        (below / count - percent / 100.0).abs()
    });
    differences.fold(0.0, f64::max)
}

fn cumulated(buckets: &[Bucket]) -> Vec<(f64, f64)> {
    let mut sum = 0.0;
    let cumulate = |bucket: &Bucket| {
        sum += bucket.percent;
        (bucket.up_to, sum)
    };
    buckets.iter().map(cumulate).collect()
}

/// Deployments: VMs of one tenant at one instant.
fn deployments(trace: &Trace) -> Vec<f64> {
    let mut sizes: BTreeMap<(Time, u32), u32> = BTreeMap::new();
    for (vm, ..) in arrivals(trace) {
        *sizes.entry((vm.arrival, vm.tenant)).or_default() += 1;
    }
    sizes.into_values().map(f64::from).collect()
}

/// The largest difference between the shares of lives and the whole curve, what lies between its points included.
fn distance_to_curve(mut hours: Vec<f64>, parameters: &Parameters) -> f64 {
    hours.sort_by(f64::total_cmp);
    let (curve, count) = (parameters.life(), hours.len() as f64);
    let differences = hours.iter().enumerate().map(|(place, value)| {
        // The longest life of all has a share of its own: just below it the curve has not reached 1 yet.
        let (before, at) = (curve.share(value * (1.0 - 1e-9)), curve.share(*value));
        let (below, with) = (place as f64 / count, (place + 1) as f64 / count);
        (before - below).max(with - at)
    });
    differences.fold(0.0, f64::max)
}

/// Every marginal's name and distance to its published table.
fn distances(trace: &Trace, tables: &Tables) -> Vec<(&'static str, f64)> {
    let cores: Vec<f64> = arrivals(trace).map(|(_, cores, _)| cores).collect();
    let gib: Vec<f64> = arrivals(trace).map(|(.., gib)| gib).collect();
    let hours = arrivals(trace).filter_map(|(vm, ..)| vm.duration);
    let hours: Vec<f64> = hours.map(|life| life.seconds() / 3_600.0).collect();
    let mut distances = vec![
        ("lives", distance(&hours, tables.lives)),
        (
            "deployments",
            distance(&deployments(trace), tables.deployments),
        ),
    ];
    match tables.sizes {
        Sizes::Marginals {
            cores: core_table,
            mem_gib,
            ..
        } => distances.extend([
            ("cores", distance(&cores, &cumulated(core_table))),
            ("memory", distance(&gib, &cumulated(mem_gib))),
        ]),
        Sizes::Types(types) => {
            let of = |edge: &dyn Fn(&(f64, f64, f64)) -> f64| {
                let mut sums = BTreeMap::new();
                for t in types {
                    // Whole GiB and cores: exact as keys.
                    *sums.entry(edge(t) as u64).or_insert(0.0) += t.2;
                }
                let mut sum = 0.0;
                let cumulate = |(edge, percent): (u64, f64)| {
                    sum += percent;
                    (edge as f64, sum)
                };
                sums.into_iter().map(cumulate).collect::<Vec<_>>()
            };
            let kinds = types.iter().map(|(c, g, percent)| {
                let same = |(_, cores, gib): &(&VmRequest, f64, f64)| cores == c && gib == g;
                let found = arrivals(trace).filter(same).count() as f64;
                (found / cores.len() as f64 - percent / 100.0).abs()
            });
            distances.extend([
                ("types", kinds.fold(0.0, f64::max)),
                ("cores", distance(&cores, &of(&|t| t.0))),
                ("memory", distance(&gib, &of(&|t| t.1))),
            ]);
        }
    }
    distances
}

/// Every marginal of every table is met within KS 0.02, whatever the seed; the distances are printed.
#[test]
fn marginals_meet_their_tables() {
    for tables in &ALL {
        for seed in 1..=3 {
            let parameters = Parameters {
                tables,
                vms: 150_000,
                days: 14.0,
                seed,
                ..Parameters::default()
            };
            let trace = generated(&parameters);
            assert_eq!(trace.vms.len(), 150_000);
            let hours = arrivals(&trace).filter_map(|(vm, ..)| vm.duration);
            let hours = hours.map(|life| life.seconds() / 3_600.0).collect();
            let mut distances = distances(&trace, tables);
            distances.push(("lives, whole curve", distance_to_curve(hours, &parameters)));
            for (marginal, distance) in distances {
                println!("{} seed {seed}: {marginal} {distance:.4}", tables.name);
                assert!(
                    distance <= FURTHEST,
                    "{} {marginal} {distance}",
                    tables.name
                );
            }
        }
    }
}

/// The measure can fail: a trace like one year's is far from the other year's tables.
#[test]
fn other_tables_are_far() {
    let [of_2019, _, of_2017, ..] = &ALL;
    let trace = generated(&Parameters {
        tables: of_2019,
        vms: 50_000,
        ..Parameters::default()
    });
    for (marginal, distance) in distances(&trace, of_2017) {
        // Both years share the deployments of 2019.
        assert!(
            distance > FURTHEST || marginal == "deployments",
            "{marginal} {distance}"
        );
    }
}

/// VMs alive at an instant.
fn alive(trace: &Trace, at: Time) -> f64 {
    let alive = |vm: &&VmRequest| {
        vm.arrival <= at
            && vm
                .duration
                .is_none_or(|duration| vm.arrival + duration > at)
    };
    trace.vms.iter().filter(alive).count() as f64
}

/// A stationary trace has at its start as many VMs alive as later on; an empty one has none.
#[test]
fn starts_as_asked() {
    let parameters = Parameters {
        vms: 200_000,
        days: 28.0,
        longest_days: 30.0,
        ..Parameters::default()
    };
    let trace = generated(&parameters);
    let start = alive(&trace, Time(-1));
    let weeks = [7.0, 14.0, 21.0, 28.0].map(|days: f64| {
        let now = alive(&trace, Time::from_seconds(days * 86_400.0 - 1.0));
        now / start
    });
    println!("alive at the start: {start}; after each week, against it: {weeks:.3?}");
    for share in weeks {
        assert!((0.9..1.1).contains(&share), "{share}");
    }
    let start = Start::Empty;
    let empty = generated(&Parameters {
        start,
        ..parameters
    });
    assert!(empty.vms.iter().all(|vm| vm.arrival >= Time::ZERO));
    assert_eq!(empty.vms.len(), 200_000);
}

/// Tenants repeat the type of their last deployment mostly; hours differ as published; few tenants have very many VMs.
#[test]
fn tenants_repeat_and_hours_differ() {
    let trace = generated(&Parameters {
        vms: 300_000,
        days: 28.0,
        start: Start::Empty,
        ..Parameters::default()
    });
    let mut last: BTreeMap<u32, (Time, u32)> = BTreeMap::new();
    let (mut again, mut asked) = (0.0, 0.0);
    let mut hours = vec![0.0; 28 * 24];
    for vm in &trace.vms {
        if let Some((at, shape)) = last.insert(vm.tenant, (vm.arrival, vm.shape))
            && at < vm.arrival
        {
            asked += 1.0;
            again += f64::from(u8::from(shape == vm.shape));
        }
    }
    let mut sizes = BTreeMap::new();
    for vm in &trace.vms {
        *sizes.entry((vm.arrival, vm.tenant)).or_insert(0) += 1;
    }
    for (at, _) in sizes.keys() {
        hours[(at.0 / 3_600_000) as usize] += 1.0;
    }
    let mean = hours.iter().sum::<f64>() / hours.len() as f64;
    let variance = hours.iter().map(|n| (n - mean) * (n - mean)).sum::<f64>() / hours.len() as f64;
    // What counting alone adds is taken off.
    let variation = (variance - mean).max(0.0).sqrt() / mean;
    println!(
        "the last type again: {:.3}; variation of hours: {variation:.3}",
        again / asked
    );
    assert!(again / asked > 0.8, "{}", again / asked);
    assert!((0.45..0.61).contains(&variation), "{variation}");
}

/// The same parameters give the same trace, another seed another one.
#[test]
fn repeats_itself() {
    let of = |seed| {
        let parameters = Parameters {
            vms: 5_000,
            seed,
            ..Parameters::default()
        };
        generated(&parameters)
    };
    assert_eq!(of(7), of(7));
    assert_ne!(of(7).vms, of(8).vms);
}

/// A trace that is to fill a share of a grid does so, in cores or in memory, and asks for some of all else.
#[test]
fn fills_a_grid() {
    let file = model::samples::grid("sample").expect("it is built in");
    let grid = model::grid_file::read_grid("sample.toml", file.text).expect("it is sound");
    let trace = lab::samples::trace(&grid, &Unwatched).expect("nobody cancels");
    let up = || {
        grid.node_ids()
            .filter(|n| grid.nodes[n.index()].state == model::grid::NodeState::Up)
    };
    let has = |dimension: usize| {
        up().map(|n| u64::from(grid.class_of(n).capacity.to_array()[dimension]))
            .sum::<u64>()
    };
    let middle = Time(trace.end.0 / 2);
    let asked = |dimension: usize| {
        let alive = trace.vms.iter().filter(|vm| {
            vm.arrival <= middle && vm.duration.is_none_or(|d| vm.arrival + d > middle)
        });
        let size = |vm: &VmRequest| match &trace.shapes[vm.shape as usize].demand {
            Demand::Fixed(size) => u64::from(size.to_array()[dimension]),
            Demand::ShareOfModel(_) => panic!("fixed sizes"),
        };
        alive.map(size).sum::<u64>()
    };
    let filled: [f64; 6] = std::array::from_fn(|d| asked(d) as f64 / has(d) as f64);
    println!("{} VMs; filled by dimension: {filled:.3?}", trace.vms.len());
    let most = filled[0].max(filled[1]);
    assert!(
        filled[2..].iter().all(|f| (0.08..0.8).contains(f)),
        "{filled:?}"
    );
    assert!((0.6..0.9).contains(&most), "{most}");
    let options = Options::default();
    let outcome = run(
        &trace,
        &Arc::new(grid),
        &Policy::BestFit,
        &options,
        &Unwatched,
    );
    let acceptance = outcome.expect("nobody cancels").summary.acceptance;
    println!("accepted by best fit: {acceptance:.4}");
    assert!(acceptance > 0.98, "{acceptance}");
}

/// A line and a file ask for the same; what is wrong with either is told with the known words.
#[test]
fn is_asked_for_by_line_or_file() {
    let of_line = |line: &str| {
        lab::read::trace(Path::new(line), None, &Unwatched).map_err(|error| error.to_string())
    };
    let line = of_line("synthetic:huawei?vms=2000&days=3&seed=9&start=empty").expect("sound");
    let text = "version = 1\n[synthetic]\nlike = 'huawei'\nvms = 2000\ndays = 3\nseed = 9\nstart = 'empty'\n";
    let file = read_bytes("cloud.toml", text.as_bytes(), None).expect("sound");
    assert_eq!(line, file);
    assert_eq!(line.vms.len(), 2_000);
    let check = |line: &str, expected: &str| {
        assert_eq!(of_line(line).map(|t| t.vms.len()), Err(expected.to_owned()));
    };
    check(
        "synthetic:azure2018",
        "synthetic:azure2018: like: found \"azure2018\", expected one of azure2019, azure2019-all, azure2017, \
         azure2017-all, huawei; hint: did you mean \"azure2017\"?",
    );
    check(
        "synthetic:huawei?vms=0",
        "synthetic:huawei?vms=0: vms: found \"0\", expected a whole number, 1 to 20000000",
    );
    check(
        "synthetic:huawei?vm=5",
        "synthetic:huawei?vm=5: vm: found \"5\", expected no key but like, vms, days, start, repeat, longest_days, \
         seed; hint: did you mean \"vms\"?",
    );
    let faulty = read_bytes(
        "cloud.toml",
        b"[synthetic]\nvms = -1\nstart = 'hot'\n",
        Some(Format::Synthetic),
    );
    assert_eq!(
        faulty.map(|t| t.vms.len()),
        Err(
            "cloud.toml:2: synthetic.vms: found -1, expected a whole number from 1 to 20000000\n\
             cloud.toml:3: synthetic.start: found \"hot\", expected one of stationary, empty"
                .to_owned()
        )
    );
}
