//! The tasks of Alibaba's GPU cluster `openb` (Weng et al., ATC'23): one line a pod.
//!
//! Columns `name`, `cpu_milli`, `memory_mib`, `num_gpu` (0 to 8), `gpu_milli` (a share where `num_gpu` is 1 and it is less
//! than 1000), `gpu_spec` (empty, or models joined by a bar, any of which will do), `qos`, `creation_time`,
//! `deletion_time` (seconds; empty: runs past the end of the trace). `pod_phase` and `scheduled_time` tell what became of
//! the pod in its own cluster and are not read.
//!
//! Priorities by `qos`: `LS` (latency sensitive) and `Guaranteed` 2, `Burstable` 1, `BE` (best effort) 0.

use super::builder::Builder;
use super::error::ReadError;
use super::source::Source;
use super::table::{Row, Table};
use capacity::trace::{Trace, VmRequest};
use model::grid::MAX_ACCELERATORS;
use model::time::Time;
use model::units::{AccelMilli, Resources};
use model::vm::{AcceleratorAmount, AcceleratorAsk, VmSpec};

const COLUMNS: [&str; 9] = [
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "creation_time",
    "deletion_time",
];

/// Whether a header is of this format.
pub(crate) fn knows(header: &[String]) -> bool {
    ["num_gpu", "gpu_milli", "creation_time"]
        .iter()
        .all(|name| header.iter().any(|column| column == name))
}

pub(crate) fn read(source: Source<'_>) -> Result<Trace, ReadError> {
    let mut table = Table::open(source)?;
    let columns = table.columns(COLUMNS)?;
    let mut builder = Builder::new(table.file());
    while let Some(row) = table.next()? {
        let request = pod(row, columns, &mut builder)?;
        builder.push(Some(row.text(columns[0])?), request);
    }
    builder.finish()
}

fn pod(
    row: Row<'_>,
    [
        _,
        cpu,
        memory,
        devices,
        share,
        models,
        qos,
        created,
        deleted,
    ]: [usize; 9],
    builder: &mut Builder,
) -> Result<VmRequest, ReadError> {
    let mut resources = Resources::cpu_mem(
        row.quantity(cpu, 1.0, "thousandths of a core")?,
        row.quantity(memory, 1.0, "MiB")?,
    );
    let amount = match (
        row.whole(devices, 0..=MAX_ACCELERATORS as u32)?,
        row.whole(share, 0..=1_000)?,
    ) {
        (0, _) => None,
        (_, 0) => return Err(row.fault(share, "a whole number, 1 to 1000, where num_gpu is not 0")),
        (1, milli @ 1..=999) => Some(AcceleratorAmount::ShareMilli(milli)),
        (count, _) => Some(AcceleratorAmount::Devices(count)),
    };
    let models = row.text(models)?.split('|').filter(|m| !m.is_empty());
    let accelerators = amount.map(|amount| AcceleratorAsk {
        models: models.map(str::to_owned).collect(),
        amount,
    });
    let shape = match accelerators {
        None => builder.plain_shape(resources),
        Some(ask) => {
            resources.accel_milli = AccelMilli(ask.amount.milli());
            let mut spec = VmSpec::plain(resources);
            spec.accelerators = Some(ask);
            builder.shape(spec)
        }
    };
    let arrival = Time(row.millis(created, 1e3, "seconds")?);
    let duration = if row.bytes(deleted).is_empty() {
        None
    } else {
        let end = Time(row.millis(deleted, 1e3, "seconds")?);
        if end < arrival {
            let expected = format!("no less than creation_time, {}", arrival.seconds());
            return Err(row.fault(deleted, &expected));
        }
        Some(end - arrival)
    };
    Ok(VmRequest {
        arrival,
        duration,
        shape,
        tenant: 0,
        priority: priority(row, qos)?,
        group: None,
    })
}

fn priority(row: Row<'_>, qos: usize) -> Result<u8, ReadError> {
    match row.bytes(qos) {
        b"LS" | b"Guaranteed" => Ok(2),
        b"Burstable" => Ok(1),
        b"BE" | b"" => Ok(0),
        _ => Err(row.fault(qos, "one of LS, Guaranteed, Burstable, BE")),
    }
}
