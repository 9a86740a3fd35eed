//! Which domains are ours: by a name of our own, and a UUID that follows from the VM's number.

use crate::door::Ways;
use model::id::{KeyId, VmId};
use uuid::Uuid;

/// Drawn once; whatever is ours has a UUID that follows from it (version 5 of RFC 9562).
const OURS: Uuid = Uuid::from_u128(0x6d1f_0e0c_8f2b_4a55_9c37_2a5d_54e1_b0d7);

const PREFIX: &str = "gridwright-";

/// The name of a VM's domain.
pub fn domain_name(vm: VmId) -> String {
    format!("{PREFIX}{}", vm.0)
}

/// The UUID of a VM's domain.
pub fn domain_uuid(vm: VmId) -> Uuid {
    Uuid::new_v5(&OURS, domain_name(vm).as_bytes())
}

/// The VM whose domain it is; `None`: it is somebody else's.
pub fn vm_of(ways: &Ways, name: &str, uuid: Uuid) -> Option<VmId> {
    let vm = VmId(name.strip_prefix(PREFIX)?.parse().ok()?);
    // One VM, one name: one with a sign or leading zeros is somebody else's.
    let ours = domain_name(vm) == name && (!ways.keeps_uuids || domain_uuid(vm) == uuid);
    ours.then_some(vm)
}

/// What libvirt's secret for a key of a VM is for.
pub fn secret_usage(vm: VmId, key: KeyId) -> String {
    format!("{}-key-{}", domain_name(vm), key.0)
}

/// The UUID of libvirt's secret for a key of a VM.
pub fn secret_uuid(vm: VmId, key: KeyId) -> Uuid {
    Uuid::new_v5(&OURS, secret_usage(vm, key).as_bytes())
}
