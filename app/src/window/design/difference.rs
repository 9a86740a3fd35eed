//! What would change if a design were deployed where it stands already.

use super::scene::{cores, disk, mem};
use control::shown::VmShown;
use model::assignment::{AssignedVm, Assignment};
use model::units::Resources;
use model::vm::Demand;

/// VMs of a design that would be made, deleted or resized.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Names of those that are not there yet.
    pub made: Vec<String>,
    /// Names of those that would go.
    pub deleted: Vec<String>,
    /// Names of those of another size, with what they have and would have.
    pub resized: Vec<(String, String)>,
    /// How many stay as they are.
    pub kept: usize,
}

impl Difference {
    /// Compares what stands with what a design becomes.
    pub fn of(standing: &[&VmShown], assignment: &Assignment) -> Self {
        let mut difference = Self::default();
        for vm in &assignment.vms {
            match standing.iter().find(|there| there.name == vm.name) {
                None => difference.made.push(vm.name.clone()),
                Some(there) if there.resources == asked(vm) => difference.kept += 1,
                Some(there) => {
                    let sizes = format!("{} → {}", words(there.resources), words(asked(vm)));
                    difference.resized.push((vm.name.clone(), sizes));
                }
            }
        }
        let is_wished = |name: &str| assignment.vms.iter().any(|vm| vm.name == name);
        let gone = standing.iter().filter(|there| !is_wished(&there.name));
        difference.deleted = gone.map(|there| there.name.clone()).collect();
        difference
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty() && self.deleted.is_empty() && self.resized.is_empty()
    }
}

/// What a VM asks of any node; nothing where it asks for a share of one.
fn asked(vm: &AssignedVm) -> Resources {
    match &vm.spec.demand {
        Demand::Fixed(resources) => *resources,
        Demand::ShareOfModel(_) => Resources::default(),
    }
}

fn words(resources: Resources) -> String {
    format!(
        "{}, {}, {}",
        cores(resources.cpu_milli.0),
        mem(resources.mem_mib.0),
        disk(resources.disk_gib.0)
    )
}
