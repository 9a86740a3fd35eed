//! More or less of a resource, for a VM that runs and for one that does not.

use super::check::invalid;
use super::command_line::{disk_node, hotplugs_cpus};
use super::disks::{image_program, opened, unsupported, words};
use super::look::Look;
use super::power::{balloon, clear, rate, tap_of, throttle};
use super::step::{Plan, Step, qmp};
use super::until::Until;
use super::{Qemu, check};
use agent::driver::DriverError;
use agent::machine::Machine;
use agent::watch::Unwatched;
use model::order::Scale;
use model::report::VmState;
use serde_json::{Value, json};

/// Gives it more or less, and keeps that for its next start.
pub(super) fn scale(qemu: &Qemu, look: &Look, scale: &Scale) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    let mut machine = look.machine.clone();
    let runs = look.seen.state == VmState::Running;
    if !runs {
        clear(&mut plan, Some(look));
    }
    match scale {
        Scale::Cpu { cpus } => {
            within("cpus", *cpus, machine.max_cpus)?;
            if runs {
                scale_cpus(qemu, look, &mut plan, *cpus)?;
            }
            machine.cpus = *cpus;
        }
        Scale::Mem { mem_mib } => {
            within("mem_mib", *mem_mib, machine.max_mem_mib)?;
            if runs {
                scale_memory(look, &mut plan, *mem_mib);
            }
            machine.mem_mib = *mem_mib;
        }
        Scale::Disk { disk, size_mib } => {
            let index = disk_index(&machine, disk)?;
            resize(&machine, index, *size_mib, runs, &mut plan)?;
            machine.disks[index].size_mib = *size_mib;
        }
        Scale::DiskIo { disk, iops, mibps } => {
            let index = disk_index(&machine, disk)?;
            machine.disks[index].iops = *iops;
            machine.disks[index].mibps = *mibps;
            if runs {
                let limits = throttle(index, &machine.disks[index]);
                plan.tell("block_set_io_throttle", limits);
            }
        }
        Scale::Net { interface, mbps } => {
            let index = interface_index(&machine, interface)?;
            let tap = tap_of(&machine, index, &machine.interfaces[index]).ok_or_else(|| {
                unsupported(&format!(
                    "limit {interface}, whose addresses it translates itself; use a tap or a bridge"
                ))
            })?;
            if runs {
                plan.steps.extend(rate(&tap, *mbps));
            }
            machine.interfaces[index].mbps = *mbps;
        }
    }
    plan.steps.push(Step::SaveMachine(Box::new(machine)));
    Ok(plan)
}

fn scale_cpus(qemu: &Qemu, look: &Look, plan: &mut Plan, cpus: u32) -> Result<(), DriverError> {
    if look.seen.cpus == Some(cpus) {
        return Ok(());
    }
    if !hotplugs_cpus(look.machine.arch) {
        return Err(unsupported(&format!(
            "scale the vCPUs of a running {} VM; stop it first",
            look.machine.arch
        )));
    }
    let mut connection = Look::connect(&qemu.folder, look.seen.vm)?;
    let places = connection.execute("query-hotpluggable-cpus", None, &Unwatched)?;
    let mut places: Vec<Value> = places.as_array().cloned().unwrap_or_default();
    places.sort_by_key(|place| {
        let part = |name: &str| place["props"][name].as_u64().unwrap_or(0);
        (
            part("socket-id"),
            part("die-id"),
            part("core-id"),
            part("thread-id"),
        )
    });
    let (taken, free): (Vec<_>, Vec<_>) = places
        .into_iter()
        .partition(|place| place["qom-path"].is_string());
    let wanted = cpus as usize;
    for place in free.iter().take(wanted.saturating_sub(taken.len())) {
        let mut arguments = place["props"].clone();
        arguments["driver"] = place["type"].clone();
        arguments["id"] = cpu_name(&place["props"]).into();
        plan.tell("device_add", arguments);
    }
    for place in taken.iter().skip(wanted).rev() {
        plan.tell("device_del", json!({ "id": place["qom-path"] }));
    }
    if wanted < taken.len() {
        plan.until(Until::Cpus { count: wanted });
    }
    Ok(())
}

fn cpu_name(place: &Value) -> String {
    let part = |name: &str| place[name].as_u64().unwrap_or(0);
    format!(
        "cpu-{}-{}-{}",
        part("socket-id"),
        part("core-id"),
        part("thread-id")
    )
}

fn scale_memory(look: &Look, plan: &mut Plan, mem_mib: u32) {
    /// Guests round to pages and keep a few back.
    const SLACK_BYTES: u64 = 1 << 20;
    plan.tell("balloon", balloon(mem_mib));
    plan.until(Until::Balloon {
        bytes: u64::from(mem_mib) << 20,
        slack: SLACK_BYTES,
    });
    plan.undo
        .push(qmp("balloon", balloon(look.machine.mem_mib)));
}

fn resize(
    machine: &Machine,
    index: usize,
    size_mib: u64,
    runs: bool,
    plan: &mut Plan,
) -> Result<(), DriverError> {
    let disk = &machine.disks[index];
    if disk.read_only {
        let found = format!("{} (read-only)", disk.name);
        return Err(invalid("disk", &found, "a disk that may be written to"));
    }
    if size_mib == 0 {
        return Err(invalid("size_mib", "0", "at least 1"));
    }
    if runs {
        let size = json!({ "node-name": disk_node(index), "size": size_mib << 20 });
        plan.tell("block_resize", size);
        return Ok(());
    }
    let mut arguments = words(&["resize", "-q"]);
    if size_mib < disk.size_mib {
        arguments.extend(words(&["--shrink"]));
    }
    arguments.extend(opened(disk));
    arguments.extend(words(&[&format!("{size_mib}M")]));
    plan.steps.push(image_program(arguments));
    Ok(())
}

fn within(field: &str, found: u32, most: u32) -> Result<(), DriverError> {
    if (1..=most).contains(&found) {
        return Ok(());
    }
    Err(invalid(field, &found.to_string(), &format!("1 to {most}")))
}

fn disk_index(machine: &Machine, name: &str) -> Result<usize, DriverError> {
    let names: Vec<&str> = machine
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect();
    place_of("disk", &names, name)
}

fn interface_index(machine: &Machine, name: &str) -> Result<usize, DriverError> {
    let names: Vec<&str> = machine.interfaces.iter().map(|i| i.name.as_str()).collect();
    place_of("interface", &names, name)
}

fn place_of(field: &str, names: &[&str], name: &str) -> Result<usize, DriverError> {
    names
        .iter()
        .position(|&known| known == name)
        .ok_or_else(|| check::invalid(field, name, &format!("one of {}", names.join(", "))))
}
