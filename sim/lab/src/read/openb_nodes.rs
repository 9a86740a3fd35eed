//! The nodes of Alibaba's GPU cluster `openb` (Weng et al., ATC'23) as a grid: one line a node.
//!
//! Columns `sn` (name), `cpu_milli`, `memory_mib`, `gpu` (devices), `model` (of the devices). Equal nodes share a class,
//! named by what they have; disks, network and hypervisor are as of nodes whose grid file tells nothing of them.

use super::error::{ReadError, fault_of};
use super::grid::PlainGrid;
use super::source::Source;
use super::table::{Table, header_of};
use model::grid::{Accelerators, Grid, MAX_ACCELERATORS};
use model::grid_file::MAX_NODES;

const COLUMNS: [&str; 5] = ["sn", "cpu_milli", "memory_mib", "gpu", "model"];

/// Whether the start of a file is of this format.
pub(crate) fn knows_head(head: &[u8]) -> bool {
    let header = header_of(head.split(|&b| b == b'\n').next().unwrap_or_default());
    COLUMNS
        .iter()
        .all(|name| header.iter().any(|column| column == name))
}

pub(crate) fn read(source: Source<'_>) -> Result<Grid, ReadError> {
    let name = source.path().file_stem().unwrap_or_default();
    let mut grid = PlainGrid::new(&name.to_string_lossy());
    let mut table = Table::open(source)?;
    let [sn, cpu, memory, gpu, model] = table.columns(COLUMNS)?;
    let mut nodes = 0;
    while let Some(row) = table.next()? {
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(row.fault(sn, &format!("at most {MAX_NODES} nodes in all")));
        }
        let cpu_milli = row.quantity(cpu, 1.0, "thousandths of a core")?;
        let mem_mib = row.quantity(memory, 1.0, "MiB")?;
        let count = row.whole(gpu, 0..=MAX_ACCELERATORS as u32)?;
        let model = match (count, row.text(model)?) {
            (1.., "") => return Err(row.fault(model, "a model, where gpu is not 0")),
            (_, text) => text.to_owned(),
        };
        let size = format!("{}c-{}g", cpu_milli / 1_000, mem_mib / 1_024);
        let class = match count {
            0 => size,
            _ => format!("{size}-{count}x{model}"),
        };
        let accelerators = (count > 0).then_some(Accelerators { model, count });
        let capacity = PlainGrid::resources(cpu_milli, mem_mib, count * 1_000);
        let name = row.text(sn)?;
        if name.is_empty() {
            return Err(row.fault(sn, "a name"));
        }
        if !grid.node(name, &class, "", capacity, accelerators) {
            return Err(row.fault(sn, "a name that no line before has"));
        }
    }
    if nodes == 0 {
        return Err(fault_of(table.file(), 0, "", "no node", "at least one"));
    }
    Ok(grid.finish())
}
