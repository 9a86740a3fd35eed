//! Reads runs back from their database.

use super::tables::LAYOUT;
use crate::run::RunResult;
use crate::run::policy::NamedPolicy;
use capacity::outcome::{Entry, Fate, NodeOutcome, Outcome, Series, Summary};
use capacity::run::{Options, Waiting};
use capacity::trace::{Trace, VmRequest};
use model::grid::Grid;
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::{DIMENSIONS, Dimension};
use placement::filter::Filter;
use placement::placer::Search;
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::state::Devices;
use rusqlite::{Connection, OpenFlags, Row};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What is wrong with a database of results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// Not there, no database, or a table or a column is missing.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// Of an older or a newer program.
    #[error("found layout {0}, expected {LAYOUT}")]
    Layout(i32),
    /// An input is not what it was.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A word that no program of ours writes.
    #[error("found the {what} {found:?}")]
    Word { what: &'static str, found: String },
}

type Read<T> = Result<T, Damage>;

/// Every run of a database, in the order in which they were written.
pub(crate) fn runs(path: &Path) -> Read<Vec<RunResult>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let layout = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if layout != LAYOUT {
        return Err(Damage::Layout(layout));
    }
    let grid: Arc<Grid> = Arc::new(input(&database, "grid")?);
    let trace = Arc::new(trace(&database)?);
    let mut select = database.prepare("SELECT * FROM run ORDER BY rowid")?;
    let mut rows = select.query(())?;
    let mut results = Vec::new();
    while let Some(row) = rows.next()? {
        results.push(run(&database, row, &grid, &trace)?);
    }
    Ok(results)
}

fn run(
    database: &Connection,
    row: &Row<'_>,
    grid: &Arc<Grid>,
    trace: &Arc<Trace>,
) -> Read<RunResult> {
    let name: String = row.get("policy")?;
    let chain: Option<String> = row.get("chain")?;
    let policy = match chain {
        Some(text) => RuleChain::read(&name, &text).ok().map(Policy::Chain),
        None => Policy::named(&name).ok(),
    };
    let hash: String = row.get("decision_hash")?;
    let log = log(database, &name)?;
    let outcome = Outcome {
        summary: Summary {
            decision_hash: u64::from_str_radix(&hash, 16).map_err(|_| word("hash", &hash))?,
            rejections: rejections(database, &name)?,
            ..summary(database, &name)?
        },
        series: series(database, &name)?,
        nodes: nodes(database, &name)?,
        devices: devices(database, &name)?,
        log,
    };
    Ok(RunResult {
        trace: Arc::clone(trace),
        grid: Arc::clone(grid),
        options: options(row, !outcome.log.is_empty())?,
        outcome: Arc::new(outcome),
        load_seconds: row.get("load_seconds")?,
        sim_seconds: row.get("sim_seconds")?,
        policy: NamedPolicy {
            policy: policy.ok_or_else(|| word("policy", &name))?,
            name,
        },
    })
}

fn options(row: &Row<'_>, log: bool) -> Read<Options> {
    let (seed, search): (String, String) = (row.get("seed")?, row.get("search")?);
    let waiting: String = row.get("waiting")?;
    let patience: Option<f64> = row.get("patience_seconds")?;
    Ok(Options {
        seed: seed.parse().map_err(|_| word("seed", &seed))?,
        search: match search.as_str() {
            "indexed" => Search::Indexed,
            "naive" => Search::Naive,
            _ => return Err(word("search", &search)),
        },
        waiting: match waiting.as_str() {
            "refuse" => Waiting::Refuse,
            "queue" => Waiting::Queue {
                patience: patience.map(Span::from_seconds),
            },
            _ => return Err(word("waiting", &waiting)),
        },
        bins: row.get::<_, i64>("bins")? as usize,
        log,
    })
}

fn input<T: DeserializeOwned>(database: &Connection, name: &str) -> Read<T> {
    let sql = "SELECT json FROM input WHERE name = ?";
    let json: String = database.query_row(sql, [name], |row| row.get(0))?;
    Ok(serde_json::from_str(&json)?)
}

fn trace(database: &Connection) -> Read<Trace> {
    let sql = "SELECT trace, trace_end_millis, trace_dated_until_millis FROM run LIMIT 1";
    let (name, end, dated_until) =
        database.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut trace = Trace {
        name,
        end: Time(end),
        dated_until: Time(dated_until),
        shapes: input(database, "shapes")?,
        tenants: input(database, "tenants")?,
        groups: input(database, "groups")?,
        notes: input(database, "notes")?,
        ..Trace::default()
    };
    if !database.table_exists(None, "vm")? {
        return Ok(trace);
    }
    let mut select = database.prepare("SELECT * FROM vm ORDER BY vm")?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        trace.vms.push(VmRequest {
            arrival: Time(row.get("arrival_millis")?),
            duration: row.get::<_, Option<i64>>("duration_millis")?.map(Span),
            shape: row.get("shape")?,
            tenant: row.get("tenant")?,
            priority: row.get("priority")?,
            group: row.get("group_id")?,
        });
        let name: Option<String> = row.get("name")?;
        trace.names.extend(name.map(String::into_boxed_str));
    }
    Ok(trace)
}

fn summary(database: &Connection, policy: &str) -> Read<Summary> {
    let mut select = database.prepare("SELECT figure, value FROM summary WHERE policy = ?")?;
    let pairs = select.query_map([policy], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // What has no end is stored as unknown.
    let figures: BTreeMap<String, Option<f64>> = pairs.collect::<Result<_, _>>()?;
    let value = |key: &str| match figures.get(key) {
        Some(value) => Ok(value.unwrap_or(f64::INFINITY)),
        None => Err(word("summary without", key)),
    };
    let count = |key: &str| value(key).map(|value| value as u64);
    let shares = |what: &str| -> Read<[f64; DIMENSIONS]> {
        let mut shares = [0.0; DIMENSIONS];
        for dimension in Dimension::ALL {
            shares[dimension as usize] = value(&format!("{what}_{dimension}_share"))?;
        }
        Ok(shares)
    };
    Ok(Summary {
        vms: count("vms")?,
        placed: count("placed")?,
        rejected: count("rejected")?,
        released: count("released")?,
        waiting_at_end: count("waiting_at_end")?,
        events: count("events")?,
        peak_alive: count("peak_alive")?,
        acceptance: value("acceptance_share")?,
        acceptance_core_hours: value("acceptance_core_hours_share")?,
        allocated: shares("allocated")?,
        density: shares("density")?,
        stranded: shares("stranded")?,
        empty_nodes: value("empty_nodes_share")?,
        alive: value("alive_mean")?,
        waiting: value("waiting_mean")?,
        wait_seconds: [
            value("wait_mean_seconds")?,
            value("wait_p50_seconds")?,
            value("wait_p95_seconds")?,
            value("wait_p99_seconds")?,
        ],
        ..Summary::default()
    })
}

fn series(database: &Connection, policy: &str) -> Read<Series> {
    let mut series = Series::default();
    each(database, "series", policy, |row| {
        series
            .start
            .push(Time::from_seconds(row.get("start_seconds")?));
        series.allocated.push(shares(row, "allocated")?);
        series.stranded.push(shares(row, "stranded")?);
        series.empty_nodes.push(row.get("empty_nodes_share")?);
        series.alive.push(row.get("alive_mean")?);
        series.waiting.push(row.get("waiting_mean")?);
        series.rejected.push(row.get::<_, i64>("rejected")? as u64);
        series.placed.push(row.get::<_, i64>("placed")? as u64);
        Ok(())
    })?;
    Ok(series)
}

fn nodes(database: &Connection, policy: &str) -> Read<Vec<NodeOutcome>> {
    let mut nodes = Vec::new();
    each(database, "node", policy, |row| {
        nodes.push(NodeOutcome {
            allocated: shares(row, "allocated")?,
            peak: shares(row, "peak")?,
            empty: row.get("empty_share")?,
            placed: row.get::<_, i64>("placed")? as u64,
        });
        Ok(())
    })?;
    Ok(nodes)
}

fn rejections(database: &Connection, policy: &str) -> Read<BTreeMap<Filter, u64>> {
    let mut rejections = BTreeMap::new();
    each(database, "rejection", policy, |row| {
        let vms: i64 = row.get("vms")?;
        rejections.insert(filter(&row.get::<_, String>("filter")?)?, vms as u64);
        Ok(())
    })?;
    Ok(rejections)
}

fn log(database: &Connection, policy: &str) -> Read<Vec<Entry>> {
    let mut log = Vec::new();
    if !database.table_exists(None, "decision")? {
        return Ok(log);
    }
    each(database, "decision", policy, |row| {
        let fate: String = row.get("fate")?;
        let node = || row.get("node").map(NodeId);
        log.push(Entry {
            at: Time(row.get("at_millis")?),
            vm: row.get("vm")?,
            fate: match fate.as_str() {
                "placed" => Fate::Placed(node()?),
                "released" => Fate::Released(node()?),
                "refused" => Fate::Refused(filter(&row.get::<_, String>("filter")?)?),
                "queued" => Fate::Queued,
                "gave-up" => Fate::GaveUp,
                _ => return Err(word("fate", &fate)),
            },
        });
        Ok(())
    })?;
    Ok(log)
}

fn devices(database: &Connection, policy: &str) -> Read<Vec<(u32, Devices)>> {
    let mut devices: Vec<(u32, Devices)> = Vec::new();
    if !database.table_exists(None, "device")? {
        return Ok(devices);
    }
    each(database, "device", policy, |row| {
        let (vm, device) = (row.get("vm")?, (row.get("device")?, row.get("milli")?));
        match devices.last_mut() {
            Some((last, list)) if *last == vm => list.push(device),
            _ => devices.push((vm, vec![device])),
        }
        Ok(())
    })?;
    Ok(devices)
}

/// Every row of a policy, in the order in which it was written.
fn each(
    database: &Connection,
    table: &str,
    policy: &str,
    mut take: impl FnMut(&Row<'_>) -> Read<()>,
) -> Read<()> {
    let sql = format!("SELECT * FROM {table} WHERE policy = ? ORDER BY rowid");
    let mut select = database.prepare(&sql)?;
    let mut rows = select.query([policy])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn shares(row: &Row<'_>, what: &str) -> Read<[f64; DIMENSIONS]> {
    let mut shares = [0.0; DIMENSIONS];
    for dimension in Dimension::ALL {
        shares[dimension as usize] = row.get(format!("{what}_{dimension}_share").as_str())?;
    }
    Ok(shares)
}

fn filter(key: &str) -> Read<Filter> {
    Filter::from_key(key).ok_or_else(|| word("filter", key))
}

fn word(what: &'static str, found: &str) -> Damage {
    Damage::Word {
        what,
        found: found.to_owned(),
    }
}
