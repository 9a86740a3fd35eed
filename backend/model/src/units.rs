//! Quantities with their units in the type, and the vector of them that placement reckons with.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident, $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $unit), self.0)
            }
        }
    )*};
}

quantities! {
    /// Thousandths of a processor core.
    CpuMilli, "cpu_milli";
    /// Memory in MiB.
    MemMib, "mem_mib";
    /// Disk space in GiB.
    DiskGib, "disk_gib";
    /// Disk operations a second.
    DiskIops, "disk_iops";
    /// Network bandwidth in Mbit a second.
    NetMbps, "net_mbps";
    /// Thousandths of an accelerator device, summed over the node's devices.
    AccelMilli, "accel_milli";
}

/// How many dimensions [`Resources`] has.
pub const DIMENSIONS: usize = 6;

/// One dimension of [`Resources`], in the order in which filters test them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::VariantArray,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Dimension {
    /// [`CpuMilli`].
    Cpu,
    /// [`MemMib`].
    Mem,
    /// [`DiskGib`].
    Disk,
    /// [`DiskIops`].
    DiskIo,
    /// [`NetMbps`].
    Net,
    /// [`AccelMilli`].
    Accel,
}

impl Dimension {
    /// All dimensions in order.
    pub const ALL: [Self; DIMENSIONS] = [
        Self::Cpu,
        Self::Mem,
        Self::Disk,
        Self::DiskIo,
        Self::Net,
        Self::Accel,
    ];

    /// The unit in which the dimension is counted, as files spell it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_milli",
            Self::Mem => "mem_mib",
            Self::Disk => "disk_gib",
            Self::DiskIo => "disk_iops",
            Self::Net => "net_mbps",
            Self::Accel => "accel_milli",
        }
    }
}

/// What a VM asks of a node, what a node has, or what is free on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processor time.
    pub cpu_milli: CpuMilli,
    /// Memory.
    pub mem_mib: MemMib,
    /// Disk space.
    pub disk_gib: DiskGib,
    /// Disk operations.
    pub disk_iops: DiskIops,
    /// Network bandwidth.
    pub net_mbps: NetMbps,
    /// Accelerators; the devices one by one are in [`crate::grid::Accelerators`].
    pub accel_milli: AccelMilli,
}

impl Resources {
    /// Processor and memory alone.
    pub const fn cpu_mem(cpu_milli: u32, mem_mib: u32) -> Self {
        Self::from_array([cpu_milli, mem_mib, 0, 0, 0, 0])
    }

    /// The quantities in the order of [`Dimension`].
    pub const fn to_array(self) -> [u32; DIMENSIONS] {
        [
            self.cpu_milli.0,
            self.mem_mib.0,
            self.disk_gib.0,
            self.disk_iops.0,
            self.net_mbps.0,
            self.accel_milli.0,
        ]
    }

    /// Quantities in the order of [`Dimension`].
    pub const fn from_array(a: [u32; DIMENSIONS]) -> Self {
        Self {
            cpu_milli: CpuMilli(a[0]),
            mem_mib: MemMib(a[1]),
            disk_gib: DiskGib(a[2]),
            disk_iops: DiskIops(a[3]),
            net_mbps: NetMbps(a[4]),
            accel_milli: AccelMilli(a[5]),
        }
    }

    /// One dimension's quantity.
    pub const fn in_dimension(self, dimension: Dimension) -> u32 {
        self.to_array()[dimension as usize]
    }

    /// The first dimension in which `self` asks for more than `free` has.
    pub fn first_shortage(self, free: Self) -> Option<Dimension> {
        let (asked, free) = (self.to_array(), free.to_array());
        Dimension::ALL
            .into_iter()
            .find(|d| asked[*d as usize] > free[*d as usize])
    }

    /// `self` less `other`, or `None` where any dimension would fall below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let (mut a, b) = (self.to_array(), other.to_array());
        for (x, y) in a.iter_mut().zip(b) {
            *x = x.checked_sub(y)?;
        }
        Some(Self::from_array(a))
    }

    /// `self` and `other` together, or `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (mut a, b) = (self.to_array(), other.to_array());
        for (x, y) in a.iter_mut().zip(b) {
            *x = x.checked_add(y)?;
        }
        Some(Self::from_array(a))
    }
}

impl fmt::Display for Resources {
    /// Only what is asked: `8000 cpu_milli, 65536 mem_mib`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (dimension, quantity) in Dimension::ALL.into_iter().zip(self.to_array()) {
            if quantity > 0 {
                let comma = if first { "" } else { ", " };
                write!(f, "{comma}{quantity} {}", dimension.unit())?;
                first = false;
            }
        }
        if first {
            f.write_str("nothing")
        } else {
            Ok(())
        }
    }
}
