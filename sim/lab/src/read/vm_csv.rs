//! Our own format of traces: one line a VM, a header that names the columns.
//!
//! | Columns, any one of a line | Meaning |
//! |---|---|
//! | `vm_id`, `vm`, `id`, `name` | name, each once; without it, the place in the file |
//! | `batch_id`, `tenant`, `tenant_id` | tenant: the customer, or the deployment, to which it belongs |
//! | `start_s`, `start_ms` | arrival; before 0: alive at the start. Needed |
//! | `duration_s`, `duration_ms`, `end_s`, `end_ms` | how long it runs, or until when; empty: past the end of the trace |
//! | `censored` | 1: it still ran when the record ended, so it runs past the end of the trace |
//! | `vcpu`, `cpu_cores`, `cores`, `cpu_milli` | processors. Needed |
//! | `memory_gb`, `memory_gib`, `mem_gib`, `memory_mib`, `mem_mib` | memory; GB is read as GiB, as clouds mean it. Needed |
//! | `disk_gib`, `disk_gb` | disk space |
//! | `disk_iops`, `iops` | disk operations a second |
//! | `net_mbps` | network bandwidth |
//! | `gpu`, `num_gpu` | whole accelerators |
//! | `gpu_milli` | thousandths of one accelerator, where `gpu` is absent or 1 |
//! | `gpu_model` | models any of which will do, joined by a bar |
//! | `priority` | 0 to 255, higher goes first |
//! | `group`, `group_rule` | a group of VMs, and its rule: `apart-node` (so without the column), `together-rack` … |
//! | `arch`, `guest`, `virtualisation`, `work`, `risk` | as in designs; empty: as of a plain VM |
//! | `licences`, `sites`, `roles` | words joined by a bar |
//! | `expected_load_milli` | expected share of its vCPUs in use, in thousandths |
//!
//! The trace ends when its censored VMs were last seen; without such, with the last arrival or departure.
//! Departures dated after that are handled too, but no figure over time counts them.
//! Other columns are left out, and the trace's notes say so.

mod rare;

use super::builder::Builder;
use super::error::ReadError;
use super::source::Source;
use super::table::{Row, Table};
use capacity::trace::{Trace, VmRequest};
use model::fault::nearest;
use model::time::{Span, Time};
use model::units::Resources;
use rare::Rare;
use std::collections::BTreeSet;

/// A column's name, what one of its units is in the model's, and how its unit is called.
type Spelling = (&'static str, f64, &'static str);

const NAMES: [&str; 4] = ["vm_id", "vm", "id", "name"];
const TENANTS: [&str; 3] = ["batch_id", "tenant", "tenant_id"];
const STARTS: [Spelling; 2] = [
    ("start_s", 1e3, "seconds"),
    ("start_ms", 1.0, "milliseconds"),
];
const DURATIONS: [Spelling; 2] = [
    ("duration_s", 1e3, "seconds"),
    ("duration_ms", 1.0, "milliseconds"),
];
const ENDS: [Spelling; 2] = [("end_s", 1e3, "seconds"), ("end_ms", 1.0, "milliseconds")];
const CPUS: [Spelling; 4] = [
    ("vcpu", 1e3, "cores"),
    ("cpu_cores", 1e3, "cores"),
    ("cores", 1e3, "cores"),
    ("cpu_milli", 1.0, "thousandths of a core"),
];
const MEMS: [Spelling; 5] = [
    ("memory_gb", 1024.0, "GiB"),
    ("memory_gib", 1024.0, "GiB"),
    ("mem_gib", 1024.0, "GiB"),
    ("memory_mib", 1.0, "MiB"),
    ("mem_mib", 1.0, "MiB"),
];
const DISKS: [Spelling; 2] = [("disk_gib", 1.0, "GiB"), ("disk_gb", 1.0, "GiB")];
const IOPS: [Spelling; 2] = [
    ("disk_iops", 1.0, "operations a second"),
    ("iops", 1.0, "operations a second"),
];
const NETS: [Spelling; 1] = [("net_mbps", 1.0, "Mbit a second")];

/// Whether a header is of this format.
pub(crate) fn knows(header: &[String]) -> bool {
    has_any(header, &STARTS) && has_any(header, &CPUS)
}

/// Whether a header has two of the columns that the format needs: it is meant to be of it then.
pub(crate) fn knows_nearly(header: &[String]) -> bool {
    let needed = [&STARTS[..], &CPUS, &MEMS, &[DURATIONS, ENDS].concat()];
    let found = needed.iter().filter(|names| has_any(header, names));
    found.count() >= 2
}

fn has_any(header: &[String], spellings: &[Spelling]) -> bool {
    let mut names = spellings.iter().map(|spelling| spelling.0);
    names.any(|name| header.iter().any(|column| column == name))
}

pub(crate) fn read(source: Source<'_>) -> Result<Trace, ReadError> {
    let mut table = Table::open(source)?;
    let mut builder = Builder::new(table.file());
    builder.handle_all_departures();
    let columns = Columns::of(&table, &mut builder)?;
    while let Some(row) = table.next()? {
        let name = columns.name.map(|c| row.text(c)).transpose()?;
        if let (Some(name), Some(column)) = (name, columns.name)
            && builder.is_taken(name)
        {
            return Err(row.fault(column, "a name that no line before has"));
        }
        let request = columns.request(row, &mut builder)?;
        builder.push(name, request);
    }
    builder.finish()
}

/// A quantity's column and what one of its units is in the model's.
#[derive(Clone, Copy)]
struct Scaled {
    column: usize,
    scale: f64,
    unit: &'static str,
}

impl Scaled {
    fn quantity(self, row: Row<'_>) -> Result<u32, ReadError> {
        row.quantity(self.column, self.scale, self.unit)
    }
}

/// Where everything stands.
struct Columns {
    name: Option<usize>,
    tenant: Option<usize>,
    start: Scaled,
    duration: Option<Scaled>,
    end: Option<Scaled>,
    censored: Option<usize>,
    cpu: Scaled,
    mem: Scaled,
    disk: Option<Scaled>,
    iops: Option<Scaled>,
    net: Option<Scaled>,
    priority: Option<usize>,
    rare: Rare,
}

/// Finds columns, and remembers which were asked for.
struct Finder<'t, 'w> {
    table: &'t Table<'w>,
    used: BTreeSet<usize>,
}

impl Finder<'_, '_> {
    fn plain(&mut self, names: &[&str]) -> Option<usize> {
        let found = names.iter().find_map(|name| self.table.column(name));
        self.used.extend(found);
        found
    }

    fn scaled(&mut self, spellings: &[Spelling]) -> Option<Scaled> {
        spellings.iter().find_map(|&(name, scale, unit)| {
            let column = self.plain(&[name])?;
            Some(Scaled {
                column,
                scale,
                unit,
            })
        })
    }
}

impl Columns {
    fn of(table: &Table<'_>, builder: &mut Builder) -> Result<Self, ReadError> {
        let used = BTreeSet::new();
        let mut find = Finder { table, used };
        let (start, cpu, mem) = (find.scaled(&STARTS), find.scaled(&CPUS), find.scaled(&MEMS));
        let (duration, end) = (find.scaled(&DURATIONS), find.scaled(&ENDS));
        let spans = [DURATIONS, ENDS].concat();
        let needed = [
            (start, &STARTS[..]),
            (cpu, &CPUS),
            (mem, &MEMS),
            (duration.or(end), &spans),
        ];
        let missing = needed.iter().filter(|(found, _)| found.is_none());
        let missing: Vec<&[Spelling]> = missing.map(|(_, spellings)| *spellings).collect();
        let (Some(start), Some(cpu), Some(mem), true) = (start, cpu, mem, missing.is_empty())
        else {
            let either: Vec<String> = missing.iter().map(|names| either(names)).collect();
            let hint = likely(table.header(), &find.used, &missing);
            return Err(table.lacks(&either.join(", "), hint));
        };
        let columns = Self {
            name: find.plain(&NAMES),
            tenant: find.plain(&TENANTS),
            start,
            duration,
            end,
            censored: find.plain(&["censored"]),
            cpu,
            mem,
            disk: find.scaled(&DISKS),
            iops: find.scaled(&IOPS),
            net: find.scaled(&NETS),
            priority: find.plain(&["priority"]),
            rare: Rare::of(&mut find),
        };
        let unused = (0..table.header().len()).filter(|column| !find.used.contains(column));
        let unused: Vec<&str> = unused.map(|c| table.header()[c].as_str()).collect();
        if !unused.is_empty() {
            builder.note(format!("columns left out: {}", unused.join(", ")));
        }
        Ok(columns)
    }

    fn request(&self, row: Row<'_>, builder: &mut Builder) -> Result<VmRequest, ReadError> {
        let arrival = Time(row.millis(self.start.column, self.start.scale, self.start.unit)?);
        let lasted = self.lasted(row, arrival)?;
        let resources = self.resources(row)?;
        let (shape, group) = if self.rare.any {
            let spec = self.rare.spec(row, resources)?;
            (builder.shape(spec), self.rare.group(row, builder)?)
        } else {
            (builder.plain_shape(resources), None)
        };
        let censored = match self.censored {
            Some(column) => yes(row, column)?,
            None => false,
        };
        if censored && let Some(lasted) = lasted {
            builder.recorded_until(arrival + lasted);
        }
        Ok(VmRequest {
            arrival,
            duration: lasted.filter(|_| !censored),
            shape,
            tenant: self.tenant.map_or(0, |c| builder.tenant(row.bytes(c))),
            priority: match filled(row, self.priority) {
                Some(column) => row.whole(column, 0..=255)? as u8,
                None => 0,
            },
            group,
        })
    }

    /// How long the VM was seen alive.
    fn lasted(&self, row: Row<'_>, arrival: Time) -> Result<Option<Span>, ReadError> {
        let filled = |s: &Scaled| !row.bytes(s.column).is_empty();
        if let Some(duration) = self.duration.filter(filled) {
            return row
                .span(duration.column, duration.scale, duration.unit)
                .map(Some);
        }
        if let Some(end) = self.end.filter(filled) {
            let end_at = Time(row.millis(end.column, end.scale, end.unit)?);
            if end_at < arrival {
                let start = arrival.0 as f64 / end.scale;
                return Err(row.fault(end.column, &format!("no less than the start, {start}")));
            }
            return Ok(Some(end_at - arrival));
        }
        Ok(None)
    }

    fn resources(&self, row: Row<'_>) -> Result<Resources, ReadError> {
        let filled = |s: &Scaled| !row.bytes(s.column).is_empty();
        let optional =
            |scaled: Option<Scaled>| scaled.filter(filled).map_or(Ok(0), |s| s.quantity(row));
        let cpu_milli = self.cpu.quantity(row)?;
        if cpu_milli == 0 {
            let expected = format!("a number of {}, more than 0", self.cpu.unit);
            return Err(row.fault(self.cpu.column, &expected));
        }
        Ok(Resources::from_array([
            cpu_milli,
            self.mem.quantity(row)?,
            optional(self.disk)?,
            optional(self.iops)?,
            optional(self.net)?,
            0,
        ]))
    }
}

/// The column, where there is one and the row fills it.
fn filled(row: Row<'_>, column: Option<usize>) -> Option<usize> {
    column.filter(|&column| !row.bytes(column).is_empty())
}

fn yes(row: Row<'_>, column: usize) -> Result<bool, ReadError> {
    match row.bytes(column) {
        b"1" | b"true" | b"yes" => Ok(true),
        b"0" | b"false" | b"no" | b"" => Ok(false),
        _ => Err(row.fault(column, "0 or 1")),
    }
}

/// Which columns were meant to be which of the missing ones, perhaps.
fn likely(header: &[String], used: &BTreeSet<usize>, missing: &[&[Spelling]]) -> String {
    let unused = (0..header.len()).filter(|column| !used.contains(column));
    let names = || {
        missing
            .iter()
            .flat_map(|names| names.iter().map(|name| name.0))
    };
    let meant = unused.filter_map(|column| {
        let near = nearest(&header[column], names())?;
        Some(format!("{near} for {}", header[column]))
    });
    let meant: Vec<String> = meant.collect();
    match meant.is_empty() {
        true => String::new(),
        false => format!("did you mean {}?", meant.join(", ")),
    }
}

/// The names of columns that mean the same.
fn either(spellings: &[Spelling]) -> String {
    let names: Vec<&str> = spellings.iter().map(|spelling| spelling.0).collect();
    names.join(" or ")
}
