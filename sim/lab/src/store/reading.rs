//! Reads runs back from their database.

use super::cell::{Cells, Damage, Read, each};
use super::course::{Course, DEVICE_MILLI};
use super::tables::{LAYOUT, unit_word};
use crate::run::RunResult;
use crate::run::figures::Unit;
use crate::run::policy::NamedPolicy;
use capacity::outcome::{Entry, Fate, NodeOutcome, Outcome, Series, Summary};
use capacity::run::{Options, Waiting};
use capacity::trace::{Trace, VmRequest};
use model::grid::{Grid, MAX_ACCELERATORS};
use model::id::NodeId;
use model::time::{Span, Time};
use model::units::{DIMENSIONS, Dimension};
use placement::filter::Filter;
use placement::placer::Search;
use placement::policy::Policy;
use placement::rule::RuleChain;
use placement::state::Devices;
use rusqlite::{Connection, OpenFlags};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Every run of a database, in the order in which they were written.
pub(crate) fn runs(path: &Path) -> Read<Vec<RunResult>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let layout = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if layout != LAYOUT {
        return Err(Damage::Layout {
            found: layout,
            expected: LAYOUT,
        });
    }
    let grid: Arc<Grid> = Arc::new(input(&database, "grid")?);
    grid.check()?;
    let trace = Arc::new(trace(&database)?);
    let mut results = Vec::new();
    each(&database, "run", None, |row| {
        results.push(run(&database, row, &grid, &trace)?);
        Ok(())
    })?;
    Ok(results)
}

fn run(
    database: &Connection,
    row: &Cells<'_>,
    grid: &Arc<Grid>,
    trace: &Arc<Trace>,
) -> Read<RunResult> {
    let name: String = row.get("policy")?;
    let chain: Option<String> = row.get("chain")?;
    let policy = match chain {
        Some(text) => RuleChain::read(&name, &text).ok().map(Policy::Chain),
        None => Policy::named(&name).ok(),
    };
    let hash = |word: &str| u64::from_str_radix(word, 16).ok();
    let devices = devices(database, &name, trace)?;
    let log = log(database, &name, trace, grid, &devices)?;
    let outcome = Outcome {
        summary: Summary {
            decision_hash: row.word("decision_hash", "64 bits in hexadecimal", hash)?,
            rejections: rejections(database, &name)?,
            ..summary(database, &name)?
        },
        series: series(database, &name)?,
        nodes: nodes(database, &name, grid)?,
        devices,
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
            policy: policy.ok_or_else(|| row.refuse("policy", "a policy or a chain"))?,
            name,
        },
    })
}

fn options(row: &Cells<'_>, log: bool) -> Read<Options> {
    let patience: Option<f64> = row.get("patience_seconds")?;
    Ok(Options {
        seed: row.word("seed", "64 bits in decimals", |word| word.parse().ok())?,
        search: row.word("search", "indexed or naive", |word| match word {
            "indexed" => Some(Search::Indexed),
            "naive" => Some(Search::Naive),
            _ => None,
        })?,
        waiting: row.word("waiting", "refuse or queue", |word| match word {
            "refuse" => Some(Waiting::Refuse),
            "queue" => Some(Waiting::Queue {
                patience: patience.map(Span::from_seconds),
            }),
            _ => None,
        })?,
        bins: row.whole("bins", 0..=i64::from(u32::MAX))? as usize,
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
    let mut last = i64::MIN;
    each(database, "vm", None, |row| {
        let place = trace.vms.len() as i64;
        row.whole("vm", place..=place)?;
        last = row.whole("arrival_millis", last..=i64::MAX)?;
        let duration: Option<i64> = row.get("duration_millis")?;
        if duration.is_some_and(|millis| millis < 0) {
            return Err(row.refuse("duration_millis", "0 or more"));
        }
        trace.vms.push(VmRequest {
            arrival: Time(last),
            duration: duration.map(Span),
            shape: row.place("shape", trace.shapes.len(), "shape")?,
            tenant: row.place("tenant", trace.tenants.len(), "tenant")?,
            priority: row.whole("priority", 0..=i64::from(u8::MAX))? as u8,
            group: row.maybe_place("group_id", trace.groups.len(), "group")?,
        });
        let name: Option<String> = row.get("name")?;
        if place > 0 && name.is_some() == trace.names.is_empty() {
            return Err(row.refuse("name", "names of all VMs or of none"));
        }
        trace.names.extend(name.map(String::into_boxed_str));
        Ok(())
    })?;
    Ok(trace)
}

fn summary(database: &Connection, policy: &str) -> Read<Summary> {
    let mut figures: BTreeMap<String, f64> = BTreeMap::new();
    each(database, "summary", Some(policy), |row| {
        let value: Option<f64> = row.get("value")?;
        // What has no end is stored as unknown.
        let value = value.unwrap_or(f64::INFINITY);
        let unit: String = row.get("unit")?;
        let whole = value >= 0.0 && value.fract() == 0.0;
        if unit == unit_word(Unit::Count) && !whole {
            return Err(row.refuse("value", "a whole number from 0 on"));
        }
        figures.insert(row.get("figure")?, value);
        Ok(())
    })?;
    let value = |key: &str| {
        let found = figures.get(key).copied();
        found.ok_or_else(|| Damage::Figure { key: key.into() })
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
    each(database, "series", Some(policy), |row| {
        series
            .start
            .push(Time::from_seconds(row.get("start_seconds")?));
        series.allocated.push(shares(row, "allocated")?);
        series.stranded.push(shares(row, "stranded")?);
        series.empty_nodes.push(row.get("empty_nodes_share")?);
        series.alive.push(row.get("alive_mean")?);
        series.waiting.push(row.get("waiting_mean")?);
        series.rejected.push(row.count("rejected")?);
        series.placed.push(row.count("placed")?);
        Ok(())
    })?;
    Ok(series)
}

fn nodes(database: &Connection, policy: &str, grid: &Grid) -> Read<Vec<NodeOutcome>> {
    let mut nodes = Vec::new();
    each(database, "node", Some(policy), |row| {
        let place = nodes.len() as i64;
        row.whole("node", place..=place)?;
        nodes.push(NodeOutcome {
            allocated: shares(row, "allocated")?,
            peak: shares(row, "peak")?,
            empty: row.get("empty_share")?,
            placed: row.count("placed")?,
        });
        Ok(())
    })?;
    if nodes.len() == grid.nodes.len() {
        return Ok(nodes);
    }
    Err(Damage::Rows {
        table: "node",
        found: nodes.len(),
        expected: format!("one for each of {} nodes", grid.nodes.len()),
    })
}

fn rejections(database: &Connection, policy: &str) -> Read<BTreeMap<Filter, u64>> {
    let mut rejections = BTreeMap::new();
    each(database, "rejection", Some(policy), |row| {
        rejections.insert(filter(row)?, row.count("vms")?);
        Ok(())
    })?;
    Ok(rejections)
}

fn log(
    database: &Connection,
    policy: &str,
    trace: &Trace,
    grid: &Grid,
    devices: &[(u32, Devices)],
) -> Read<Vec<Entry>> {
    let mut log = Vec::new();
    if !database.table_exists(None, "decision")? {
        return Ok(log);
    }
    let devices = devices.iter().cloned().collect();
    let mut course = Course::new(trace, grid, &devices);
    each(database, "decision", Some(policy), |row| {
        let node = || row.place("node", grid.nodes.len(), "node").map(NodeId);
        let fate: String = row.get("fate")?;
        let entry = Entry {
            at: Time(row.get("at_millis")?),
            vm: row.place("vm", trace.vms.len(), "VM")?,
            fate: match fate.as_str() {
                "placed" => Fate::Placed(node()?),
                "released" => Fate::Released(node()?),
                "refused" => Fate::Refused(filter(row)?),
                "queued" => Fate::Queued,
                "gave-up" => Fate::GaveUp,
                _ => return Err(row.refuse("fate", "placed, released, refused, queued or gave-up")),
            },
        };
        let followed = course.follow(&entry);
        followed.map_err(|wrong| row.refuse(wrong.column, wrong.expected))?;
        log.push(entry);
        Ok(())
    })?;
    Ok(log)
}

fn devices(database: &Connection, policy: &str, trace: &Trace) -> Read<Vec<(u32, Devices)>> {
    let mut devices: Vec<(u32, Devices)> = Vec::new();
    if !database.table_exists(None, "device")? {
        return Ok(devices);
    }
    each(database, "device", Some(policy), |row| {
        let vm = row.place("vm", trace.vms.len(), "VM")?;
        let device = row.place("device", MAX_ACCELERATORS, "device")? as u8;
        let milli = row.whole("milli", 0..=i64::from(DEVICE_MILLI))? as u16;
        match devices.last_mut() {
            Some((last, list)) if *last == vm => list.push((device, milli)),
            _ => devices.push((vm, vec![(device, milli)])),
        }
        Ok(())
    })?;
    Ok(devices)
}

fn shares(row: &Cells<'_>, what: &str) -> Read<[f64; DIMENSIONS]> {
    let mut shares = [0.0; DIMENSIONS];
    for dimension in Dimension::ALL {
        shares[dimension as usize] = row.get(&format!("{what}_{dimension}_share"))?;
    }
    Ok(shares)
}

fn filter(row: &Cells<'_>) -> Read<Filter> {
    row.word("filter", "a filter of placement", Filter::from_key)
}
