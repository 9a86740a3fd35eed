//! The steps of giving a VM more or less, and what it is afterwards.

use crate::driver::{Act, ActKind};
use crate::lending::is_remote;
use crate::lifecycle::after;
use crate::naming::Naming;
use crate::refusal::{Refusal, invalid, keys_of};
use crate::step::{Planned, Step, Undo};
use crate::steps::{Circumstances, Record, act, by_act, with};
use model::blueprint::{Blueprint, Disk, Interface};
use model::order::Scale;
use model::report::VmState;

/// The steps of scaling a VM that is in a state.
///
/// # Errors
/// Where the state forbids it, a part is unknown, or a size is beyond what was allowed for.
pub fn scale(
    record: &Record,
    state: Option<VmState>,
    to: &Scale,
    now: Circumstances,
) -> Result<Vec<Planned>, Refusal> {
    let blueprint = &record.blueprint;
    let vm = blueprint.vm;
    after(state, ActKind::Scale)?;
    let old = held(blueprint, to)?;
    let keys = keys_of(blueprint);
    let change = act(
        vm,
        Act::Scale { scale: to.clone() },
        keys.clone(),
        by_act(vm, Act::Scale { scale: old.clone() }),
    );
    let (
        Scale::Disk { disk, size_mib },
        Scale::Disk {
            size_mib: old_mib, ..
        },
    ) = (to, &old)
    else {
        return Ok([change]
            .into_iter()
            .chain(replug(blueprint, to, now.naming))
            .collect());
    };
    let files = now.naming.disks_of(blueprint);
    // The hypervisor has the disks of a running VM open and sizes them itself, and a container's root.
    if state == Some(VmState::Running) || !files.iter().any(|file| file.name == *disk) {
        return Ok(vec![change]);
    }
    let resize = |size_mib: u64| {
        let mut attached = now
            .naming
            .attached_disk(blueprint, find_disk(blueprint, disk)?);
        attached.size_mib = size_mib;
        Ok::<Step, Refusal>(Step::Resize { disk: attached })
    };
    let (there, back) = (resize(*size_mib)?, resize(*old_mib)?);
    // The hypervisor cuts off what is beyond a smaller end, so that the disk is made smaller with its
    // files before; that fails where they do not fit, and can be taken back.
    let mut sized = with(there, Undo::By { steps: vec![back] });
    sized.keys = keys;
    Ok(vec![sized, change])
}

/// The node's rules limit what passes an interface's end, whatever runs the VM.
fn replug(blueprint: &Blueprint, to: &Scale, naming: &Naming) -> Option<Planned> {
    let Scale::Net { interface, mbps } = to else {
        return None;
    };
    let mut interfaces = blueprint.interfaces.iter().enumerate();
    let (place, old) = interfaces.find(|(_, found)| found.name == *interface)?;
    let mut new = old.clone();
    new.mbps = *mbps;
    let vm = blueprint.vm;
    let plug = |interface: &Interface| Step::Plug {
        vm,
        interface: interface.clone(),
        plug: naming.plug(vm, place, interface),
    };
    let steps = vec![plug(old)];
    Some(with(plug(&new), Undo::By { steps }))
}

/// Writes a new size into a blueprint; a part that is not there is left out.
pub fn write(blueprint: &mut Blueprint, to: &Scale) {
    match to {
        Scale::Cpu { cpus } => blueprint.cpus = *cpus,
        Scale::Mem { mem_mib } => blueprint.mem_mib = *mem_mib,
        Scale::Disk { disk, size_mib } => {
            for disk in blueprint.disks.iter_mut().filter(|d| d.name == *disk) {
                disk.size_mib = *size_mib;
            }
        }
        Scale::DiskIo { disk, iops, mibps } => {
            for disk in blueprint.disks.iter_mut().filter(|d| d.name == *disk) {
                (disk.iops, disk.mibps) = (*iops, *mibps);
            }
        }
        Scale::Net { interface, mbps } => {
            let all = blueprint.interfaces.iter_mut();
            for found in all.filter(|found| found.name == *interface) {
                found.mbps = *mbps;
            }
        }
    }
}

/// What a blueprint holds of the same resource, once the new size is seen to be possible.
fn held(blueprint: &Blueprint, to: &Scale) -> Result<Scale, Refusal> {
    let within = |field: &str, asked: u32, max: u32| {
        if (1..=max).contains(&asked) {
            return Ok(());
        }
        Err(invalid(field, &asked.to_string(), &format!("1 to {max}")))
    };
    Ok(match to {
        Scale::Cpu { cpus } => {
            within("cpus", *cpus, blueprint.max_cpus)?;
            Scale::Cpu {
                cpus: blueprint.cpus,
            }
        }
        Scale::Mem { mem_mib } => {
            within("mem_mib", *mem_mib, blueprint.max_mem_mib)?;
            Scale::Mem {
                mem_mib: blueprint.mem_mib,
            }
        }
        Scale::Disk { disk, size_mib } => {
            let found = find_disk(blueprint, disk)?;
            if is_remote(found) {
                let expected = format!("{}: it is as large as its volumes", found.size_mib);
                return Err(invalid("size_mib", &size_mib.to_string(), &expected));
            }
            if *size_mib == 0 {
                return Err(invalid("size_mib", "0", "at least 1"));
            }
            Scale::Disk {
                disk: disk.clone(),
                size_mib: found.size_mib,
            }
        }
        Scale::DiskIo { disk, .. } => {
            let found = find_disk(blueprint, disk)?;
            Scale::DiskIo {
                disk: disk.clone(),
                iops: found.iops,
                mibps: found.mibps,
            }
        }
        Scale::Net { interface, .. } => {
            let found = find_interface(blueprint, interface)?;
            Scale::Net {
                interface: interface.clone(),
                mbps: found.mbps,
            }
        }
    })
}

fn find_disk<'a>(blueprint: &'a Blueprint, name: &str) -> Result<&'a Disk, Refusal> {
    let found = blueprint.disks.iter().find(|disk| disk.name == name);
    found.ok_or_else(|| Refusal::UnknownPart {
        vm: blueprint.vm,
        what: "disk",
        name: name.to_owned(),
    })
}

fn find_interface<'a>(blueprint: &'a Blueprint, name: &str) -> Result<&'a Interface, Refusal> {
    let found = blueprint.interfaces.iter().find(|i| i.name == name);
    found.ok_or_else(|| Refusal::UnknownPart {
        vm: blueprint.vm,
        what: "interface",
        name: name.to_owned(),
    })
}
