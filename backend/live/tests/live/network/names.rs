//! Names of devices tell their owners.

use agent::naming::MOST_INTERFACES;
use live::network::name::Device;
use model::id::{NetworkId, VmId};
use proptest::prelude::*;

fn devices() -> impl Strategy<Value = Device> {
    let networks = || any::<u32>().prop_map(NetworkId);
    prop_oneof![
        networks().prop_map(Device::Bridge),
        networks().prop_map(Device::Trunk),
        networks().prop_map(Device::Server),
        (any::<u64>(), 0..MOST_INTERFACES).prop_map(|(vm, place)| Device::Tap(VmId(vm), place)),
    ]
}

proptest! {
    /// A name fits the kernel and tells its device again, so no two devices share one.
    #[test]
    fn a_name_tells_its_device(device in devices()) {
        let name = device.name();
        prop_assert!(name.len() <= 15, "{}", name);
        prop_assert_eq!(Device::of(&name), Some(device));
    }

    /// Whatever else is called, it is ours only if we would have called it so.
    #[test]
    fn a_foreign_name_is_nobodys(name in "(gw[bxd]?)?[0-9a-zA-Z-]{0,14}") {
        if let Some(device) = Device::of(&name) {
            prop_assert_eq!(device.name(), name);
        }
    }
}
