//! A running VM moves to another node, with shared disks or with its own.
//!
//! ```text
//!  receiving node                               sending node
//!  qemu -S -incoming, its disks as NBD ◀──┐
//!  listens: migration, NBD, the word      ├── mirror each disk; every write goes to both
//!                                         ├── memory, until little is left
//!                                         ├── the VM stands still; mirrors end; the last pages
//!  whole, frozen ─────────────────────────┤   finished: `given` is written
//!  runs; closes its NBD server ◀── word ──┘
//!                             ─── answer ───▶ `sent` is written, and QEMU ends
//! ```
//!
//! Who may run it when, whatever dies, is in [`agent::handover`]. Migration and NBD are encrypted by
//! TLS with the key of the move, without which neither end talks to the other; the word needs no
//! secrecy ([`crate::handover::word`]).

use super::Qemu;
use super::check::invalid;
use super::command_line::{Origin, disk_node};
use super::disks::unsupported;
use super::look::Look;
use super::power::{clear, limits, put_away, spawn};
use super::record::{self, Move};
use super::runner::Answers;
use super::secure::{CREDENTIALS, End};
use super::snapshot;
use super::step::{Plan, Step};
use super::until::Until;
use crate::folder::Folder;
use crate::handover::word::stays;
use agent::driver::DriverError;
use agent::handover::Duty;
use agent::machine::Machine;
use model::id::{KeyId, VmId};
use model::order::Storage;
use serde_json::{Value, json};

/// The VM stands still once QEMU expects to send the rest within this; with the calls around it
/// the whole stays below 50 ms.
const STILL_MILLIS: u32 = 10;

/// More than any network here carries; QEMU's own limit would be 1 Gbit a second.
pub(super) const BANDWIDTH_BYTES: u64 = 10 << 30;

/// The last of a VM's memory is sent at this rate a second, so that its receiver has no backlog to
/// work off while the guest stands still: socket buffers hold some MiB, which take tens of ms.
const LAST_BYTES: u64 = 16 << 20;

/// What is left goes within [`STILL_MILLIS`] at this rate a second, which 1 Gbit Ethernet has, and TLS
/// on an emulated guest's receiver.
const STILL_BYTES: u64 = 100 << 20;

/// The name of the listening socket inside QEMU.
const NBD_SOCKET: &str = "nbd";

/// A VM that is to come.
pub(super) struct Coming<'a> {
    /// As it is to be here.
    pub(super) machine: &'a Machine,
    /// Where its disks are.
    pub(super) storage: Storage,
    /// The node's address on which to listen.
    pub(super) host: &'a str,
    /// The key of the move.
    pub(super) key: KeyId,
}

/// Defines a VM and listens for it.
pub(super) fn receive(
    qemu: &Qemu,
    look: Option<&Look>,
    coming: &Coming,
) -> Result<Plan, DriverError> {
    let Coming {
        machine,
        storage,
        host,
        key,
    } = *coming;
    super::check::files(machine)?;
    let mut plan = Plan::default();
    clear(&mut plan, look);
    // As soon as its machine is there it is one that is to come, and not one that is stopped.
    plan.steps.extend([
        Step::Expect { storage, key },
        Step::SaveMachine(Box::new(machine.clone())),
    ]);
    spawn(qemu, &mut plan, machine, Origin::Arrives);
    plan.undo.push(Step::ForgetAll);
    let end = End::Receiver;
    plan.steps.push(Step::Secure { key, end });
    plan.tell("migrate-set-capabilities", capabilities());
    plan.tell(
        "migrate-set-parameters",
        json!({ "tls-creds": CREDENTIALS }),
    );
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
                "tls-creds": CREDENTIALS,
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
    plan.steps.push(Step::OpenDoor {
        host: host.to_owned(),
    });
    Ok(plan)
}

/// Where a VM that is received is listened for.
pub(super) fn listening(host: &str, answers: &Answers) -> Option<String> {
    let port = answers.get("query-migrate")?["socket-address"][0]["port"].as_str()?;
    let door = answers.get("door")?;
    let address = format!("{host}:{port},word={door}");
    Some(match answers.get("getfd").and_then(Value::as_u64) {
        Some(nbd) => format!("{address},nbd={nbd}"),
        None => address,
    })
}

/// Moves a VM to where another driver listens.
pub(super) fn send(
    qemu: &Qemu,
    look: &Look,
    to: &str,
    storage: Storage,
    key: KeyId,
) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    let disks = match storage {
        Storage::Shared => Vec::new(),
        Storage::Local => own_disks(&look.machine),
    };
    let abandon = Step::Abandon {
        disks: disks.clone(),
    };
    match (look.duty(), &look.place) {
        (Some(Duty::Say), _) => return Ok(has_gone(plan, look)),
        (_, Some(Move::Sent { .. })) if look.process.is_none() => return Ok(plan),
        (_, Some(Move::Sent { .. })) => return Ok(has_gone(plan, look)),
        (Some(Duty::Decide), Some(Move::Sending { address })) => {
            plan.undo.push(abandon);
            plan.steps.push(Step::Give {
                address: address.clone(),
                key,
            });
            return Ok(has_gone(plan, look));
        }
        (Some(Duty::Keep), _) => plan.steps.push(abandon.clone()),
        _ => {}
    }
    let address = Address::parse(to)?;
    if storage == Storage::Local {
        stays_behind(qemu, look)?;
    }
    plan.undo.push(abandon);
    // Before anything is begun that a successor would have to end.
    plan.steps.push(Step::SaveMove(Move::Sending {
        address: to.to_owned(),
    }));
    let end = End::Sender;
    plan.steps.push(Step::Secure { key, end });
    plan.tell("migrate-set-capabilities", capabilities());
    plan.tell(
        "migrate-set-parameters",
        json!({
            "max-bandwidth": BANDWIDTH_BYTES,
            "avail-switchover-bandwidth": STILL_BYTES,
            "downtime-limit": STILL_MILLIS,
            "tls-creds": CREDENTIALS,
        }),
    );
    for &index in &disks {
        mirror(&mut plan, index, &address)?;
    }
    if !disks.is_empty() {
        let ids = disks.iter().map(|&index| mirror_job(index)).collect();
        plan.until(Until::JobsReady { ids });
    }
    plan.steps.push(Step::Call { door: address.door });
    plan.tell(
        "migrate",
        json!({ "channels": [{
            "channel-type": "main",
            "addr": {
                "transport": "socket", "type": "inet", "host": address.host, "port": address.port,
            },
        }] }),
    );
    plan.until(Until::MemoryNear);
    plan.tell(
        "migrate-set-parameters",
        json!({ "max-bandwidth": LAST_BYTES }),
    );
    plan.steps.push(Step::Halt);
    for &index in &disks {
        plan.tell("block-job-cancel", json!({ "device": mirror_job(index) }));
    }
    for &index in &disks {
        // The guest stands still, so nothing is asked that the end of QEMU settles anyway.
        let id = mirror_job(index);
        plan.until(Until::MirrorEnded { id });
    }
    plan.tell("migrate-continue", json!({ "state": "pre-switchover" }));
    plan.until(Until::MigrationDone);
    plan.steps.push(Step::Give {
        address: to.to_owned(),
        key,
    });
    Ok(has_gone(plan, look))
}

/// An error in the light of what was written before it: where there is no way back, it says so, and
/// where all was undone, what to do.
pub(super) fn unfinished(folder: &Folder, vm: VmId, error: DriverError) -> DriverError {
    match (folder.load(vm, record::MOVE), error) {
        (Ok(Some(Move::Given { .. } | Move::Sent { .. })), error) => DriverError::Unfinished {
            doing: "send the VM".to_owned(),
            said: error.to_string(),
        },
        // Whoever was to receive it has lost what had come.
        (Ok(None), error) => stays(error),
        (_, error) => error,
    }
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

fn mirror(plan: &mut Plan, index: usize, to: &Address) -> Result<(), DriverError> {
    let nbd = to.nbd.as_ref().ok_or_else(|| {
        invalid(
            "address",
            "without a port of disks",
            "host:port,word=port,nbd=port",
        )
    })?;
    plan.tell(
        "blockdev-add",
        json!({
            "driver": "nbd",
            "node-name": remote_node(index),
            "export": disk_node(index),
            "server": { "type": "inet", "host": to.host, "port": nbd },
            "tls-creds": CREDENTIALS,
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
    Ok(())
}

/// From here on there is no way back.
fn has_gone(mut plan: Plan, look: &Look) -> Plan {
    plan.finish
        .extend([Step::Say, Step::End { patience_millis: 0 }]);
    put_away(&mut plan.finish, &look.machine);
    plan
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

/// Disks that the guest may write to.
pub(super) fn own_disks(machine: &Machine) -> Vec<usize> {
    let disks = machine.disks.iter().enumerate();
    disks
        .filter(|(_, disk)| !disk.read_only)
        .map(|(index, _)| index)
        .collect()
}

fn capabilities() -> Value {
    let capability = |name: &str| json!({ "capability": name, "state": true });
    json!({ "capabilities": [
        capability("events"),
        // The receiver says that it has everything, before the sender calls it done.
        capability("return-path"),
        capability("auto-converge"),
        capability("pause-before-switchover"),
        // What has arrived leaves the disks to the sender until it may run.
        capability("late-block-activate"),
    ] })
}

/// What [`listening`] told.
pub(super) struct Address {
    host: String,
    port: String,
    /// Where the word is said.
    pub(super) door: String,
    nbd: Option<String>,
}

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn parse(text: &str) -> Result<Self, DriverError> {
        let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        let parsed = || {
            let mut parts = text.split(',');
            let (host, main) = parts.next()?.rsplit_once(':')?;
            let word = parts.next()?.strip_prefix("word=")?;
            let nbd = match parts.next() {
                Some(part) => Some(part.strip_prefix("nbd=")?),
                None => None,
            };
            let good = port(main) && port(word) && nbd.is_none_or(port) && parts.next().is_none();
            good.then(|| Self {
                host: host.to_owned(),
                port: main.to_owned(),
                door: format!("{host}:{word}"),
                nbd: nbd.map(str::to_owned),
            })
        };
        parsed().ok_or_else(|| invalid("address", text, "host:port,word=port[,nbd=port]"))
    }
}
