//! The Azure packing trace of 2020 (Hadary et al., OSDI'20): an SQLite file with the tables `vm` and `vmType`.
//!
//! `vm` has `vmId`, `tenantId`, `vmTypeId`, `priority` (0 high, 1 low), `starttime`, `endtime`, in fractional days; a
//! negative start: alive before; no end: alive past the 90th day. `vmType` has `vmTypeId`, `machineId`, `core`, `memory`,
//! `hdd`, `ssd`, `nic`, as parts of that machine: one row for each machine on which the type is legal, and only there.
//!
//! Each type becomes a [`Demand::ShareOfModel`]; the models are named by `machineId`, so that a grid's nodes take such VMs
//! when their group says `model = "12"`. [`grid`] makes such a grid. Rotating disks count in the dimension `disk`, flash in
//! `disk_io`: both are pools of their own, and a sum would lose one of the two limits. Shares are kept in parts per
//! million and rounded down, at most a millionth of a machine too little, lest three thirds no longer fit.
//!
//! The requests cover 14 days, ends up to 90: the trace ends with the day of its last start.

use super::builder::Builder;
use super::error::{ReadError, fault_of, quoted, shown};
use super::grid::PlainGrid;
use super::table::whole_millis;
use capacity::trace::{Trace, VmRequest};
use engine::watch::Watch;
use model::grid::Grid;
use model::time::{Span, Time};
use model::units::{AccelMilli, DIMENSIONS, Resources};
use model::vm::{Demand, VmSpec};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

const DAY_MILLIS: f64 = 86_400_000.0;
/// So many rows between two calls of the watcher: a few milliseconds.
const ROWS_A_PROGRESS: u64 = 8_192;
const WHOLE_PPM: f64 = 1e6;
/// The share columns, each with the dimension in which it counts.
const SHARES: [(&str, usize); 5] = [
    ("core", 0),
    ("memory", 1),
    ("hdd", 2),
    ("ssd", 3),
    ("nic", 4),
];
const VM_COLUMNS: [&str; 6] = [
    "vmId",
    "tenantId",
    "vmTypeId",
    "priority",
    "starttime",
    "endtime",
];

/// Whether a head is that of an SQLite file.
pub(crate) fn knows(head: &[u8]) -> bool {
    head.starts_with(b"SQLite format 3\0")
}

pub(crate) fn read(path: &Path, watch: &dyn Watch) -> Result<Trace, ReadError> {
    let file = Database::open(path)?;
    let mut builder = Builder::new(&file.name);
    let types = file.types()?;
    let mut shapes = HashMap::with_capacity(types.len());
    for (id, shares) in types {
        let mut spec = VmSpec::plain(Resources::default());
        spec.demand = Demand::ShareOfModel(shares);
        shapes.insert(id, builder.shape(spec));
    }
    file.vms(&shapes, &mut builder, watch)?;
    builder.finish()
}

/// Nodes of each machine, where nothing else is said; the trace tells no number of machines.
pub const NODES_A_MACHINE: u32 = 100;

/// A grid of the trace's machines, as many of each.
///
/// A node has a million units in every dimension, so that parts per million are exact; its model is the `machineId`.
///
/// # Errors
/// What is wrong with the table `vmType`.
pub fn grid(path: &Path, nodes_a_machine: u32) -> Result<Grid, ReadError> {
    let file = Database::open(path)?;
    let types = file.types()?;
    let machines: BTreeSet<&String> = types.values().flat_map(BTreeMap::keys).collect();
    if machines.is_empty() {
        return Err(fault_of(
            &file.name,
            0,
            "table vmType",
            "no row",
            "at least one",
        ));
    }
    let mut grid = PlainGrid::new(&path.file_stem().unwrap_or_default().to_string_lossy());
    let whole = [WHOLE_PPM as u32; DIMENSIONS];
    let mut capacity = Resources::from_array(whole);
    capacity.accel_milli = AccelMilli(0);
    for machine in machines {
        let class = format!("machine-{machine}");
        for number in 0..nodes_a_machine {
            let name = format!("{class}-{number}");
            let added = grid.node(&name, &class, machine, capacity, None);
            assert!(added, "machines are distinct, and so are numbers");
        }
    }
    Ok(grid.finish())
}

type Shares = BTreeMap<String, [u32; DIMENSIONS]>;

struct Database {
    name: String,
    connection: Connection,
}

impl Database {
    fn open(path: &Path) -> Result<Self, ReadError> {
        let name = shown(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match Connection::open_with_flags(path, flags) {
            Ok(connection) => Ok(Self { name, connection }),
            Err(source) => Err(ReadError::Sqlite {
                path: name,
                table: "sqlite_schema",
                source,
            }),
        }
    }

    /// The shares of every type, by machine.
    fn types(&self) -> Result<BTreeMap<Id, Shares>, ReadError> {
        let mut types: BTreeMap<Id, Shares> = BTreeMap::new();
        let names: Vec<&str> = ["vmTypeId", "machineId"]
            .into_iter()
            .chain(SHARES.map(|(name, _)| name))
            .collect();
        self.each("vmType", &names, |cell| {
            let machine = cell.id(1)?.to_string();
            let mut ppm = [0; DIMENSIONS];
            for (column, (_, dimension)) in SHARES.into_iter().enumerate() {
                ppm[dimension] = cell.share(column + 2)?;
            }
            let shares = types.entry(cell.id(0)?).or_default();
            match shares.insert(machine, ppm) {
                Some(other) if other != ppm => {
                    Err(cell.fault(1, "a machine that this type has no other row for"))
                }
                _ => Ok(()),
            }
        })?;
        Ok(types)
    }

    fn vms(
        &self,
        shapes: &HashMap<Id, u32>,
        builder: &mut Builder,
        watch: &dyn Watch,
    ) -> Result<(), ReadError> {
        let total = self
            .connection
            .query_row("SELECT count(*) FROM vm", [], |row| row.get::<_, i64>(0))
            .unwrap_or(0) as u64;
        let mut last_start = Time::ZERO;
        self.each("vm", &VM_COLUMNS, |cell| {
            if cell.row_number % ROWS_A_PROGRESS == 1 {
                watch
                    .progress(cell.row_number, total)
                    .map_err(ReadError::Cancelled)?;
            }
            let Some(&shape) = shapes.get(&cell.id(2)?) else {
                return Err(cell.fault(2, "a type of the table vmType"));
            };
            let arrival = Time(cell.days(4)?);
            let duration = match cell.value(5) {
                ValueRef::Null => None,
                _ => Some(Time(cell.days(5)?) - arrival),
            };
            if duration.is_some_and(|duration| duration < Span(0)) {
                let start = arrival.0 as f64 / DAY_MILLIS;
                return Err(cell.fault(5, &format!("no less than starttime, {start}")));
            }
            let priority = match cell.value(3) {
                ValueRef::Integer(0) => 1,
                ValueRef::Integer(1) => 0,
                _ => return Err(cell.fault(3, "0 for high or 1 for low")),
            };
            last_start = last_start.max(arrival);
            let tenant = builder.tenant(cell.id(1)?.to_string().as_bytes());
            let request = VmRequest {
                arrival,
                duration,
                shape,
                tenant,
                priority,
                group: None,
            };
            builder.push(Some(&cell.id(0)?.to_string()), request);
            Ok(())
        })?;
        let days = (last_start.0 as f64 / DAY_MILLIS).ceil();
        builder.recorded_until(Time((days * DAY_MILLIS) as i64));
        Ok(())
    }

    /// Hands every row of a table to `take`, its columns in the order of `names`.
    fn each(
        &self,
        table: &'static str,
        names: &[&'static str],
        mut take: impl FnMut(&Cells<'_, '_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let broken = |source| ReadError::Sqlite {
            path: self.name.clone(),
            table,
            source,
        };
        self.check_columns(table, names).map_err(broken)??;
        let columns: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let query = format!("SELECT {} FROM \"{table}\"", columns.join(", "));
        let mut statement = self.connection.prepare(&query).map_err(broken)?;
        let mut rows = statement.query([]).map_err(broken)?;
        let mut row_number = 0;
        while let Some(row) = rows.next().map_err(broken)? {
            row_number += 1;
            take(&Cells {
                file: &self.name,
                table,
                names,
                row_number,
                row,
            })?;
        }
        Ok(())
    }

    /// The outer error is SQLite's, the inner one that of the file's layout.
    fn check_columns(
        &self,
        table: &str,
        names: &[&str],
    ) -> rusqlite::Result<Result<(), ReadError>> {
        let mut statement = self
            .connection
            .prepare("SELECT name FROM pragma_table_info(?1)")?;
        let found: Vec<String> = statement
            .query_map([table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let has = |name: &&&str| found.iter().any(|f| f.eq_ignore_ascii_case(name));
        let missing: Vec<&str> = names.iter().filter(|n| !has(n)).copied().collect();
        if missing.is_empty() {
            return Ok(Ok(()));
        }
        let (found, expected) = if found.is_empty() {
            ("no such table".to_owned(), names.join(", "))
        } else {
            (
                found.join(", "),
                format!("also the columns {}", missing.join(", ")),
            )
        };
        Ok(Err(fault_of(
            &self.name,
            0,
            &format!("table {table}"),
            found,
            expected,
        )))
    }
}

/// An id: the published file has numbers, copies of it have texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Id {
    Number(i64),
    Text(String),
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// One row of a table.
struct Cells<'a, 'r> {
    file: &'a str,
    table: &'static str,
    names: &'a [&'static str],
    row_number: u64,
    row: &'a Row<'r>,
}

impl Cells<'_, '_> {
    fn value(&self, column: usize) -> ValueRef<'_> {
        self.row
            .get_ref(column)
            .expect("the query names this column")
    }

    fn id(&self, column: usize) -> Result<Id, ReadError> {
        match self.value(column) {
            ValueRef::Integer(number) => Ok(Id::Number(number)),
            ValueRef::Text(text) if !text.is_empty() => match std::str::from_utf8(text) {
                Ok(text) => Ok(Id::Text(text.to_owned())),
                Err(_) => Err(self.fault(column, "text in UTF-8")),
            },
            _ => Err(self.fault(column, "an id")),
        }
    }

    fn number(&self, column: usize) -> Option<f64> {
        match self.value(column) {
            ValueRef::Integer(number) => Some(number as f64),
            ValueRef::Real(number) => Some(number),
            _ => None,
        }
    }

    fn days(&self, column: usize) -> Result<i64, ReadError> {
        self.number(column)
            .and_then(|days| whole_millis(days * DAY_MILLIS))
            .ok_or_else(|| self.fault(column, "a number of days"))
    }

    /// Parts per million; nothing of a resource may be told by NULL.
    fn share(&self, column: usize) -> Result<u32, ReadError> {
        if self.value(column) == ValueRef::Null {
            return Ok(0);
        }
        // A thousandth of a millionth makes up for what binary fractions leave over of a whole part.
        self.number(column)
            .filter(|share| (0.0..=1.0).contains(share))
            .map(|share| (share * WHOLE_PPM + 1e-3).floor() as u32)
            .ok_or_else(|| self.fault(column, "a part of the machine, 0 to 1"))
    }

    fn fault(&self, column: usize, expected: &str) -> ReadError {
        let found = match self.value(column) {
            ValueRef::Null => "NULL".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => quoted(text),
            ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
        };
        let (table, row, name) = (self.table, self.row_number, self.names[column]);
        fault_of(
            self.file,
            0,
            &format!("table {table}, row {row}, {name}"),
            found,
            expected,
        )
    }
}
