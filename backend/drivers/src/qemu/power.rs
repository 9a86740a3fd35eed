//! Define, start, stop, pause and the like.

use super::command_line::{self, Origin, disk_device};
use super::look::Look;
use super::record::{self, Move};
use super::step::{Exec, Plan, Step, qmp};
use super::{Qemu, check};
use crate::volume::Task;
use agent::driver::DriverError;
use agent::machine::{AttachedDisk, AttachedInterface, Machine, Plug};
use agent::naming::tap_name;
use model::id::KeyId;
use model::order::Shutdown;
use model::report::VmState;
use serde_json::{Value, json};

/// Takes note of a machine.
pub(super) fn define(machine: &Machine, look: Option<&Look>) -> Result<Plan, DriverError> {
    check::files(machine)?;
    let mut plan = Plan::default();
    clear(&mut plan, look);
    plan.steps
        .push(Step::SaveMachine(Box::new(machine.clone())));
    Ok(plan)
}

/// Opens its disks by another key from its next start on. A QEMU that runs has no use for either: it
/// has read the headers of its disks, and never writes them.
pub(super) fn rekey(look: &Look, old: KeyId, new: KeyId) -> Plan {
    let mut plan = Plan::default();
    let mut machine = look.machine.clone();
    machine.rekey(old, new);
    plan.steps.push(Step::SaveMachine(Box::new(machine)));
    plan
}

/// Boots it, unless it runs.
pub(super) fn start(qemu: &Qemu, look: &Look) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    if look.seen.state == VmState::Running {
        return Ok(plan);
    }
    refuse_elsewhere(look, "start")?;
    if matches!(look.place, Some(Move::Sending { .. })) {
        // Not given, so it is here; what may wait for it elsewhere never hears the word.
        plan.steps.push(Step::Forget {
            record: record::MOVE,
        });
    }
    check::files(&look.machine)?;
    clear(&mut plan, Some(look));
    spawn(qemu, &mut plan, &look.machine, Origin::Boots);
    plan.steps.extend(limits(&look.machine));
    plan.ask("cont");
    Ok(plan)
}

/// Adds the steps that bring a machine's QEMU up, frozen, and those that undo them.
pub(super) fn spawn(qemu: &Qemu, plan: &mut Plan, machine: &Machine, origin: Origin) {
    let folder = qemu.folder.of(machine.vm);
    let kvm = qemu.accelerates(machine.arch);
    plug_in(plan, machine);
    for (index, disk) in machine.disks.iter().enumerate() {
        if let (false, Some(servers)) = (disk.extents.is_empty(), &qemu.servers) {
            plan.steps.push(Step::Join {
                servers: servers.clone(),
                folder: record::join(&folder, index),
                task: Task::Join {
                    extents: disk.extents.clone(),
                },
            });
        }
    }
    let exec = command_line::start(&folder, machine, kvm, origin);
    plan.steps.extend([Step::Spawn(exec), Step::SaveProcess]);
    plan.undo.insert(0, Step::End { patience_millis: 0 });
    plan.undo.push(Step::Forget {
        record: record::PROCESS,
    });
}

/// What a machine that was just started is told before it runs.
pub(super) fn limits(machine: &Machine) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        if disk.iops.is_some() || disk.mibps.is_some() {
            steps.push(qmp("block_set_io_throttle", throttle(index, disk)));
        }
    }
    if machine.mem_mib < machine.max_mem_mib {
        steps.push(qmp("balloon", balloon(machine.mem_mib)));
    }
    steps
}

/// A disk's limits as QEMU takes them; zero is none.
pub(super) fn throttle(index: usize, disk: &AttachedDisk) -> Value {
    json!({
        // Where the disk itself hangs below its PCI device.
        "id": format!("/machine/peripheral/{}/virtio-backend", disk_device(index)),
        "iops": disk.iops.unwrap_or(0),
        "iops_rd": 0,
        "iops_wr": 0,
        "bps": u64::from(disk.mibps.unwrap_or(0)) << 20,
        "bps_rd": 0,
        "bps_wr": 0,
    })
}

/// What is to be left to a guest.
pub(super) fn balloon(mem_mib: u32) -> Value {
    json!({ "value": u64::from(mem_mib) << 20 })
}

/// Ends it, unless it has ended.
pub(super) fn stop(look: &Look, shutdown: Shutdown) -> Plan {
    let mut plan = Plan::default();
    if look.process.is_none() && look.seen.state == VmState::Stopped {
        return plan;
    }
    let mut patience_millis = 0;
    if let (
        Shutdown::Asked {
            patience_millis: given,
        },
        VmState::Running,
    ) = (shutdown, look.seen.state)
    {
        patience_millis = given;
        plan.ask("system_powerdown");
    }
    plan.steps.push(Step::End { patience_millis });
    put_away(&mut plan.steps, &look.machine);
    plan
}

/// Ends and forgets it.
pub(super) fn destroy(look: Option<&Look>) -> Plan {
    let mut plan = Plan::default();
    if let Some(look) = look {
        plan.steps.extend(drop_arrival(look));
        plan.steps.push(Step::End { patience_millis: 0 });
        unplug(&mut plan.steps, &look.machine);
    }
    plan.steps.push(Step::ForgetAll);
    plan
}

/// A sender that asks for what was forgotten here is answered all the same.
fn drop_arrival(look: &Look) -> Option<Step> {
    match &look.place {
        Some(Move::Receiving { digest }) => Some(Step::Drop {
            digest: digest.clone(),
        }),
        _ => None,
    }
}

/// Resets it.
pub(super) fn reboot() -> Plan {
    let mut plan = Plan::default();
    plan.ask("system_reset");
    plan
}

/// Freezes it, unless it is frozen.
pub(super) fn pause(look: &Look) -> Plan {
    let mut plan = Plan::default();
    if look.seen.state != VmState::Paused {
        plan.ask("stop");
    }
    plan
}

/// Lets it go on, unless it does.
pub(super) fn resume(look: &Look) -> Plan {
    let mut plan = Plan::default();
    if look.seen.state != VmState::Running {
        plan.ask("cont");
    }
    plan
}

/// What a killed agent, or a guest that gave up, has left of a VM that does not run.
pub(super) fn clear(plan: &mut Plan, look: Option<&Look>) {
    if let Some(look) = look
        && (look.process.is_some() || look.seen.state == VmState::Failed)
    {
        plan.steps.push(Step::End { patience_millis: 0 });
        put_away(&mut plan.steps, &look.machine);
    }
}

/// Steps after a VM's QEMU has ended.
pub(super) fn put_away(steps: &mut Vec<Step>, machine: &Machine) {
    unplug(steps, machine);
    steps.push(Step::Forget {
        record: record::PROCESS,
    });
}

/// Refuses what must not be done to a VM that may run on another node.
pub(super) fn refuse_elsewhere(look: &Look, act: &str) -> Result<(), DriverError> {
    match look.elsewhere() {
        None => Ok(()),
        Some(state) => Err(DriverError::Illegal {
            vm: look.seen.vm,
            act: act.to_owned(),
            state,
        }),
    }
}

/// Taps for its bridges, and the limits of its interfaces.
fn plug_in(plan: &mut Plan, machine: &Machine) {
    for (index, interface) in machine.interfaces.iter().enumerate() {
        if let Plug::Bridge { name: bridge } = &interface.plug {
            let tap = tap_name(machine.vm, index);
            plan.steps.extend([
                ip(&["tuntap", "add", "dev", &tap, "mode", "tap"]),
                ip(&["link", "set", "dev", &tap, "master", bridge, "up"]),
            ]);
            plan.undo.push(ip(&["link", "delete", "dev", &tap]));
        }
        if let Some(tap) = tap_of(machine, index, interface)
            && interface.mbps.is_some()
        {
            plan.steps.extend(rate(&tap, interface.mbps));
        }
    }
}

fn unplug(steps: &mut Vec<Step>, machine: &Machine) {
    for (index, interface) in machine.interfaces.iter().enumerate() {
        if matches!(interface.plug, Plug::Bridge { .. }) {
            let tap = tap_name(machine.vm, index);
            if std::path::Path::new("/sys/class/net").join(&tap).exists() {
                steps.push(ip(&["link", "delete", "dev", &tap]));
            }
        }
    }
}

/// The device of the node that an interface ends in; `None`: it ends in QEMU itself.
pub(super) fn tap_of(
    machine: &Machine,
    index: usize,
    interface: &AttachedInterface,
) -> Option<String> {
    match &interface.plug {
        Plug::Tap { name } => Some(name.clone()),
        Plug::Bridge { .. } => Some(tap_name(machine.vm, index)),
        Plug::User { .. } => None,
    }
}

/// Limits what flows through a tap towards the guest.
pub(super) fn rate(tap: &str, mbps: Option<u32>) -> Vec<Step> {
    let words = match mbps {
        Some(mbps) => {
            // A bucket of 10 ms, which tbf needs at a kernel of 100 ticks a second (tc-tbf(8)).
            let burst = format!("{}b", (u64::from(mbps) * 1_250).max(2_000));
            let rate = format!("{mbps}mbit");
            return vec![tc(&[
                "qdisc", "replace", "dev", tap, "root", "tbf", "rate", &rate, "burst", &burst,
                "latency", "50ms",
            ])];
        }
        None => ["qdisc", "replace", "dev", tap, "root", "pfifo"],
    };
    vec![tc(&words)]
}

fn ip(words: &[&str]) -> Step {
    Step::Exec(program("ip", words))
}

fn tc(words: &[&str]) -> Step {
    Step::Exec(program("tc", words))
}

fn program(program: &'static str, words: &[&str]) -> Exec {
    Exec {
        program,
        arguments: words.iter().map(|&word| word.into()).collect(),
        package: "iproute2",
    }
}
