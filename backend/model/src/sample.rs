//! One measurement in the one schema, whatever unit and shape it came in.

use crate::hypervisor::words;
use crate::id::{NodeId, VmId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

words! {
    /// What is measured; the unit is part of the word, and a rate is over the time since the
    /// sample before it.
    Metric {
        /// Processor time used, in thousandths of a core.
        CpuMilli,
        /// Processor time that others took while it was wanted, in thousandths of a core.
        CpuStolenMilli,
        /// Average number of runnable tasks over a minute, in thousandths.
        LoadMilli,
        /// Memory in use, in MiB.
        MemUsedMib,
        /// Memory in all, in MiB.
        MemTotalMib,
        /// Memory that the guest says it could give back, in MiB.
        MemAvailableMib,
        /// Memory promised to VMs, in thousandths of the node's own.
        MemOvercommitMilli,
        /// Memory shared between VMs or processes, in MiB.
        MemSharedMib,
        /// Swap space in use, in MiB.
        SwapUsedMib,
        /// Major page faults a second.
        MajorFaults,
        /// Reads a second.
        ReadIops,
        /// Writes a second.
        WriteIops,
        /// Bytes read, in KiB a second.
        ReadKibps,
        /// Bytes written, in KiB a second.
        WriteKibps,
        /// Mean time of a read, in microseconds.
        ReadLatencyMicros,
        /// Mean time of a write, in microseconds.
        WriteLatencyMicros,
        /// Share of the time in which the disk was busy, in thousandths.
        BusyMilli,
        /// Space allocated or in use, in MiB.
        SpaceUsedMib,
        /// Space free, in MiB.
        SpaceFreeMib,
        /// Extents a file or file system lies in beyond the fewest possible.
        Fragments,
        /// Sectors that the disk has replaced.
        ReallocatedSectors,
        /// Temperature, in degrees Celsius.
        TemperatureCelsius,
        /// Bits received, in kbit a second.
        ReceivedKbps,
        /// Bits sent, in kbit a second.
        SentKbps,
        /// Packets received a second.
        ReceivedPackets,
        /// Packets sent a second.
        SentPackets,
        /// Receive errors a second.
        ReceiveErrors,
        /// Send errors a second.
        SendErrors,
        /// Received packets dropped a second.
        ReceiveDrops,
        /// Packets to be sent dropped a second.
        SendDrops,
        /// VMs running.
        Vms,
        /// Seconds since the last boot.
        UptimeSeconds,
        /// Reboots by order since the VM came to its node; of a node, since its first boot.
        Reboots,
        /// Stops since the VM came to its node, asked for or not.
        Stops,
        /// Users logged in.
        Logins,
        /// Messages that the agent handled since it started.
        Messages,
        /// Messages that the agent could not handle, since it started.
        MessageFailures,
        /// Messages that came again, since the agent started.
        MessageRetries,
    }

    /// Who measured.
    Source {
        /// The hypervisor, from outside the guest.
        Hypervisor,
        /// The node's own system and hardware.
        Node,
        /// The guest's own system.
        Guest,
        /// The agent, about itself.
        Agent,
    }
}

/// The part of a node or VM that a sample is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "subject", content = "name", rename_all = "kebab-case")]
pub enum Subject {
    /// All of it.
    Whole,
    /// A core or vCPU, from 0.
    Core(u32),
    /// A process, by its id and name.
    Process(u32, String),
    /// A disk, by its name.
    Disk(String),
    /// A file system or logical volume, by its mount point or name.
    Volume(String),
    /// A network interface, by its name.
    Interface(String),
    /// A VLAN or VXLAN, by its number.
    Vlan(u32),
}

/// One measurement; what a source cannot tell is absent, never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was true.
    pub at: Time,
    /// On which node.
    pub node: NodeId,
    /// Of which VM; `None`: of the node.
    pub vm: Option<VmId>,
    /// Of which part of it.
    pub subject: Subject,
    /// Who measured.
    pub source: Source,
    /// Of what.
    pub metric: Metric,
    /// How much, in the metric's unit.
    pub value: f64,
}
