//! The figures of a run under their names and units: one list for JSON, tables and the store.

use super::RunResult;
use capacity::outcome::Summary;
use capacity::run::Waiting;
use model::units::Dimension;
use placement::filter::Filter;
use placement::placer::Search;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// VMs, or what the name says.
    Count,
    /// VMs on average over time.
    Mean,
    /// 0 to 1.
    Share,
    /// Seconds.
    Seconds,
}

/// One figure; `f64::INFINITY` stands for a wait that never ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The key in JSON and in the store, with its unit: `allocated_cpu_share`.
    pub key: String,
    /// For people: `Cpu allocated, mean`.
    pub words: String,
    /// How it is counted.
    pub unit: Unit,
    /// The dimension it is of; `None`: of all.
    pub dimension: Option<Dimension>,
    /// How much. Counts stay below 2⁵³ and are exact.
    pub value: f64,
}

/// Every figure of a summary, the same keys in the same order for any run.
pub fn figures(summary: &Summary) -> Vec<Figure> {
    let mut list = counts(summary);
    list.push(share(
        "acceptance_share",
        "VMs placed of all",
        summary.acceptance,
    ));
    list.push(share(
        "acceptance_core_hours_share",
        "core-hours placed of all",
        summary.acceptance_core_hours,
    ));
    for (key, words, values) in [
        ("allocated", "allocated, mean", &summary.allocated),
        (
            "density",
            "allocated on nodes in use, mean",
            &summary.density,
        ),
        ("stranded", "stranded, mean", &summary.stranded),
    ] {
        for dimension in Dimension::ALL {
            list.push(Figure {
                dimension: Some(dimension),
                ..share(
                    &format!("{key}_{dimension}_share"),
                    &format!("{} {words}", spoken(dimension)),
                    values[dimension as usize],
                )
            });
        }
    }
    list.push(share(
        "empty_nodes_share",
        "nodes without a VM, mean",
        summary.empty_nodes,
    ));
    list.push(figure(
        "alive_mean",
        "VMs alive, mean",
        Unit::Mean,
        summary.alive,
    ));
    list.push(figure(
        "waiting_mean",
        "VMs waiting, mean",
        Unit::Mean,
        summary.waiting,
    ));
    let waits = [
        ("mean", "wait of VMs placed, mean"),
        ("p50", "wait of all VMs, p50"),
        ("p95", "wait of all VMs, p95"),
        ("p99", "wait of all VMs, p99"),
    ];
    for ((name, words), value) in waits.into_iter().zip(summary.wait_seconds) {
        list.push(figure(
            &format!("wait_{name}_seconds"),
            words,
            Unit::Seconds,
            value,
        ));
    }
    list
}

/// Every filter that refused a VM in any of the runs, in order, and how many it refused in each.
pub fn refusals(results: &[RunResult]) -> Vec<(Filter, Vec<u64>)> {
    let rejections = |result: &RunResult| result.outcome.summary.rejections.clone();
    let all: Vec<BTreeMap<Filter, u64>> = results.iter().map(rejections).collect();
    let filters: BTreeSet<Filter> = all.iter().flat_map(|run| run.keys().copied()).collect();
    let count = |filter: Filter| {
        all.iter()
            .map(move |run| run.get(&filter).copied().unwrap_or(0))
    };
    let row = |filter| (filter, count(filter).collect());
    filters.into_iter().map(row).collect()
}

/// A run as one JSON object: its inputs, its wall clocks, every figure, and refusals by filter.
/// A wait without end is `null`.
pub fn json(result: &RunResult) -> Value {
    let summary = &result.outcome.summary;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("version", json!(env!("CARGO_PKG_VERSION")));
    put("trace", json!(result.trace.name));
    put("trace_seconds", json!(result.trace.end.seconds()));
    put("grid", json!(result.grid.name));
    put("nodes", json!(result.grid.nodes.len()));
    put("policy", json!(result.policy.name));
    put("seed", json!(result.options.seed));
    put("search", json!(search_word(result.options.search)));
    let (waiting, patience) = waiting_words(result.options.waiting);
    put("waiting", json!(waiting));
    put("patience_seconds", json!(patience));
    put("load_seconds", json!(result.load_seconds));
    put("sim_seconds", json!(result.sim_seconds));
    put("decision_hash", json!(hash_word(summary.decision_hash)));
    for figure in figures(summary) {
        let value = match figure.unit {
            Unit::Count => json!(figure.value as u64),
            Unit::Mean | Unit::Share | Unit::Seconds => json!(figure.value),
        };
        put(&figure.key, value);
    }
    let rejections: Map<String, Value> = summary
        .rejections
        .iter()
        .map(|(filter, count)| (filter.key().to_owned(), json!(count)))
        .collect();
    put("rejections", Value::Object(rejections));
    Value::Object(object)
}

/// A decision hash as files and people see it: 16 hexadecimal digits.
pub fn hash_word(hash: u64) -> String {
    format!("{hash:016x}")
}

/// How nodes were searched, in one word.
pub const fn search_word(search: Search) -> &'static str {
    match search {
        Search::Indexed => "indexed",
        Search::Naive => "naive",
    }
}

/// What became of VMs that found no node, and for how many seconds they waited.
pub fn waiting_words(waiting: Waiting) -> (&'static str, Option<f64>) {
    match waiting {
        Waiting::Refuse => ("refuse", None),
        Waiting::Queue { patience } => ("queue", patience.map(|span| span.seconds())),
    }
}

fn counts(summary: &Summary) -> Vec<Figure> {
    [
        ("vms", "VMs in the trace", summary.vms),
        ("placed", "VMs placed", summary.placed),
        ("rejected", "VMs rejected", summary.rejected),
        ("released", "VMs released", summary.released),
        ("events", "arrivals and departures", summary.events),
        ("peak_alive", "most VMs alive at once", summary.peak_alive),
        (
            "waiting_at_end",
            "VMs waiting at the end",
            summary.waiting_at_end,
        ),
    ]
    .into_iter()
    .map(|(key, words, value)| figure(key, words, Unit::Count, value as f64))
    .collect()
}

fn share(key: &str, words: &str, value: f64) -> Figure {
    figure(key, words, Unit::Share, value)
}

fn figure(key: &str, words: &str, unit: Unit, value: f64) -> Figure {
    Figure {
        key: key.to_owned(),
        words: words.to_owned(),
        unit,
        dimension: None,
        value,
    }
}

fn spoken(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Cpu => "cpu",
        Dimension::Mem => "memory",
        Dimension::Disk => "disk",
        Dimension::DiskIo => "disk I/O",
        Dimension::Net => "network",
        Dimension::Accel => "accelerators",
    }
}
