//! Real traces, where the environment variable `TRACES` names the folder that holds them.

use capacity::outcome::Fate;
use capacity::run::{Options, run};
use capacity::trace::Trace;
use engine::watch::Unwatched;
use model::grid_file::read_grid;
use placement::policy::Policy;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A file below `TRACES`; without the variable the test is told as not run.
fn real(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TRACES");
    if folder.is_none() {
        println!("not run: TRACES is not set");
    }
    folder.map(|folder| PathBuf::from(folder).join(path))
}

fn read(path: &Path) -> Trace {
    let started = Instant::now();
    let trace = lab::read::trace(path, None, &Unwatched).expect("a sound trace");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}: {} VMs in {seconds:.3} s",
        path.display(),
        trace.vms.len()
    );
    trace
}

/// The most VMs alive at once, departures before arrivals of the same instant.
fn peak_alive(trace: &Trace) -> i64 {
    let mut changes: Vec<(i64, i64)> = Vec::new();
    for vm in &trace.vms {
        changes.push((vm.arrival.0, 1));
        changes.extend(vm.duration.map(|d| ((vm.arrival + d).0, -1)));
    }
    changes.sort_unstable();
    let mut alive = 0;
    changes
        .iter()
        .map(|(_, change)| {
            alive += change;
            alive
        })
        .max()
        .unwrap_or(0)
}

/// The Azure trace of 2017 has the VMs, flavours and peak that its publisher's data have.
#[test]
fn azure_2017() {
    let Some(path) = real("azure2017/azure2017_test_vms.csv.gz") else {
        return;
    };
    let trace = read(&path);
    assert_eq!(trace.vms.len(), 410_276);
    assert_eq!(trace.shapes.len(), 15);
    assert!(trace.names.is_empty(), "VMs are numbered by their places");
    assert_eq!(peak_alive(&trace), 26_432);
    assert_eq!(trace.end.seconds(), 491_400.0);
    assert_eq!(
        trace.notes,
        ["815 VMs end after the trace does, at 491400 s"]
    );
}

/// All of that trace finds room on the sample grid of its name.
#[test]
fn azure_2017_finds_room() {
    let Some(path) = real("azure2017/azure2017_test_vms.csv.gz") else {
        return;
    };
    let file = model::samples::grid("azure").expect("it is built in");
    let grid = Arc::new(read_grid("azure.toml", file.text).expect("it is sound"));
    let (trace, options) = (read(&path), Options::default());
    let outcome = run(&trace, &grid, &Policy::BestFit, &options, &Unwatched);
    let summary = outcome.expect("nobody cancels").summary;
    assert_eq!((summary.placed, summary.rejected), (410_276, 0));
    assert_eq!(summary.peak_alive, 26_432);
    assert_eq!(summary.released, 410_276 - 23_311);
}

/// The nodes and tasks of openb, with its 27 kinds of nodes; no task stands on a node of a model that it did not name.
#[test]
fn openb() {
    let (Some(nodes), Some(pods)) = (
        real("openb/openb_node_list_all_node.csv"),
        real("openb/openb_pod_list_default.csv"),
    ) else {
        return;
    };
    let grid = lab::read::grid(&nodes).expect("a sound grid");
    assert_eq!(grid.nodes.len(), 1_523);
    assert_eq!(grid.classes.len(), 27);
    let devices = grid.node_ids().filter_map(|node| {
        let accelerators = grid.class_of(node).accelerators.as_ref();
        accelerators.map(|a| a.count)
    });
    assert_eq!(devices.sum::<u32>(), 6_212);
    let trace = read(&pods);
    assert_eq!(trace.vms.len(), 8_152);
    assert_eq!(trace.notes, [""; 0]);
    let Some(choosy) = real("openb/openb_pod_list_gpuspec33.csv") else {
        return;
    };
    let (trace, grid) = (read(&choosy), Arc::new(grid));
    let options = Options {
        log: true,
        ..Options::default()
    };
    let outcome = run(&trace, &grid, &Policy::BestFit, &options, &Unwatched);
    let outcome = outcome.expect("nobody cancels");
    let mut named = 0;
    for entry in &outcome.log {
        let Fate::Placed(node) = entry.fate else {
            continue;
        };
        let shape = trace.vms[entry.vm as usize].shape;
        if let Some(ask) = &trace.shapes[shape as usize].accelerators {
            let devices = grid.class_of(node).accelerators.as_ref();
            let model = &devices
                .expect("a task with devices stands on a node with some")
                .model;
            assert!(
                ask.models.is_empty() || ask.models.contains(model),
                "{ask:?} on {model}"
            );
            named += u32::from(!ask.models.is_empty());
        }
    }
    let summary = outcome.summary;
    println!(
        "{} of {} tasks placed, {named} on a model they named",
        summary.placed, summary.vms
    );
    assert!(named > 2_000, "{named}");
}

/// The day of PlanetLab on which CloudSim's published figures rest.
#[test]
fn planetlab() {
    let Some(path) = real("planetlab/20110303.tar.gz") else {
        return;
    };
    let trace = read(&path);
    assert_eq!(trace.vms.len(), 1_052);
    assert_eq!(trace.end.seconds(), 86_400.0);
}
