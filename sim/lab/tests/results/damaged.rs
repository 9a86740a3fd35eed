//! Stored runs with a cell changed: each opens to a sound run, or tells which cell is wrong.

use crate::fixture::{run, written};
use capacity::outcome::Entry;
use control::backend::Backend;
use lab::recorded::Recorded;
use lab::run::RunResult;
use lab::store::open;
use model::time::Time;
use proptest::prelude::*;
use proptest::sample::Index;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The bytes of a sound database of two runs.
static DATABASE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (_place, folder) = written(&run(&["best-fit", "worst-fit"]));
    fs::read(folder.join("run.sqlite")).expect("it was written")
});

/// A folder with a database that somebody has changed.
fn changed(change: impl FnOnce(&Connection)) -> TempDir {
    let place = TempDir::new().expect("a temporary folder can be made");
    let path = place.path().join("run.sqlite");
    fs::write(&path, &*DATABASE).expect("there is space");
    change(&Connection::open(path).expect("it is a database"));
    place
}

/// Checks what is told of a folder in which one SQL sentence changed something.
fn check(sql: &str, expected: &str) {
    let place = changed(|database| {
        let rows = database.execute(sql, ()).expect("it is SQL");
        assert_eq!(rows, 1, "{sql}");
    });
    let error = open(place.path()).expect_err(sql).to_string();
    assert!(error.contains(expected), "{sql}: {expected:?} in {error}");
    assert!(error.contains("\nhint: "), "{error}");
}

/// Each id, number and order that cannot be is told by table, row, column, what was found and what
/// was expected.
#[test]
fn each_wrong_cell_is_named() {
    let set = |table: &str, column: &str, value: i64, row: u32| {
        format!("UPDATE {table} SET {column} = {value} WHERE rowid = {row}")
    };
    for (table, column, value, row, told) in [
        ("vm", "vm", 9, 5, "expected a whole number from 4 to 4"),
        (
            "vm",
            "shape",
            3,
            5,
            "expected one of the 3 shapes, counted from 0",
        ),
        (
            "vm",
            "tenant",
            -1,
            5,
            "expected one of the 3 tenants, counted from 0",
        ),
        (
            "vm",
            "group_id",
            0,
            5,
            "expected one of the 0 groups, counted from 0",
        ),
        (
            "vm",
            "priority",
            256,
            5,
            "expected a whole number from 0 to 255",
        ),
        ("vm", "duration_millis", -7, 5, "expected 0 or more"),
        (
            "vm",
            "arrival_millis",
            29_999,
            5,
            "expected a whole number from 30000 to",
        ),
        (
            "decision",
            "vm",
            400,
            5,
            "expected one of the 400 VMs, counted from 0",
        ),
        ("decision", "vm", 0, 5, "expected a VM that has no node yet"),
        (
            "decision",
            "node",
            8,
            5,
            "expected one of the 8 nodes, counted from 0",
        ),
        ("decision", "at_millis", 29_000, 5, "or later"),
        (
            "device",
            "vm",
            -1,
            1,
            "expected one of the 400 VMs, counted from 0",
        ),
        (
            "device",
            "device",
            16,
            1,
            "expected one of the 16 devices, counted from 0",
        ),
        (
            "device",
            "milli",
            1_001,
            1,
            "expected a whole number from 0 to 1000",
        ),
        ("node", "node", 7, 2, "expected a whole number from 1 to 1"),
        ("node", "placed", -1, 2, "expected a whole number from 0 to"),
        (
            "series",
            "rejected",
            -1,
            3,
            "expected a whole number from 0 to",
        ),
        (
            "rejection",
            "vms",
            -1,
            1,
            "expected a whole number from 0 to",
        ),
        ("run", "bins", -1, 1, "expected a whole number from 0 to"),
    ] {
        let expected = format!("table {table}, row {row}: {column}: found {value}, {told}");
        if expected.ends_with("or later") {
            let start = "table decision, row 5: at_millis: found 29000, expected ";
            check(&set(table, column, value, row), start);
        } else {
            check(&set(table, column, value, row), &expected);
        }
    }
    check(
        "UPDATE summary SET value = -1 WHERE policy = 'best-fit' AND figure = 'placed'",
        "value: found -1, expected a whole number from 0 on",
    );
    check(
        "DELETE FROM summary WHERE policy = 'best-fit' AND figure = 'placed'",
        "table summary: found no figure placed",
    );
    check(
        "DELETE FROM node WHERE policy = 'best-fit' AND node = 7",
        "table node: found 7 rows, expected one for each of 8 nodes",
    );
    check(
        "UPDATE vm SET name = 'x' WHERE vm = 7",
        "table vm, row 8: name: found \"x\", expected names of all VMs or of none",
    );
    check(
        "UPDATE input SET json = replace(json, '\"rack\":0,\"state\":\"up\"}]', '\"rack\":9,\"state\":\"up\"}]') WHERE name = 'grid'",
        "the grid's node 7 has rack 9, expected one of 1, counted from 0",
    );
    check(
        "UPDATE input SET json = replace(json, '\"accel_milli\":2000', '\"accel_milli\":3000') WHERE name = 'grid'",
        "the grid's class 1 has 3000 accel_milli on 2 accelerators",
    );
}

/// A VM on a node without room for it, or with devices that it did not ask for, is found out.
#[test]
fn a_log_that_cannot_be_is_told() {
    // The third shape asks half an accelerator, which the first six nodes have not.
    check(
        "UPDATE decision SET node = 0 WHERE policy = 'best-fit' AND fate = 'placed' AND vm = 7",
        "node: found 0, expected a node with room for the VM",
    );
    check(
        "UPDATE decision SET node = 7 WHERE rowid = (SELECT min(rowid) FROM decision WHERE fate = 'released' AND node < 6)",
        "node: found 7, expected ",
    );
    check(
        "UPDATE decision SET at_millis = at_millis + 1 WHERE rowid = (SELECT max(rowid) FROM decision WHERE policy = 'best-fit' AND fate = 'released')",
        "when the VM's time is over",
    );
    check(
        "UPDATE device SET milli = 499 WHERE rowid = 1",
        "expected a VM with the devices it asks for",
    );
}

/// Replays a run from its start to its end, and checks that no node ever has more than it holds.
fn replay(result: &RunResult) {
    let Ok(mut recorded) = Recorded::new(result) else {
        return;
    };
    let (first, last) = recorded.span();
    let span = last.0 - first.0;
    for step in 0..=20 {
        recorded.seek(Time(first.0 + span / 20 * step));
        let view = recorded.view();
        for (id, node) in view.grid.node_ids().zip(&view.nodes) {
            let capacity = view.grid.class_of(id).capacity;
            assert_eq!(node.used.first_shortage(capacity), None, "{id}");
        }
    }
    recorded.seek(last);
    let (view, events) = (recorded.view(), recorded.events(0, usize::MAX));
    let until = |entry: &&Entry| entry.at <= last;
    let log = result.outcome.log.iter().filter(until);
    assert_eq!(events.len(), log.count());
    assert_eq!(view.nodes.len(), result.outcome.nodes.len());
}

fn open_and_replay(folder: &Path) -> Result<(), TestCaseError> {
    match open(folder) {
        Ok(results) => {
            prop_assert_eq!(results.len(), 2);
            results.iter().for_each(replay);
        }
        Err(error) => {
            let told = error.to_string();
            prop_assert!(told.contains("run.sqlite"), "{told}");
        }
    }
    Ok(())
}

/// Table, column and row of every whole number.
fn whole_numbers(database: &Connection) -> Vec<(String, String, i64)> {
    let sql = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
               WHERE m.type = 'table' AND c.type = 'INTEGER'";
    let mut select = database.prepare(sql).expect("it is SQL");
    let columns = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    let columns: Vec<(String, String)> = columns
        .and_then(Iterator::collect)
        .expect("there are tables");
    let cells = columns.into_iter().flat_map(|(table, column)| {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = database
            .query_row(&count, (), |row| row.get(0))
            .expect("it is SQL");
        (1..=rows).map(move |row| (table.clone(), column.clone(), row))
    });
    cells.collect()
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        -2..20_i64,
        0..5_000_000_i64,
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX)
    ]
}

proptest! {
    /// Whatever whole number is changed, the run opens to a sound one or the damage is told; no
    /// replay panics.
    #[test]
    fn no_changed_cell_breaks_a_replay(
        changes in prop::collection::vec((any::<Index>(), number(), any::<bool>()), 1..3),
    ) {
        let place = changed(|database| {
            let cells = whole_numbers(database);
            let mut columns: Vec<_> = cells.iter().map(|(t, c, _)| (t, c)).collect();
            columns.dedup();
            for (at, value, flip) in changes {
                // A column first, as the log has most of the cells.
                let (table, column) = columns[at.index(columns.len())];
                let rows = cells.iter().filter(|(t, c, _)| (t, c) == (table, column));
                let row = at.index(rows.count() * 7919) / 7919 + 1;
                // A flipped bit, or any number: SQLite has no exclusive or of its own.
                let new = if flip {
                    let bit = 1_i64 << value.rem_euclid(63);
                    format!("(coalesce({column}, 0) | {bit}) - (coalesce({column}, 0) & {bit})")
                } else {
                    value.to_string()
                };
                let sql = format!("UPDATE {table} SET {column} = {new} WHERE rowid = {row}");
                database.execute(&sql, ()).expect("it is SQL");
            }
        });
        open_and_replay(place.path())?;
    }

    /// Whatever number is changed in the inputs kept as JSON, the same holds.
    #[test]
    fn no_changed_input_breaks_a_replay(
        input in prop::sample::select(vec!["grid", "shapes", "tenants", "groups"]),
        at in any::<Index>(),
        value in number(),
    ) {
        let place = changed(|database| {
            let sql = "SELECT json FROM input WHERE name = ?";
            let json: String = database.query_row(sql, [input], |row| row.get(0)).expect("it is there");
            let is_digit = |at: usize| json.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
            let starts: Vec<usize> = (1..json.len())
                .filter(|at| is_digit(*at) && matches!(json.as_bytes()[at - 1], b':' | b',' | b'['))
                .collect();
            if starts.is_empty() {
                return;
            }
            let start = starts[at.index(starts.len())];
            let end = (start..).find(|at| !is_digit(*at)).expect("JSON ends in a bracket");
            let json = format!("{}{value}{}", &json[..start], &json[end..]);
            let update = "UPDATE input SET json = ? WHERE name = ?";
            database.execute(update, [&json, input]).expect("it is SQL");
        });
        open_and_replay(place.path())?;
    }
}
