//! Instants of a VM: copies of its disks beside them, and, where it runs, of its memory.
//!
//! The copies lie beside the disks, so that whoever wipes these wipes them too; a record in the
//! driver's own folder, written last, says that all of them are there.

use super::Xen;
use super::check::snapshot_name;
use super::look::{BEGUN, GOING_BACK, Look, config_file};
use super::plan::{beginning, ending, waking};
use super::step::{Note, Step, told};
use agent::driver::DriverError;
use agent::machine::Machine;
use model::id::VmId;
use model::report::VmState;
use std::fs;
use std::path::{Path, PathBuf};

/// Records of snapshots are `snapshot-NAME.json`.
const BEFORE: &str = "snapshot-";
const AFTER: &str = ".json";

/// Keeps this instant, unless it is kept.
pub fn keep(xen: &Xen, look: &Look, name: &str) -> Result<Vec<Step>, DriverError> {
    snapshot_name(name)?;
    let machine = look.machine()?;
    if kept(xen, look.vm, name)?.is_some() {
        return Ok(Vec::new());
    }
    let state = look.state();
    // What an act that failed has left is no part of this instant.
    let mut steps = dropping(xen, machine, name);
    let then = look.resting.or(state);
    let runs = matches!(state, Some(VmState::Running | VmState::Paused));
    if let Some(then) = then.filter(|_| runs) {
        steps.push(Step::Note(Note::Resting(then)));
        if state == Some(VmState::Paused) {
            // A guest takes part in being saved, for some milliseconds.
            steps.push(Step::Tell(told(look.vm, "unpause")));
        }
        steps.push(Step::Save(memory(xen, machine, name)));
    }
    steps.extend(copies(machine, name).map(|(disk, copy)| Step::CopyFile {
        from: disk,
        to: copy,
    }));
    steps.push(Step::Keep {
        record: record(name),
        machine: Box::new(machine.clone()),
    });
    if let Some(then) = then.filter(|_| runs) {
        steps.extend(waking(look, then));
    }
    Ok(steps)
}

/// Goes back to an instant: with its memory where that was kept and the VM runs, else by a boot
/// from its disks.
pub fn restore(xen: &Xen, look: &Look, name: &str) -> Result<Vec<Step>, DriverError> {
    snapshot_name(name)?;
    let Some(then) = kept(xen, look.vm, name)? else {
        return Err(unknown(xen, look.vm, name));
    };
    let machine = look.machine()?;
    let state = look.going_back.or(look.state());
    let target = state.filter(|state| matches!(state, VmState::Running | VmState::Paused));
    let mut steps = Vec::new();
    if let Some(target) = target {
        steps.push(Step::Note(Note::GoingBack(target)));
    }
    steps.extend(ending(look));
    // What is noted outlives the end of the domain.
    steps.retain(|step| !matches!(step, Step::Forget(GOING_BACK)));
    steps.extend(copies(machine, name).map(|(disk, copy)| Step::CopyFile {
        from: copy,
        to: disk,
    }));
    let Some(target) = target else {
        return Ok(steps);
    };
    let memory = memory(xen, machine, name);
    if memory.exists() && same_shape(&then, machine) {
        steps.extend(waking_up(xen, machine, &memory));
        if target == VmState::Running {
            steps.push(Step::Tell(told(look.vm, "unpause")));
        }
    } else {
        steps.extend(beginning(xen, machine));
        if target == VmState::Paused {
            steps.push(Step::Tell(told(look.vm, "pause")));
        }
    }
    steps.push(Step::Forget(GOING_BACK));
    Ok(steps)
}

/// Drops an instant, or what of one was kept before that failed.
pub fn drop(xen: &Xen, look: &Look, name: &str) -> Result<Vec<Step>, DriverError> {
    snapshot_name(name)?;
    Ok(dropping(xen, look.machine()?, name))
}

/// Removes all that snapshots of a VM have brought.
pub fn files(xen: &Xen, vm: VmId) -> Vec<Step> {
    let machines = names(xen, vm).into_iter().filter_map(|name| {
        let machine = kept(xen, vm, &name).ok()??;
        Some((name, machine))
    });
    machines
        .flat_map(|(name, machine)| dropping(xen, &machine, &name))
        .collect()
}

/// What is there of it goes; the record first, so that of what is half removed there is none.
fn dropping(xen: &Xen, machine: &Machine, name: &str) -> Vec<Step> {
    let files = copies(machine, name).map(|(_, copy)| copy);
    let files = files.chain([memory(xen, machine, name)]);
    let record = xen.folder.of(machine.vm).join(record(name));
    let all = [record].into_iter().chain(files);
    all.filter(|path| path.exists()).map(Step::Remove).collect()
}

/// The domain comes back paused, as what it is now told to be.
fn waking_up(xen: &Xen, machine: &Machine, memory: &Path) -> [Step; 4] {
    let config = config_file(&xen.folder, machine.vm).display().to_string();
    let memory = memory.display().to_string();
    [
        Step::Configure(Box::new(machine.clone())),
        Step::Note(Note::Begun),
        Step::Build(vec!["restore".into(), "-p".into(), config, memory]),
        Step::Forget(BEGUN),
    ]
}

/// The machine as it was then; `None`: there is no such snapshot.
fn kept(xen: &Xen, vm: VmId, name: &str) -> Result<Option<Machine>, DriverError> {
    xen.folder.load(vm, &record(name))
}

/// A guest's memory fits the machine that it was saved from, as far as it knows that.
fn same_shape(then: &Machine, now: &Machine) -> bool {
    then.max_cpus == now.max_cpus
        && then.max_mem_mib == now.max_mem_mib
        && then.boot == now.boot
        && then.disks == now.disks
        && then.interfaces == now.interfaces
}

/// Each disk that the guest may write to, and its copy.
fn copies(machine: &Machine, name: &str) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let disks = machine.disks.iter().filter(|disk| !disk.read_only);
    disks.map(move |disk| (disk.path.clone(), beside(&disk.path, name, "copy")))
}

/// The file of the guest's memory; beside its first disk, where it has one.
fn memory(xen: &Xen, machine: &Machine, name: &str) -> PathBuf {
    let own = xen.folder.of(machine.vm).join("guest");
    let first = machine.disks.first().map_or(&own, |disk| &disk.path);
    beside(first, name, "memory")
}

fn beside(path: &Path, name: &str, what: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{name}.{what}"));
    path.into()
}

fn record(name: &str) -> String {
    format!("{BEFORE}{name}{AFTER}")
}

fn names(xen: &Xen, vm: VmId) -> Vec<String> {
    let entries = fs::read_dir(xen.folder.of(vm))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| {
        let file = entry.file_name();
        let name = file.to_str()?.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
        Some(name.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

fn unknown(xen: &Xen, vm: VmId, name: &str) -> DriverError {
    let names = names(xen, vm);
    DriverError::Invalid {
        field: "name".into(),
        found: name.to_owned(),
        expected: match names.as_slice() {
            [] => "a snapshot; there is none".to_owned(),
            names => format!("one of {}", names.join(", ")),
        },
    }
}
