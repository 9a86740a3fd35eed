//! What a store holds of runs, as tables.

use super::table::{Table, Word};
use crate::run::RunResult;
use crate::run::figures::{Unit, figures, hash_word, search_word, waiting_words};
use capacity::outcome::{Entry, Fate};
use model::id::NodeId;
use model::units::{DIMENSIONS, Dimension};
use placement::policy::Policy;
use serde_json::json;
use std::borrow::Cow;

/// The layout of `run.sqlite`; raised when a table changes.
pub(crate) const LAYOUT: i32 = 1;

/// A row for each run: what went in, and how long it took.
pub(crate) fn runs(results: &[RunResult]) -> Table {
    let mut table = Table::new("run");
    table.text("policy", results.iter().map(policy));
    table.maybe_text("chain", results.iter().map(chain_text));
    table.text("version", results.iter().map(|_| env!("CARGO_PKG_VERSION")));
    table.text("trace", results.iter().map(|r| r.trace.name.clone()));
    table.count("trace_end_millis", results.iter().map(|r| r.trace.end.0));
    let dated_until = results.iter().map(|r| r.trace.dated_until.0);
    table.count("trace_dated_until_millis", dated_until);
    table.text("grid", results.iter().map(|r| r.grid.name.clone()));
    table.count("nodes", results.iter().map(|r| r.grid.nodes.len() as i64));
    // SQLite's integers are signed; a seed is 64 bits without a sign.
    table.text("seed", results.iter().map(|r| r.options.seed.to_string()));
    table.text(
        "search",
        results.iter().map(|r| search_word(r.options.search)),
    );
    let waiting = |r: &RunResult| waiting_words(r.options.waiting);
    table.text("waiting", results.iter().map(|r| waiting(r).0));
    let patience = results
        .iter()
        .map(|r| waiting(r).1.unwrap_or(f64::INFINITY));
    table.number("patience_seconds", patience);
    table.count("bins", results.iter().map(|r| r.options.bins as i64));
    table.number("load_seconds", results.iter().map(|r| r.load_seconds));
    table.number("sim_seconds", results.iter().map(|r| r.sim_seconds));
    let hashes = results
        .iter()
        .map(|r| hash_word(r.outcome.summary.decision_hash));
    table.text("decision_hash", hashes);
    table
}

/// A row for each input that is no table of its own, as JSON: what a run is shown on again.
pub(crate) fn inputs(result: &RunResult) -> Table {
    let (grid, trace) = (&result.grid, &result.trace);
    let list = [
        ("grid", json!(**grid)),
        ("shapes", json!(trace.shapes)),
        ("tenants", json!(trace.tenants)),
        ("groups", json!(trace.groups)),
        ("notes", json!(trace.notes)),
    ];
    let mut table = Table::new("input");
    table.text("name", list.iter().map(|(name, _)| *name));
    table.text("json", list.iter().map(|(_, value)| value.to_string()));
    table
}

/// A row for each VM of the trace; its number is its place.
pub(crate) fn vms(result: &RunResult) -> Table {
    let (vms, names) = (&result.trace.vms, &result.trace.names);
    let mut table = Table::new("vm");
    table.count("vm", (0..vms.len()).map(|place| place as i64));
    let named = (0..vms.len()).map(|place| names.get(place).map(|name| name.to_string().into()));
    table.maybe_text("name", named);
    table.count("arrival_millis", vms.iter().map(|vm| vm.arrival.0));
    let durations = vms.iter().map(|vm| vm.duration.map(|duration| duration.0));
    table.maybe_count("duration_millis", durations);
    table.count("shape", vms.iter().map(|vm| i64::from(vm.shape)));
    table.count("tenant", vms.iter().map(|vm| i64::from(vm.tenant)));
    table.count("priority", vms.iter().map(|vm| i64::from(vm.priority)));
    table.maybe_count("group_id", vms.iter().map(|vm| vm.group.map(i64::from)));
    table
}

/// A row for each share of an accelerator that a VM got.
pub(crate) fn devices(results: &[RunResult]) -> Table {
    each(results, "device", |result, table| {
        let flat = || {
            let devices = result.outcome.devices.iter();
            devices.flat_map(|(vm, list)| list.iter().map(move |device| (*vm, *device)))
        };
        policy_column(table, result, flat().count());
        table.count("vm", flat().map(|(vm, _)| i64::from(vm)));
        table.count("device", flat().map(|(_, (device, _))| i64::from(device)));
        table.count("milli", flat().map(|(_, (_, milli))| i64::from(milli)));
    })
}

/// A row for each figure of each run.
pub(crate) fn summary(results: &[RunResult]) -> Table {
    each(results, "summary", |result, table| {
        let list = figures(&result.outcome.summary);
        policy_column(table, result, list.len());
        table.text("figure", list.iter().map(|figure| figure.key.clone()));
        table.text("unit", list.iter().map(|figure| unit_word(figure.unit)));
        table.number("value", list.iter().map(|figure| figure.value));
    })
}

/// A row for each bin of time of each run.
pub(crate) fn series(results: &[RunResult]) -> Table {
    each(results, "series", |result, table| {
        let series = &result.outcome.series;
        policy_column(table, result, series.start.len());
        table.number(
            "start_seconds",
            series.start.iter().map(|time| time.seconds()),
        );
        by_dimension(table, "allocated", &series.allocated);
        by_dimension(table, "stranded", &series.stranded);
        table.number("empty_nodes_share", series.empty_nodes.iter().copied());
        table.number("alive_mean", series.alive.iter().copied());
        table.number("waiting_mean", series.waiting.iter().copied());
        table.count("placed", series.placed.iter().map(|count| *count as i64));
        table.count(
            "rejected",
            series.rejected.iter().map(|count| *count as i64),
        );
    })
}

/// A row for each node of each run.
pub(crate) fn nodes(results: &[RunResult]) -> Table {
    each(results, "node", |result, table| {
        let (grid, nodes) = (&result.grid, &result.outcome.nodes);
        policy_column(table, result, nodes.len());
        let ids = || grid.node_ids().take(nodes.len());
        table.count("node", ids().map(|id| i64::from(id.0)));
        table.text("name", ids().map(|id| grid.nodes[id.index()].name.clone()));
        table.text("class", ids().map(|id| grid.class_of(id).name.clone()));
        table.text(
            "rack",
            ids().map(|id| grid.racks[grid.nodes[id.index()].rack.index()].name.clone()),
        );
        table.text(
            "site",
            ids().map(|id| grid.sites[grid.site_of(id).index()].name.clone()),
        );
        let allocated: Vec<_> = nodes.iter().map(|node| node.allocated).collect();
        by_dimension(table, "allocated", &allocated);
        let peak: Vec<_> = nodes.iter().map(|node| node.peak).collect();
        by_dimension(table, "peak", &peak);
        table.number("empty_share", nodes.iter().map(|node| node.empty));
        table.count("placed", nodes.iter().map(|node| node.placed as i64));
    })
}

/// A row for each filter that refused a VM.
pub(crate) fn rejections(results: &[RunResult]) -> Table {
    each(results, "rejection", |result, table| {
        let rejections = &result.outcome.summary.rejections;
        policy_column(table, result, rejections.len());
        table.text("filter", rejections.keys().map(|filter| filter.key()));
        table.count("vms", rejections.values().map(|count| *count as i64));
    })
}

/// A row for each entry of the log of each run.
pub(crate) fn decisions(results: &[RunResult]) -> Table {
    each(results, "decision", |result, table| {
        let log = &result.outcome.log;
        policy_column(table, result, log.len());
        table.count("at_millis", log.iter().map(|entry| entry.at.0));
        table.count("vm", log.iter().map(|entry| i64::from(entry.vm)));
        table.text("fate", log.iter().map(fate_word));
        let nodes = log
            .iter()
            .map(|entry| node_of(entry).map(|node| i64::from(node.0)));
        table.maybe_count("node", nodes);
        table.maybe_text("filter", log.iter().map(filter_of));
    })
}

/// One table of the rows of every run.
fn each(results: &[RunResult], name: &'static str, fill: impl Fn(&RunResult, &mut Table)) -> Table {
    let mut all = Table::new(name);
    for result in results {
        let mut one = Table::new(name);
        fill(result, &mut one);
        all.append(one);
    }
    all
}

fn policy(result: &RunResult) -> Word {
    Cow::Owned(result.policy.name.clone())
}

fn chain_text(result: &RunResult) -> Option<Word> {
    match &result.policy.policy {
        Policy::Chain(chain) => Some(chain.write().into()),
        _ => None,
    }
}

fn policy_column(table: &mut Table, result: &RunResult, rows: usize) {
    table.text("policy", std::iter::repeat_n(policy(result), rows));
}

fn by_dimension(table: &mut Table, what: &str, values: &[[f64; DIMENSIONS]]) {
    for dimension in Dimension::ALL {
        let name = format!("{what}_{dimension}_share");
        table.number(&name, values.iter().map(|value| value[dimension as usize]));
    }
}

pub(crate) const fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "count",
        Unit::Mean => "mean count",
        Unit::Share => "share",
        Unit::Seconds => "seconds",
    }
}

const fn fate_word(entry: &Entry) -> &'static str {
    match entry.fate {
        Fate::Placed(_) => "placed",
        Fate::Refused(_) => "refused",
        Fate::Released(_) => "released",
        Fate::Queued => "queued",
        Fate::GaveUp => "gave-up",
    }
}

const fn node_of(entry: &Entry) -> Option<NodeId> {
    match entry.fate {
        Fate::Placed(node) | Fate::Released(node) => Some(node),
        Fate::Refused(_) | Fate::Queued | Fate::GaveUp => None,
    }
}

fn filter_of(entry: &Entry) -> Option<Word> {
    match entry.fate {
        Fate::Refused(filter) => Some(filter.key().into()),
        _ => None,
    }
}
