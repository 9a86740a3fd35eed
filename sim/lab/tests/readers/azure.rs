//! The Azure packing trace of 2020, a SQLite file.

use crate::told;
use capacity::outcome::Fate;
use capacity::run::{Options, run};
use engine::watch::Unwatched;
use lab::read::{Format, azure_packing};
use model::id::NodeId;
use model::time::Time;
use model::vm::Demand;
use placement::policy::Policy;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// The tables of the Azure packing trace, small.
pub(crate) fn packing(path: &Path, extra: &str) {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(&format!(
            "CREATE TABLE vmType (id INTEGER, vmTypeId INTEGER, machineId INTEGER, core REAL, memory REAL, hdd REAL,
                                  ssd REAL, nic REAL);
             CREATE TABLE vm (vmId INTEGER, tenantId INTEGER, vmTypeId INTEGER, priority INTEGER, starttime REAL,
                              endtime REAL);
             INSERT INTO vmType VALUES (0, 5, 12, 0.5, 0.25, NULL, 0.125, 0.1), (1, 5, 16, 0.25, 0.125, 0, 0.0625, 0.1),
                                       (2, 6, 16, 0.3333333333333333, 0.333333, 0.01, 0, 1);
             INSERT INTO vm VALUES (0, 70, 5, 0, -1.5, 0.25), (1, 71, 6, 1, 0.5, NULL), (2, 70, 5, 1, 0.25, 40.0),
                                   (3, 70, 5, 1, -3.0, -1.0);
             {extra}"
        ))
        .expect("its tables");
}

/// Shares by machine, VMs from before the start, open ends, priorities; VMs gone before the start are left out.
#[test]
fn azure_packing_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("packing.sqlite");
    packing(&path, "");
    let trace = lab::read::trace(&path, None, &Unwatched).expect("a sound trace");
    let vms: Vec<_> = trace
        .vms
        .iter()
        .zip(&trace.names)
        .map(|(vm, name)| {
            let tenant = trace.tenants[vm.tenant as usize].as_str();
            let life = vm.duration.map(|d| d.0);
            (&**name, vm.arrival.0, life, vm.shape, tenant, vm.priority)
        })
        .collect();
    assert_eq!(
        vms,
        [
            ("0", -129_600_000, Some(151_200_000), 0, "70", 1),
            ("2", 21_600_000, Some(3_434_400_000), 0, "70", 0),
            ("1", 43_200_000, None, 1, "71", 0),
        ]
    );
    assert_eq!(trace.end, Time(86_400_000));
    assert_eq!(
        trace.notes,
        [
            "1 VM ends after the trace does, at 86400 s",
            "VMs that ended before the start are left out: 1"
        ]
    );
    let shares: Vec<_> = trace
        .shapes
        .iter()
        .map(|shape| match &shape.demand {
            Demand::ShareOfModel(shares) => shares.clone().into_iter().collect::<Vec<_>>(),
            Demand::Fixed(_) => panic!("shares"),
        })
        .collect();
    assert_eq!(
        shares,
        [
            vec![
                ("12".to_owned(), [500_000, 250_000, 0, 125_000, 100_000, 0]),
                ("16".to_owned(), [250_000, 125_000, 0, 62_500, 100_000, 0]),
            ],
            vec![("16".to_owned(), [333_333, 333_333, 10_000, 0, 1_000_000, 0])],
        ]
    );
    let grid = azure_packing::grid(&path, 3).expect("a sound grid");
    let models: Vec<&str> = grid
        .node_ids()
        .map(|n| grid.class_of(n).model.as_str())
        .collect();
    assert_eq!(models, ["12", "12", "12", "16", "16", "16"]);
    // Type 5 is legal on both machines and takes the first; type 6 only on the other.
    let one = Arc::new(azure_packing::grid(&path, 1).expect("a sound grid"));
    let options = Options {
        log: true,
        ..Options::default()
    };
    let outcome = run(&trace, &one, &Policy::FirstFit, &options, &Unwatched);
    let log = outcome.expect("nobody cancels").log;
    let placed: Vec<(u32, Fate)> = log.iter().map(|entry| (entry.vm, entry.fate)).collect();
    assert_eq!(
        placed[..4],
        [
            (0, Fate::Placed(NodeId(0))),
            (0, Fate::Released(NodeId(0))),
            (1, Fate::Placed(NodeId(0))),
            (2, Fate::Placed(NodeId(1))),
        ]
    );
    let whole = grid.classes[0].capacity.to_array();
    assert_eq!(
        whole,
        [1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 0]
    );
}

/// Rows and tables that are not as published: each told with table, row and column.
#[test]
fn azure_packing_faults() {
    let check = |extra: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.sqlite");
        packing(&path, extra);
        let format = Some(Format::AzurePacking);
        let error = lab::read::trace(&path, format, &Unwatched).expect_err("a faulty trace");
        assert_eq!(told(&error, folder.path()), expected);
    };
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 0, 'abc', NULL)",
        "p.sqlite: table vm, row 5, starttime: found \"abc\", expected a number of days",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 77, 0, 1.0, NULL)",
        "p.sqlite: table vm, row 5, vmTypeId: found 77, expected a type of the table vmType",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 3, 1.0, NULL)",
        "p.sqlite: table vm, row 5, priority: found 3, expected 0 for high or 1 for low",
    );
    check(
        "INSERT INTO vm VALUES (9, 1, 5, 0, 1.0, 0.5)",
        "p.sqlite: table vm, row 5, endtime: found 0.5, expected no less than starttime, 1",
    );
    check(
        "INSERT INTO vmType VALUES (9, 6, 17, 1.5, 0, 0, 0, 0)",
        "p.sqlite: table vmType, row 4, core: found 1.5, expected a part of the machine, 0 to 1",
    );
    check(
        "INSERT INTO vmType VALUES (9, 6, 16, 0.5, 0, 0, 0, 0)",
        "p.sqlite: table vmType, row 4, machineId: found 16, expected a machine that this type has no other row for",
    );
    check(
        "DROP TABLE vm",
        "p.sqlite: table vm: found no such table, expected vmId, tenantId, vmTypeId, priority, starttime, endtime",
    );
    check(
        "ALTER TABLE vm DROP COLUMN endtime",
        "p.sqlite: table vm: found vmId, tenantId, vmTypeId, priority, starttime, expected also the columns endtime",
    );
}
