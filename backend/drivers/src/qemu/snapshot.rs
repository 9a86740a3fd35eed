//! Instants of a VM: of its disks within their own qcow2 files, of its memory in a file beside.

use super::command_line::disk_node;
use super::disks::{self, create, image_program, opened, unsupported, words};
use super::look::Look;
use super::power::{clear, limits, put_away, refuse_elsewhere, spawn};
use super::record;
use super::step::{Plan, Step, qmp};
use super::{Qemu, check, command_line::Origin};
use agent::driver::DriverError;
use agent::machine::{AttachedDisk, DiskFormat};
use agent::watch::Unwatched;
use model::report::VmState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The node that holds memory inside QEMU.
const MEMORY_NODE: &str = "memory";
/// One act at a time, so one name does.
pub(super) const JOB: &str = "snapshot";

/// Keeps this instant, unless it is kept.
pub(super) fn keep(qemu: &Qemu, look: &Look, name: &str) -> Result<Plan, DriverError> {
    named(name)?;
    let mut plan = Plan::default();
    let kept = Kept::of(qemu, look)?;
    if look.process.is_some() && look.seen.state != VmState::Stopped {
        if kept.everywhere(name) {
            return Ok(plan);
        }
        if kept.somewhere(name) {
            remove_running(qemu, look, &mut plan, name)?;
        }
        memory(qemu, look, &mut plan)?;
        plan.tell(
            "snapshot-save",
            json!({
                "job-id": JOB,
                "tag": name,
                "vmstate": MEMORY_NODE,
                "devices": nodes(look),
            }),
        );
        plan.job(JOB);
        plan.undo.push(qmp("job-dismiss", json!({ "id": JOB })));
        return Ok(plan);
    }
    if !kept.disks.is_empty() && kept.on_all_disks(name) {
        return Ok(plan);
    }
    clear(&mut plan, Some(look));
    for disk in writable(look) {
        if kept.on(disk, name) {
            plan.steps.push(change("-d", name, disk));
        }
        plan.steps.push(change("-c", name, disk));
        plan.undo.push(change("-d", name, disk));
    }
    Ok(plan)
}

/// Goes back to an instant: with its memory where it was kept and the VM runs, else by a boot from
/// its disks.
pub(super) fn restore(qemu: &Qemu, look: &Look, name: &str) -> Result<Plan, DriverError> {
    named(name)?;
    refuse_elsewhere(look, "restore")?;
    let kept = Kept::of(qemu, look)?;
    if !kept.on_all_disks(name) || !kept.somewhere(name) {
        let names: Vec<&str> = kept.names().into_iter().collect();
        let expected = match names.as_slice() {
            [] => "a snapshot; there is none".to_owned(),
            names => format!("one of {}", names.join(", ")),
        };
        return Err(check::invalid("snapshot", name, &expected));
    }
    let mut plan = Plan::default();
    let runs = look.process.is_some() && look.seen.state != VmState::Stopped;
    if runs && kept.everywhere(name) {
        memory(qemu, look, &mut plan)?;
        plan.tell(
            "snapshot-load",
            json!({
                "job-id": JOB,
                "tag": name,
                "vmstate": MEMORY_NODE,
                "devices": nodes(look),
            }),
        );
        plan.job(JOB);
        plan.undo.push(qmp("job-dismiss", json!({ "id": JOB })));
        return Ok(plan);
    }
    if runs {
        plan.steps.push(Step::End { patience_millis: 0 });
        put_away(&mut plan.steps, &look.machine);
    } else {
        clear(&mut plan, Some(look));
    }
    for disk in writable(look) {
        plan.steps.push(change("-a", name, disk));
    }
    if runs {
        spawn(qemu, &mut plan, &look.machine, Origin::Boots);
        plan.steps.extend(limits(&look.machine));
        plan.ask("cont");
        if look.seen.state == VmState::Paused {
            plan.ask("stop");
        }
    }
    Ok(plan)
}

/// Drops an instant, unless there is none.
pub(super) fn drop(qemu: &Qemu, look: &Look, name: &str) -> Result<Plan, DriverError> {
    named(name)?;
    let mut plan = Plan::default();
    let kept = Kept::of(qemu, look)?;
    if !kept.somewhere(name) {
        return Ok(plan);
    }
    if look.process.is_some() && look.seen.state != VmState::Stopped {
        remove_running(qemu, look, &mut plan, name)?;
        return Ok(plan);
    }
    clear(&mut plan, Some(look));
    for disk in writable(look) {
        if kept.on(disk, name) {
            plan.steps.push(change("-d", name, disk));
        }
    }
    if kept.memory.contains(name) {
        let path = memory_file(qemu, look);
        let path = path.to_string_lossy();
        plan.steps
            .push(image_program(words(&["snapshot", "-q", "-d", name, &path])));
    }
    Ok(plan)
}

/// Names of all instants of a VM.
pub(super) fn names(qemu: &Qemu, look: &Look) -> Result<Vec<String>, DriverError> {
    let kept = Kept::of(qemu, look)?;
    Ok(kept.names().into_iter().map(str::to_owned).collect())
}

/// Instants that are kept, as the files tell.
struct Kept {
    /// By disk.
    disks: Vec<(PathBuf, BTreeSet<String>)>,
    memory: BTreeSet<String>,
}

impl Kept {
    fn of(qemu: &Qemu, look: &Look) -> Result<Self, DriverError> {
        let mut disks = Vec::new();
        for disk in writable(look) {
            if disk.format != DiskFormat::Qcow2 {
                return Err(unsupported(&format!(
                    "keep instants of the {} disk {} of {}, only of qcow2 ones",
                    disk.format, disk.name, look.seen.vm
                )));
            }
            disks.push((
                disk.path.clone(),
                tags(&disks::info(&disk.path, disk.format)?),
            ));
        }
        let file = memory_file(qemu, look);
        let memory = if file.exists() {
            tags(&disks::info(&file, DiskFormat::Qcow2)?)
        } else {
            BTreeSet::new()
        };
        Ok(Self { disks, memory })
    }

    fn on(&self, disk: &AttachedDisk, name: &str) -> bool {
        self.disks
            .iter()
            .any(|(path, tags)| *path == disk.path && tags.contains(name))
    }

    fn on_all_disks(&self, name: &str) -> bool {
        self.disks.iter().all(|(_, tags)| tags.contains(name))
    }

    fn everywhere(&self, name: &str) -> bool {
        self.memory.contains(name) && self.on_all_disks(name)
    }

    fn somewhere(&self, name: &str) -> bool {
        self.names().contains(name)
    }

    fn names(&self) -> BTreeSet<&str> {
        let tags = self.disks.iter().map(|(_, tags)| tags);
        tags.chain([&self.memory])
            .flatten()
            .map(String::as_str)
            .collect()
    }
}

fn tags(info: &Value) -> BTreeSet<String> {
    let snapshots = info["snapshots"].as_array().into_iter().flatten();
    snapshots
        .filter_map(|snapshot| snapshot["name"].as_str())
        .map(str::to_owned)
        .collect()
}

fn writable(look: &Look) -> impl Iterator<Item = &AttachedDisk> {
    look.machine.disks.iter().filter(|disk| !disk.read_only)
}

fn nodes(look: &Look) -> Vec<String> {
    let disks = look.machine.disks.iter().enumerate();
    disks
        .filter(|(_, disk)| !disk.read_only)
        .map(|(index, _)| disk_node(index))
        .chain([MEMORY_NODE.to_owned()])
        .collect()
}

fn memory_file(qemu: &Qemu, look: &Look) -> PathBuf {
    qemu.folder.of(look.seen.vm).join(record::MEMORY)
}

/// Sees to it that the running QEMU has the file of memories open.
fn memory(qemu: &Qemu, look: &Look, plan: &mut Plan) -> Result<(), DriverError> {
    let path = memory_file(qemu, look);
    if !path.exists() {
        plan.steps.push(create("qcow2", &path, 1 << 20, None));
    }
    let mut connection = Look::connect(&qemu.folder, look.seen.vm)?;
    let flat = json!({ "flat": true });
    let nodes = connection.execute("query-named-block-nodes", Some(&flat), &Unwatched)?;
    let nodes = nodes.as_array().into_iter().flatten();
    if !nodes
        .into_iter()
        .any(|node| node["node-name"] == MEMORY_NODE)
    {
        plan.tell(
            "blockdev-add",
            json!({
                "driver": "qcow2",
                "node-name": MEMORY_NODE,
                "file": { "driver": "file", "filename": path },
            }),
        );
    }
    Ok(())
}

fn remove_running(
    qemu: &Qemu,
    look: &Look,
    plan: &mut Plan,
    name: &str,
) -> Result<(), DriverError> {
    memory(qemu, look, plan)?;
    plan.tell(
        "snapshot-delete",
        json!({ "job-id": JOB, "tag": name, "devices": nodes(look) }),
    );
    plan.job(JOB);
    plan.undo.push(qmp("job-dismiss", json!({ "id": JOB })));
    Ok(())
}

/// Changes the instants of a disk that nobody has open.
fn change(option: &str, name: &str, disk: &AttachedDisk) -> Step {
    let mut arguments = words(&["snapshot", "-q"]);
    arguments.extend(words(&[option, name]));
    // Unlike its other commands, this one takes no format; it probes, and what it probes was
    // checked to be qcow2.
    if disk.key.is_some() {
        arguments.extend(opened(disk));
    } else {
        arguments.extend(words(&[&disk.path.to_string_lossy()]));
    }
    image_program(arguments)
}

/// A name that `qemu-img` takes for nothing else.
fn named(name: &str) -> Result<(), DriverError> {
    /// QEMU keeps names of snapshots in 256 bytes with their null (`QEMUSnapshotInfo`).
    const MOST_BYTES: usize = 255;
    if !name.is_empty() && name.len() <= MOST_BYTES && !name.starts_with('-') {
        return Ok(());
    }
    let expected = format!("1 to {MOST_BYTES} bytes, and no hyphen first");
    Err(check::invalid("snapshot", name, &expected))
}
