//! One measurement in the one schema, whatever unit and shape it came in.

use crate::hypervisor::words;
use crate::id::{NodeId, VmId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

words! {
    /// What is measured; the unit is part of the word.
    Metric {
        /// Share of cores in use, in thousandths.
        CpuMilli,
        /// Memory in use, in MiB.
        MemMib,
        /// Disk space in use, in GiB.
        DiskGib,
        /// Disk operations a second.
        DiskIops,
        /// Network traffic, Mbit a second.
        NetMbps,
        /// VMs running.
        Vms,
    }
}

/// One measurement; what a source cannot tell is absent, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was true.
    pub at: Time,
    /// On which node.
    pub node: NodeId,
    /// Of which VM; `None`: of the node.
    pub vm: Option<VmId>,
    /// Of what.
    pub metric: Metric,
    /// How much, in the metric's unit.
    pub value: f64,
}
