//! That the controller plans as anybody plans who sees what it sees.

use crate::world::World;
use control::backend::{Command, Refused};
use control::journal::{Change, Entry};
use control::message::{Input, Output};
use control::record::VmRecord;
use model::id::OperationId;
use model::plan::{Loan, Placement, Plan};
use model::topology::Topology;
use placement::assign::assign;
use placement::plan::plan;

/// The plan that a command should come to.
pub(crate) struct Expected {
    operation: OperationId,
    /// `None`: there is no room.
    plan: Option<Plan>,
}

impl World {
    /// What placement makes of the controller's view, where a new design is to be deployed.
    pub(crate) fn expected_plan(&self, input: &Input) -> Option<Expected> {
        let Input::Submitted { operation, command } = input else {
            return None;
        };
        let Command::Deploy { design, plan: None } = &**command else {
            return None;
        };
        let controller = self.controller()?;
        let standing = controller.ledger().deployment(&design.tenant, &design.name);
        if standing.is_some() {
            return None;
        }
        let topology = Topology::check(design).ok()?;
        let assignment = assign(&topology, self.grid()).ok()?;
        let (policy, seed) = (&self.settings.policy, self.settings.seed);
        let planned = plan(&assignment, &controller.view_anew(), policy, seed).ok();
        Some(Expected {
            operation: *operation,
            plan: planned.map(|planned| planned.plan),
        })
    }

    /// That it has come to it, or was asked before.
    pub(crate) fn check_plan(&mut self, expected: &Expected, out: &[Output]) {
        let of = expected.operation;
        let followed = out.iter().find_map(|output| match output {
            Output::Write(Entry::Accepted {
                operation, changes, ..
            }) if *operation == of => Some(Some(placements(changes))),
            Output::Write(Entry::Refused {
                operation,
                why: Refused::Unplaced { .. },
            }) if *operation == of => Some(None),
            _ => None,
        });
        let expected = expected.plan.as_ref().map(|plan| &plan.placements);
        if let Some(followed) = followed.filter(|followed| followed.as_ref() != expected) {
            self.violated(format!(
                "{of} follows another plan than its view gives: {followed:?}, not {expected:?}"
            ));
        }
    }
}

fn placements(changes: &[Change]) -> Vec<Placement> {
    let records = changes.iter().filter_map(|change| match change {
        Change::Vm { record } => Some(&**record),
        _ => None,
    });
    let placement = |(vm, record): (u32, &VmRecord)| {
        let loans = record.lent.iter().map(|lent| Loan {
            node: lent.node,
            size_gib: lent.size_gib,
        });
        Placement {
            vm,
            node: record.node,
            devices: record.devices.clone(),
            loans: loans.collect(),
        }
    };
    (0..).zip(records).map(placement).collect()
}
