//! The history as it is told: in words, with the names that things had.

use crate::ledger::Ledger;
use model::event::{Event, Happening};
use model::grid::Grid;
use model::id::{NodeId, VmId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventShown {
    /// Its number, from 0, which never changes.
    pub number: u64,
    /// In words.
    pub text: String,
    /// As it was written down.
    #[serde(flatten)]
    pub event: Event,
}

/// Names of VMs, those that are gone among them: what the history is told with.
#[derive(Clone, Debug, Default)]
pub struct Names {
    vms: BTreeMap<VmId, String>,
    /// VMs below this number are known.
    next: VmId,
}

impl Names {
    /// Learns the names of VMs that were made since.
    pub fn learn(&mut self, ledger: &Ledger) {
        for (&vm, record) in ledger.vms.range(self.next..) {
            self.vms.insert(vm, record.name.clone());
            self.next = VmId(vm.0 + 1);
        }
    }

    /// Puts an event into words.
    pub fn tell(&self, number: u64, event: Event, grid: &Grid) -> EventShown {
        EventShown {
            number,
            text: self.words(&event.happening, grid),
            event,
        }
    }

    fn vm(&self, vm: VmId) -> String {
        let name = self.vms.get(&vm);
        name.map_or_else(|| vm.to_string(), |name| format!("{name} (vm {})", vm.0))
    }

    fn words(&self, happening: &Happening, grid: &Grid) -> String {
        let place = |node: &NodeId| grid.nodes[node.index()].name.as_str();
        let vm = |vm: &VmId| self.vm(*vm);
        match happening {
            Happening::Placed { vm: id, node } => {
                format!("{} is placed on {}", vm(id), place(node))
            }
            Happening::Refused { vm: id, reason } => {
                format!("no node takes {}, {reason}", vm(id))
            }
            Happening::Queued { vm: id } => format!("{} waits for a node", vm(id)),
            Happening::Released { vm: id, node } => {
                format!("{} has left {}", vm(id), place(node))
            }
            Happening::Accepted { asked } => format!("accepted, {asked}"),
            Happening::Ended {
                asked,
                failed: None,
            } => format!("done, {asked}"),
            Happening::Ended {
                asked,
                failed: Some(why),
            } => format!("failed, {asked}, {why}"),
            Happening::Seen {
                vm: id,
                node,
                state,
            } => {
                let state = state.map_or_else(|| "not there".to_owned(), |s| s.to_string());
                format!("{} is {state} on {}", vm(id), place(node))
            }
            Happening::Reached {
                node,
                is_reached: true,
            } => format!("{} is reached", place(node)),
            Happening::Reached {
                node,
                is_reached: false,
            } => format!("{} is reached no more", place(node)),
            Happening::GivenUp { node } => format!(
                "the lease of {} has lapsed, its highly available VMs start elsewhere",
                place(node)
            ),
            Happening::Found { vm: id, node } => {
                format!("{} has {id}, which nobody here has made", place(node))
            }
        }
    }
}
