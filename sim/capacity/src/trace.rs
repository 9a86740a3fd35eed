//! The requests of a run, column by column.

use model::time::{Span, Time};
use model::vm::{GroupRule, VmSpec};

/// One VM's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmRequest {
    /// When it arrives; before [`Time::ZERO`]: alive at the start.
    pub arrival: Time,
    /// How long it runs once placed; `None`: past the end of the trace.
    pub duration: Option<Span>,
    /// Into [`Trace::shapes`].
    pub shape: u32,
    /// Into [`Trace::tenants`].
    pub tenant: u32,
    /// Higher goes first.
    pub priority: u8,
    /// Into [`Trace::groups`].
    pub group: Option<u32>,
}

/// VM requests in order of arrival; a VM's id is its place here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Where it came from.
    pub name: String,
    /// By arrival, then as in the file.
    pub vms: Vec<VmRequest>,
    /// The VMs' own names in the file, as long as `vms`, or empty where they are their row numbers.
    pub names: Vec<Box<str>>,
    /// Distinct shapes.
    pub shapes: Vec<VmSpec>,
    /// Names of tenants; at least one.
    pub tenants: Vec<String>,
    /// Rules of groups.
    pub groups: Vec<GroupRule>,
    /// When the trace ends, and with it every figure over time; open VMs are alive then.
    pub end: Time,
    /// Departures that the trace dates after its end are handled up to here, unmeasured; earlier than
    /// `end`: none are.
    pub dated_until: Time,
    /// What its reader left out or took for granted, for the user to know.
    pub notes: Vec<String>,
}
