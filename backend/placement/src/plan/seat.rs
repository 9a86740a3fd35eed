//! What runs on a node as it weighs on it.

use crate::state::{DEVICE_MILLI, Seats, Tally};
use model::grid::{Grid, MAX_ACCELERATORS, NodeState};
use model::id::NodeId;
use model::units::Resources;
use model::view::NodeView;
use model::vm::VmSpec;

/// All that a node carries. A node of which the view does not add up, as while a migration is counted
/// twice, takes no new VMs: it is better passed over than overfilled.
///
/// Where a running VM was legal once is of no matter any more.
pub(super) fn seats(grid: &Grid, node: NodeId, view: &NodeView) -> Seats {
    let class = grid.class_of(node);
    let devices = class.accelerators.as_ref();
    let devices = devices.map_or(0, |accelerators| accelerators.count as usize);
    let free_devices = vec![0; devices.min(MAX_ACCELERATORS)];
    let Some((rest, devices)) = beside_vms(view, class.capacity, free_devices.clone()) else {
        return Seats {
            state: NodeState::Cordoned,
            devices: free_devices,
            ..Seats::default()
        };
    };
    let mut tally = Tally::default();
    let mut add = |resources: Resources, spec: &VmSpec| {
        tally.vms_by_risk[spec.risk as usize] += 1;
        tally.load_milli +=
            u64::from(resources.cpu_milli.0) * u64::from(spec.expected_load_milli) / 1_000;
    };
    for vm in &view.vms {
        add(vm.resources, &vm.spec);
    }
    if rest != Resources::default() {
        add(rest, &VmSpec::plain(rest));
    }
    Seats {
        state: view.state,
        used: view.used,
        tally,
        devices,
    }
}

/// What a node uses beside its VMs, and thousandths of each device that are taken; `None` where the
/// figures contradict each other.
fn beside_vms(
    node: &NodeView,
    capacity: Resources,
    mut taken: Vec<u16>,
) -> Option<(Resources, Vec<u16>)> {
    let whole_device = u32::from(DEVICE_MILLI);
    let mut vms = Resources::default();
    for vm in &node.vms {
        vms = vms.checked_add(vm.resources)?;
        let mut sum = 0;
        for (device, milli) in &vm.devices {
            let taken = taken.get_mut(usize::from(*device))?;
            *taken = taken.checked_add(*milli)?;
            sum += u32::from(*milli);
        }
        let whole = sum < whole_device || sum.is_multiple_of(whole_device);
        if sum != vm.resources.accel_milli.0 || !whole {
            return None;
        }
    }
    let rest = node.used.checked_sub(vms)?;
    let fits = node.used.first_shortage(capacity).is_none();
    let devices_fit = taken.iter().all(|taken| *taken <= DEVICE_MILLI);
    // Nobody says which devices are used beside those of the VMs.
    (fits && devices_fit && rest.accel_milli.0 == 0).then_some((rest, taken))
}
