//! The Huawei-East-1 trace: one line an event, creations and deletions of VMs.
//!
//! Columns `vmid`, `cpu` (vCPUs), `memory` (GB, read as GiB), `time` (seconds), `type` (0: create, 1: delete), as VMAgent
//! publishes it (Sheng et al. 2021). A VM that is never deleted runs past the end of the trace. An id may come back after
//! its deletion and is a new VM then; a deletion of nobody and a creation of the living are errors.

use super::builder::Builder;
use super::error::ReadError;
use super::source::Source;
use super::table::{Row, Table};
use capacity::trace::{Trace, VmRequest};
use model::time::Time;
use model::units::Resources;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

const COLUMNS: [&str; 5] = ["vmid", "cpu", "memory", "time", "type"];

/// Whether a header is of this format.
pub(crate) fn knows(header: &[String]) -> bool {
    COLUMNS
        .iter()
        .all(|name| header.iter().any(|column| column == name))
}

pub(crate) fn read(source: Source<'_>) -> Result<Trace, ReadError> {
    let mut table = Table::open(source)?;
    let columns = table.columns(COLUMNS)?;
    let mut builder = Builder::new(table.file());
    let mut alive = HashMap::new();
    while let Some(row) = table.next()? {
        event(row, columns, &mut alive, &mut builder)?;
    }
    builder.finish()
}

/// One line; `alive` knows the place of each VM that runs.
fn event(
    row: Row<'_>,
    [id, cpu, memory, time, kind]: [usize; 5],
    alive: &mut HashMap<Box<[u8]>, usize>,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let at = Time(row.millis(time, 1e3, "seconds")?);
    builder.recorded_until(at);
    match row.bytes(kind) {
        b"0" => {
            let resources = Resources::cpu_mem(
                row.quantity(cpu, 1e3, "vCPUs")?,
                row.quantity(memory, 1024.0, "GB")?,
            );
            let Entry::Vacant(place) = alive.entry(row.bytes(id).into()) else {
                return Err(row.fault(id, "a VM that does not run yet, to create it"));
            };
            place.insert(builder.len());
            let request = VmRequest {
                arrival: at,
                duration: None,
                shape: builder.plain_shape(resources),
                tenant: 0,
                priority: 0,
                group: None,
            };
            builder.push(Some(row.text(id)?), request);
        }
        b"1" => {
            let Some(place) = alive.remove(row.bytes(id)) else {
                return Err(row.fault(id, "a VM that runs, to delete it"));
            };
            let vm = builder.vm_mut(place);
            if at < vm.arrival {
                let expected = format!("no less than its creation, {}", vm.arrival.seconds());
                return Err(row.fault(time, &expected));
            }
            vm.duration = Some(at - vm.arrival);
        }
        _ => return Err(row.fault(kind, "0 to create or 1 to delete")),
    }
    Ok(())
}
