//! VMs are given more or less.

use super::accept::Accepted;
use crate::backend::Refused;
use crate::journal::Change;
use crate::operation::TaskAct;
use crate::planted::{Bug, is_planted};
use crate::record::VmRecord;
use model::order::Scale;
use model::units::{CpuMilli, DiskGib, MemMib, NetMbps, Resources};
use model::view::View;

/// What gives a VM another size, on its node.
pub(super) fn resize_to(
    record: &VmRecord,
    to: Resources,
    view: &mut View,
    accepted: &mut Accepted,
) -> Result<(), Refused> {
    let scales = scales(record, to);
    if scales.is_empty() {
        return Ok(());
    }
    reserve(record, to, view, accepted)?;
    let most = most(record.resources, to);
    let mut before: Vec<u32> = Vec::new();
    let last = scales.len() - 1;
    for (place, scale) in scales.into_iter().enumerate() {
        let act = TaskAct::Scale {
            scale,
            from: if place == 0 { record.resources } else { most },
            // What was promised is settled by the last of them.
            to: if place == last { to } else { most },
        };
        before = vec![accepted.task(record.id, record.node, act, &before)];
    }
    Ok(())
}

/// Promises a VM what it takes while it is given another size.
pub(super) fn reserve(
    record: &VmRecord,
    to: Resources,
    view: &mut View,
    accepted: &mut Accepted,
) -> Result<(), Refused> {
    let resources = most(record.resources, to);
    let rest = resources.checked_sub(record.resources).unwrap_or_default();
    for node in record.nodes() {
        let shortage = rest.first_shortage(view.free(node));
        if let Some(dimension) = shortage.filter(|_| !is_planted(Bug::GrowthUnchecked)) {
            let node = &view.grid.nodes[node.index()].name;
            let why = format!(
                "node {node} has not enough {} free for {} to grow",
                dimension.unit(),
                record.name
            );
            return Err(Refused::Unplaced { why });
        }
        if is_planted(Bug::GrowthOneByOne) {
            continue;
        }
        let there = &mut view.nodes[node.index()];
        there.used = there.used.checked_add(rest).unwrap_or(there.used);
        for vm in there.vms.iter_mut().filter(|vm| vm.id == record.id) {
            vm.resources = resources;
        }
    }
    let vm = record.id;
    accepted.changes.push(Change::Promised { vm, resources });
    Ok(())
}

/// The greater of each quantity.
pub(super) fn most(one: Resources, other: Resources) -> Resources {
    let (one, other) = (one.to_array(), other.to_array());
    Resources::from_array(std::array::from_fn(|d| one[d].max(other[d])))
}

/// What a VM takes once it is scaled.
pub(super) fn scaled(from: Resources, record: &VmRecord, scale: &Scale) -> Resources {
    let clamp = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mut to = from;
    match scale {
        Scale::Cpu { cpus } => to.cpu_milli = CpuMilli(cpus.saturating_mul(1_000)),
        Scale::Mem { mem_mib } => to.mem_mib = MemMib(*mem_mib),
        Scale::Disk { disk, size_mib } => {
            let others = record.blueprint.disks.iter().filter(|of| of.name != *disk);
            let sum = others.fold(*size_mib, |sum, disk| sum.saturating_add(disk.size_mib));
            to.disk_gib = DiskGib(clamp(sum.div_ceil(1_024)));
        }
        Scale::DiskIo { iops, .. } => {
            to.disk_iops.0 = iops.unwrap_or(from.disk_iops.0);
        }
        Scale::Net { mbps, .. } => to.net_mbps = NetMbps(mbps.unwrap_or(from.net_mbps.0)),
    }
    to
}

/// What makes a VM take as much as it is to: one verb a dimension that differs.
pub(super) fn scales(record: &VmRecord, to: Resources) -> Vec<Scale> {
    let from = record.resources;
    let blueprint = &record.blueprint;
    let mut scales = Vec::new();
    if to.cpu_milli != from.cpu_milli {
        let cpus = to.cpu_milli.0.div_ceil(1_000).max(1);
        scales.push(Scale::Cpu { cpus });
    }
    if to.mem_mib != from.mem_mib {
        let mem_mib = to.mem_mib.0;
        scales.push(Scale::Mem { mem_mib });
    }
    if let Some(disk) = blueprint.disks.first() {
        let disk = disk.name.clone();
        if to.disk_gib != from.disk_gib {
            let size_mib = u64::from(to.disk_gib.0) * 1_024;
            let disk = disk.clone();
            scales.push(Scale::Disk { disk, size_mib });
        }
        if to.disk_iops != from.disk_iops {
            let iops = Some(to.disk_iops.0).filter(|iops| *iops > 0);
            let mibps = None;
            scales.push(Scale::DiskIo { disk, iops, mibps });
        }
    }
    if let Some(interface) = blueprint.interfaces.first()
        && to.net_mbps != from.net_mbps
    {
        let interface = interface.name.clone();
        let mbps = Some(to.net_mbps.0).filter(|mbps| *mbps > 0);
        scales.push(Scale::Net { interface, mbps });
    }
    scales
}
