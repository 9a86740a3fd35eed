//! A running VM moves to another node, with shared disks or with its own.
//!
//! ```text
//!  receiving node                          sending node
//!  qemu -incoming, its disks as NBD ◀──┐
//!  listens: migration, NBD             ├── mirror each disk; every write goes to both
//!                                      ├── memory, until little is left
//!                                      ├── the VM stands still; mirrors end; the last pages
//!  the VM runs ────────────────────────┘   completed: it is marked as sent, and ends
//! ```
//!
//! The sender goes on where anything fails before the end, and never after it. The receiver closes
//! its NBD server when it first sees that the VM has arrived. What goes over the wire is not
//! encrypted, nor is what of a LUKS disk goes with it.

use super::Qemu;
use super::check::invalid;
use super::command_line::{Origin, disk_node};
use super::disks::unsupported;
use super::look::Look;
use super::power::{clear, limits, put_away, spawn};
use super::record::{self, Move};
use super::runner::Answers;
use super::snapshot;
use super::step::{Plan, Step, Until};
use crate::folder::Folder;
use agent::driver::DriverError;
use agent::machine::Machine;
use model::id::VmId;
use model::order::Storage;
use serde_json::{Value, json};

/// The VM stands still once QEMU expects to send the rest within this; with the calls around it
/// the whole stays below 50 ms.
const STILL_MILLIS: u32 = 10;

/// More than any network here carries; QEMU's own limit would be 1 Gbit a second.
const BANDWIDTH_BYTES: u64 = 10 << 30;

/// The name of the listening socket inside QEMU.
const NBD_SOCKET: &str = "nbd";

/// Defines a VM and listens for it.
pub(super) fn receive(
    qemu: &Qemu,
    look: Option<&Look>,
    machine: &Machine,
    storage: Storage,
    host: &str,
) -> Result<Plan, DriverError> {
    super::check::files(machine)?;
    let mut plan = Plan::default();
    clear(&mut plan, look);
    plan.steps.extend([
        Step::SaveMachine(Box::new(machine.clone())),
        Step::SaveMove(Move::Receiving { storage }),
    ]);
    spawn(qemu, &mut plan, machine, Origin::Arrives);
    plan.undo.push(Step::ForgetAll);
    plan.tell("migrate-set-capabilities", capabilities(storage));
    if storage == Storage::Local {
        let disks = own_disks(machine);
        plan.steps.push(Step::Listen {
            name: NBD_SOCKET,
            host: host.to_owned(),
        });
        plan.tell(
            "nbd-server-start",
            json!({
                "addr": { "type": "fd", "data": { "str": NBD_SOCKET } },
                // One for each disk: once the sender is here, nobody else is.
                "max-connections": disks.len().max(1),
            }),
        );
        for &index in &disks {
            let node = disk_node(index);
            plan.tell(
                "block-export-add",
                json!({ "type": "nbd", "id": node, "name": node, "node-name": node, "writable": true }),
            );
        }
    }
    plan.steps.extend(
        limits(machine)
            .into_iter()
            // Its balloon comes with it.
            .filter(|step| {
                !matches!(
                    step,
                    Step::Qmp {
                        command: "balloon",
                        ..
                    }
                )
            }),
    );
    plan.tell(
        "migrate-incoming",
        json!({ "channels": [{
            "channel-type": "main",
            "addr": { "transport": "socket", "type": "inet", "host": host, "port": "0" },
        }] }),
    );
    plan.ask("query-migrate");
    Ok(plan)
}

/// Where a VM that is received is listened for.
pub(super) fn listening(host: &str, answers: &Answers) -> Option<String> {
    let port = answers.get("query-migrate")?["socket-address"][0]["port"].as_str()?;
    let address = format!("{host}:{port}");
    Some(match answers.get("getfd").and_then(Value::as_u64) {
        Some(nbd) => format!("{address},nbd={nbd}"),
        None => address,
    })
}

/// Moves a VM to where another driver listens.
pub(super) fn send(
    qemu: &Qemu,
    look: &Look,
    address: &str,
    storage: Storage,
) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    if matches!(look.place, Some(Move::Sent { .. })) && look.process.is_none() {
        return Ok(plan);
    }
    if look.is_sent() {
        plan.ask("query-migrate");
        has_gone(&mut plan, look, address);
        // It runs over there: neither a cancel nor a deadline changes that any more.
        let asked = std::mem::take(&mut plan.steps);
        plan.finish.splice(0..0, asked);
        return Ok(plan);
    }
    let to = Address::parse(address, storage)?;
    let disks = match storage {
        Storage::Shared => Vec::new(),
        Storage::Local => own_disks(&look.machine),
    };
    if storage == Storage::Local {
        stays_behind(qemu, look)?;
    }
    let abandon = Step::Abandon {
        disks: disks.clone(),
    };
    if look.place.is_some() {
        plan.steps.push(abandon.clone());
    }
    plan.undo.push(abandon);
    plan.tell("migrate-set-capabilities", capabilities(storage));
    plan.tell(
        "migrate-set-parameters",
        json!({ "max-bandwidth": BANDWIDTH_BYTES, "downtime-limit": STILL_MILLIS }),
    );
    for &index in &disks {
        mirror(&mut plan, index, &to);
    }
    if !disks.is_empty() {
        let ids = disks.iter().map(|&index| mirror_job(index)).collect();
        plan.until(Until::JobsReady { ids });
    }
    plan.steps.push(Step::SaveMove(Move::Sending {
        address: address.to_owned(),
    }));
    plan.tell(
        "migrate",
        json!({ "channels": [{
            "channel-type": "main",
            "addr": { "transport": "socket", "type": "inet", "host": to.host, "port": to.port },
        }] }),
    );
    if !disks.is_empty() {
        plan.until(Until::MigrationPaused);
        for &index in &disks {
            plan.tell("block-job-cancel", json!({ "device": mirror_job(index) }));
        }
        for &index in &disks {
            // The guest stands still, so nothing is asked that the end of QEMU settles anyway.
            let id = mirror_job(index);
            plan.until(Until::JobEnded { id });
        }
        plan.tell("migrate-continue", json!({ "state": "pre-switchover" }));
    }
    plan.until(Until::MigrationDone);
    has_gone(&mut plan, look, address);
    Ok(plan)
}

/// How long a VM stood still that has gone.
pub(super) fn downtime(folder: &Folder, vm: VmId) -> Result<Option<u64>, DriverError> {
    Ok(match folder.load(vm, record::MOVE)? {
        Some(Move::Sent {
            downtime_millis, ..
        }) => downtime_millis,
        _ => None,
    })
}

/// The job that copies a disk.
pub(super) fn mirror_job(index: usize) -> String {
    format!("mirror{index}")
}

/// The disk on the other node.
pub(super) fn remote_node(index: usize) -> String {
    format!("remote{index}")
}

fn mirror(plan: &mut Plan, index: usize, to: &Address) {
    plan.tell(
        "blockdev-add",
        json!({
            "driver": "nbd",
            "node-name": remote_node(index),
            "export": disk_node(index),
            "server": { "type": "inet", "host": to.host, "port": to.nbd },
        }),
    );
    plan.tell(
        "blockdev-mirror",
        json!({
            "job-id": mirror_job(index),
            "device": disk_node(index),
            "target": remote_node(index),
            "sync": "full",
            // A write is done once both have it, so that the end of the copy waits for nothing.
            "copy-mode": "write-blocking",
            "auto-dismiss": false,
        }),
    );
}

fn has_gone(plan: &mut Plan, look: &Look, address: &str) {
    plan.finish.extend([
        Step::SaveSent {
            address: address.to_owned(),
        },
        Step::End { patience_millis: 0 },
    ]);
    put_away(&mut plan.finish, &look.machine);
}

/// Instants lie within the disks' files and are not mirrored with what the guest sees.
fn stays_behind(qemu: &Qemu, look: &Look) -> Result<(), DriverError> {
    let all_qcow2 = look
        .machine
        .disks
        .iter()
        .all(|disk| disk.read_only || disk.format == agent::machine::DiskFormat::Qcow2);
    if !all_qcow2 {
        return Ok(());
    }
    let names = snapshot::names(qemu, look)?;
    if names.is_empty() {
        return Ok(());
    }
    Err(unsupported(&format!(
        "move {} with its snapshots ({}); drop them first",
        look.seen.vm,
        names.join(", ")
    )))
}

fn own_disks(machine: &Machine) -> Vec<usize> {
    let disks = machine.disks.iter().enumerate();
    disks
        .filter(|(_, disk)| !disk.read_only)
        .map(|(index, _)| index)
        .collect()
}

fn capabilities(storage: Storage) -> Value {
    let capability = |name: &str, state: bool| json!({ "capability": name, "state": state });
    json!({ "capabilities": [
        capability("events", true),
        // The receiver says that it has everything, before the sender calls it done.
        capability("return-path", true),
        capability("auto-converge", true),
        capability("pause-before-switchover", storage == Storage::Local),
    ] })
}

/// What [`listening`] told.
struct Address {
    host: String,
    port: String,
    nbd: String,
}

impl Address {
    fn parse(text: &str, storage: Storage) -> Result<Self, DriverError> {
        let parsed = || {
            let (main, nbd) = match text.split_once(",nbd=") {
                Some((main, nbd)) => (main, Some(nbd)),
                None => (text, None),
            };
            let (host, port) = main.rsplit_once(':')?;
            let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
            let fits = (storage == Storage::Local) == nbd.is_some();
            (fits && is_port(port) && nbd.is_none_or(is_port)).then(|| Self {
                host: host.to_owned(),
                port: port.to_owned(),
                nbd: nbd.unwrap_or_default().to_owned(),
            })
        };
        let expected = match storage {
            Storage::Shared => "host:port",
            Storage::Local => "host:port,nbd=port",
        };
        parsed().ok_or_else(|| invalid("address", text, expected))
    }
}
