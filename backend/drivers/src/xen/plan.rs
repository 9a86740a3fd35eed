//! Which steps an act comes to.

use super::check::within;
use super::look::{BEGUN, GOING_BACK, Look, REBOOTING, RESTING, config_file};
use super::snapshot;
use super::step::{Note, Step, told};
use super::told::Doing;
use super::{Xen, console};
use crate::admission::admit;
use crate::copying;
use agent::driver::{Act, DriverError, SavedDisk};
use agent::machine::Machine;
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use std::time::Duration;

/// A guest that is rebooted gets this long for its own shutdown; then its plug is pulled.
const REBOOT_PATIENCE: Duration = Duration::from_secs(30);

/// The steps of an act, if it may be: a reboot that was cut short goes on where it was.
pub fn steps(xen: &Xen, vm: VmId, act: &Act) -> Result<Vec<Step>, DriverError> {
    let look = xen.look(vm)?;
    let has_ended = matches!(look.state(), Some(VmState::Stopped | VmState::Failed));
    if look.rebooting && has_ended && *act == Act::Reboot {
        look.check_named()?;
        return booting_again(xen, &look);
    }
    admit(xen, vm, act)?;
    let mut steps = plan(xen, &look, act)?;
    if look.rebooting && *act != Act::Reboot {
        // Any other act takes the VM as it stands.
        steps.insert(0, Step::Forget(REBOOTING));
    }
    Ok(steps)
}

/// The steps of an act that was let through.
fn plan(xen: &Xen, look: &Look, act: &Act) -> Result<Vec<Step>, DriverError> {
    look.check_named()?;
    let state = look.state();
    match act {
        Act::Define { machine } => Ok(vec![Step::Remember(machine.clone())]),
        Act::Start if state == Some(VmState::Running) => Ok(Vec::new()),
        Act::Start => {
            let mut steps = ending(look);
            steps.extend(beginning(xen, look.machine()?));
            Ok(steps)
        }
        Act::Stop { shutdown } => {
            let mut steps = asking(look, *shutdown);
            steps.extend(ending(look));
            Ok(steps)
        }
        Act::Destroy => {
            let mut steps = ending(look);
            steps.extend(forgetting(xen, look));
            Ok(steps)
        }
        Act::Reboot => {
            let patience = REBOOT_PATIENCE;
            let mut steps = vec![Step::Note(Note::Rebooting), Step::Ask { patience }];
            steps.extend(booting_again(xen, look)?);
            Ok(steps)
        }
        Act::Pause if state == Some(VmState::Paused) => Ok(vec![Step::Forget(RESTING)]),
        Act::Pause => Ok(vec![Step::Tell(told(look.vm, "pause"))]),
        Act::Resume if state == Some(VmState::Running) => Ok(Vec::new()),
        Act::Resume => Ok(vec![
            Step::Tell(told(look.vm, "unpause")),
            Step::Forget(RESTING),
        ]),
        Act::Snapshot { name } => snapshot::keep(xen, look, name),
        Act::Restore { name } => snapshot::restore(xen, look, name),
        Act::DropSnapshot { name } => snapshot::drop(xen, look, name),
        Act::Copy { to } => copying(xen, look, to),
        Act::SaveImage { disks } => saving(look, disks),
        Act::Scale { scale } => scaling(look, scale),
        Act::Configure { .. } | Act::Rekey { .. } | Act::Receive { .. } | Act::Send { .. } => {
            unreachable!("admission refuses what is not declared")
        }
    }
}

/// The second half of a reboot.
fn booting_again(xen: &Xen, look: &Look) -> Result<Vec<Step>, DriverError> {
    let mut steps = ending(look);
    steps.extend(beginning(xen, look.machine()?));
    steps.push(Step::Forget(REBOOTING));
    Ok(steps)
}

/// Nothing of the domain is left, and nothing brings it back.
pub fn ending(look: &Look) -> Vec<Step> {
    let mut steps: Vec<_> = look
        .monitors
        .iter()
        .map(|process| Step::Unwatch(process.clone()))
        .collect();
    if look.domain.is_some() || !look.monitors.is_empty() {
        steps.push(Step::End);
    }
    let notes = [
        (look.resting.is_some(), RESTING),
        (look.going_back.is_some(), GOING_BACK),
    ];
    let noted = notes.into_iter().filter(|(is_there, _)| *is_there);
    steps.extend(noted.map(|(_, note)| Step::Forget(note)));
    steps
}

/// What a build that nobody goes on with has left is taken away; one that got there is let be.
pub fn settling(look: &Look) -> Vec<Step> {
    let built = look
        .domain
        .as_ref()
        .is_some_and(|domain| domain.doing == Doing::Runs);
    match built {
        true => vec![Step::Forget(BEGUN)],
        false => {
            let mut steps = ending(look);
            steps.retain(|step| !matches!(step, Step::Forget(_)));
            steps.push(Step::Forget(BEGUN));
            steps
        }
    }
}

/// What a failed act has left at rest goes on.
pub fn waking_after_failure(look: &Look) -> Vec<Step> {
    match (look.resting, look.state()) {
        (Some(then), Some(VmState::Paused)) => waking(look, then),
        (Some(VmState::Paused), Some(VmState::Running)) => {
            vec![Step::Tell(told(look.vm, "pause")), Step::Forget(RESTING)]
        }
        (Some(_), _) => vec![Step::Forget(RESTING)],
        (None, _) => Vec::new(),
    }
}

/// The guest boots.
pub fn beginning(xen: &Xen, machine: &Machine) -> Vec<Step> {
    let config = config_file(&xen.folder, machine.vm).display().to_string();
    let mut steps = vec![Step::Configure(Box::new(machine.clone()))];
    steps.extend(console::file(machine.vm).map(Step::Remove));
    steps.extend([
        Step::Note(Note::Begun),
        Step::Build(vec!["create".into(), "-q".into(), config]),
        Step::Forget(BEGUN),
    ]);
    steps
}

/// A guest that can hear is asked.
fn asking(look: &Look, shutdown: Shutdown) -> Vec<Step> {
    let Shutdown::Asked { patience_millis } = shutdown else {
        return Vec::new();
    };
    let patience = Duration::from_millis(patience_millis.into());
    match look.state() {
        Some(VmState::Running) => vec![Step::Ask { patience }],
        Some(VmState::Paused) => vec![Step::Tell(told(look.vm, "unpause")), Step::Ask { patience }],
        _ => Vec::new(),
    }
}

fn forgetting(xen: &Xen, look: &Look) -> Vec<Step> {
    if look.machine.is_none() {
        return Vec::new();
    }
    let mut steps = snapshot::files(xen, look.vm);
    steps.extend(console::file(look.vm).map(Step::Remove));
    steps.push(Step::ForgetAll);
    steps
}

/// Steps that read the disks, with the guest paused where it runs.
fn at_rest(look: &Look, steps: Vec<Step>) -> Vec<Step> {
    let runs = look.state() == Some(VmState::Running);
    if !runs && look.resting.is_none() {
        return steps;
    }
    let then = look.resting.unwrap_or(VmState::Running);
    let before = [
        Step::Note(Note::Resting(then)),
        Step::Tell(told(look.vm, "pause")),
    ];
    let after = waking(look, then);
    before.into_iter().chain(steps).chain(after).collect()
}

/// Brings a guest that an act has paused to where it was.
pub fn waking(look: &Look, then: VmState) -> Vec<Step> {
    let mut steps = Vec::new();
    if then == VmState::Running {
        steps.push(Step::Tell(told(look.vm, "unpause")));
    }
    steps.push(Step::Forget(RESTING));
    steps
}

fn copying(xen: &Xen, look: &Look, to: &Machine) -> Result<Vec<Step>, DriverError> {
    if copying::is_there(xen.machine(to.vm)?.as_ref(), to)? {
        return Ok(Vec::new());
    }
    let files = copying::files(look.machine()?, to)?.into_iter();
    let mut steps: Vec<_> = files
        .map(|(from, to)| Step::CopyFile { from, to })
        .collect();
    steps.push(Step::Remember(Box::new(to.clone())));
    Ok(at_rest(look, steps))
}

fn saving(look: &Look, disks: &[SavedDisk]) -> Result<Vec<Step>, DriverError> {
    let machine = look.machine()?;
    let saved = copying::saved(machine, disks)?.into_iter();
    let copies = saved.map(|(place, file)| Step::CopyFile {
        from: machine.disks[place].path.clone(),
        to: file.clone(),
    });
    Ok(at_rest(look, copies.collect()))
}

fn scaling(look: &Look, scale: &Scale) -> Result<Vec<Step>, DriverError> {
    let mut machine = look.machine()?.clone();
    let step = match scale {
        Scale::Mem { mem_mib } => {
            within("mem_mib", *mem_mib, machine.max_mem_mib)?;
            machine.mem_mib = *mem_mib;
            Step::SetMem(*mem_mib)
        }
        Scale::Cpu { cpus } => {
            within("cpus", *cpus, machine.max_cpus)?;
            machine.cpus = *cpus;
            Step::SetCpus(*cpus)
        }
        Scale::Disk { .. } | Scale::DiskIo { .. } | Scale::Net { .. } => {
            unreachable!("admission refuses what is not declared")
        }
    };
    let runs = look.state() == Some(VmState::Running);
    let steps = runs.then_some(step).into_iter();
    Ok(steps.chain([Step::Remember(Box::new(machine))]).collect())
}
