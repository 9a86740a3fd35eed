//! Typed ids, so that a node is never taken for a VM.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($repr:ty), $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $repr);

        impl $name {
            /// The id as an index into the table that it numbers.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// A node: its place in [`crate::grid::Grid::nodes`].
    NodeId(u32), "node ";
    /// A class of equal nodes: its place in [`crate::grid::Grid::classes`].
    NodeClassId(u32), "node class ";
    /// A site: its place in [`crate::grid::Grid::sites`].
    SiteId(u32), "site ";
    /// A rack: its place in [`crate::grid::Grid::racks`].
    RackId(u32), "rack ";
    /// A hypervisor profile: its place in [`crate::grid::Grid::hypervisors`].
    HypervisorId(u32), "hypervisor ";
    /// A VM, unique in its grid or trace.
    VmId(u64), "vm ";
    /// A customer.
    TenantId(u32), "tenant ";
    /// VMs bound by one affinity or anti-affinity rule.
    GroupId(u32), "group ";
    /// A component: its place in its design or topology.
    ComponentId(u32), "component ";
    /// A tenant's network, apart from those of others; also the number of its VXLAN.
    NetworkId(u32), "network ";
    /// A secret key; the key itself is never written down.
    KeyId(u64), "key ";
    /// An operation somebody asked for; a repeated id gives the first result.
    OperationId(u64), "operation ";
    /// How often the grid has changed; a plan of an older generation is refused.
    Generation(u64), "generation ";
}
