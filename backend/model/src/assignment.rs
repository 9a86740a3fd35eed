//! The logical step: components to VMs of given sizes and groups; no node named yet.

use crate::id::{ComponentId, GroupId};
use crate::vm::{GroupRule, VmSpec};
use serde::{Deserialize, Serialize};

/// One VM that a component became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedVm {
    /// `web-0`, or `db-0-part-1` where one instance was split.
    pub name: String,
    /// The component it is an instance, or a part of an instance, of.
    pub component: ComponentId,
    /// Which instance, from 0.
    pub instance: u32,
    /// Which part of the instance, from 0, where it was split.
    pub part: Option<u32>,
    /// Its shape.
    pub spec: VmSpec,
    /// Its disk that other nodes lend, which is no part of what it asks of its own; 0: none.
    pub remote_disk_gib: u32,
    /// Groups it belongs to, into [`Assignment::groups`].
    pub groups: Vec<GroupId>,
}

/// A group of VMs with its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Why the group is: `web spread over racks`.
    pub name: String,
    /// Together or apart.
    pub rule: GroupRule,
}

/// What a topology became, before any node is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The design's name.
    pub design: String,
    /// Owner.
    pub tenant: String,
    /// VMs in the order in which they are to be placed.
    pub vms: Vec<AssignedVm>,
    /// By [`GroupId`].
    pub groups: Vec<Group>,
}
