//! What a move takes beyond QEMU's own commands.

use super::{Answers, LOOK_AGAIN, Runner};
use crate::handover::book::{self, Coming};
use crate::handover::door::Door;
use crate::handover::word::{Line, Said, Words};
use crate::killpoint;
use crate::qemu::arrival::Arrivals;
use crate::qemu::migration::{Address, BANDWIDTH_BYTES, mirror_job, own_disks, remote_node};
use crate::qemu::record::{self, Move};
use crate::qemu::secure::{self, End};
use crate::qemu::until::Until;
use agent::driver::DriverError;
use agent::machine::Machine;
use model::id::KeyId;
use model::order::Storage;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A move that is called off has ended within this, its connections being cut first.
const ABANDON_PATIENCE: Duration = Duration::from_secs(20);

/// The last of a near-idle guest's memory has gone within this.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// An agent that has died is followed by another within this; the guest runs meanwhile.
const CALL_PATIENCE: Duration = Duration::from_secs(20);

impl Runner<'_> {
    /// QEMU listens on a port that the node chose; the answer is the port.
    pub(super) fn listen(
        &mut self,
        name: &'static str,
        host: &str,
        answers: &mut Answers,
    ) -> Result<(), DriverError> {
        let bound = TcpListener::bind((host, 0))
            .and_then(|socket| socket.local_addr().map(|address| (socket, address.port())));
        let (socket, port) = bound.map_err(|error| DriverError::Hypervisor {
            doing: format!("listen on {host}"),
            said: error.to_string(),
        })?;
        let watch = self.watch;
        let arguments = json!({ "fdname": name });
        let qmp = self.connection()?;
        qmp.give_file("getfd", &arguments, &socket, watch)?;
        answers.insert("getfd", port.into());
        Ok(())
    }

    pub(super) fn expect(&mut self, storage: Storage, key: KeyId) -> Result<(), DriverError> {
        let words = self.words(key)?;
        // QEMU itself sees to its disks' files.
        let coming = Coming {
            vm: self.vm,
            storage,
            files: Vec::new(),
        };
        let digest = book::expect(self.folder, coming, &words)?;
        self.note(&Move::Receiving { digest })
    }

    fn words(&self, key: KeyId) -> Result<Words, DriverError> {
        let bytes = self.keys.bytes(key);
        Ok(Words::of(bytes.ok_or(DriverError::KeyMissing { key })?))
    }

    /// One door serves all VMs; the answer is its port.
    pub(super) fn open_door(
        &mut self,
        host: &str,
        answers: &mut Answers,
    ) -> Result<(), DriverError> {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if door.as_ref().is_none_or(|door| !door.is_on(host)) {
            // The former one is closed before, as it may have the port.
            *door = None;
            *door = Some(Door::open(
                self.folder,
                host,
                Arc::new(Arrivals(self.folder.clone())),
            )?);
        }
        let port = door.as_ref().map(|door| door.address().port());
        answers.insert("door", port.into());
        Ok(())
    }

    pub(super) fn secure(&mut self, key: KeyId, end: End) -> Result<(), DriverError> {
        let keys = self.keys;
        let bytes = keys.bytes(key).ok_or(DriverError::KeyMissing { key })?;
        let (folder, vm, watch) = (self.folder, self.vm, self.watch);
        secure::give(folder, vm, self.connection()?, (key, bytes), end, watch)
    }

    pub(super) fn call(&mut self, door: &str) -> Result<(), DriverError> {
        self.line = Some(Line::reach(door, CALL_PATIENCE, self.watch)?);
        Ok(())
    }

    /// A guest that writes faster than the last of its memory is sent is halted as soon as QEMU can.
    pub(super) fn halt(&mut self) -> Result<(), DriverError> {
        let halted = Until::MigrationPaused;
        if self.until_within(&halted, Some(LAST_PATIENCE))?.is_none() {
            let faster = json!({
                "max-bandwidth": BANDWIDTH_BYTES,
                "avail-switchover-bandwidth": 0,
            });
            self.tell("migrate-set-parameters", Some(&faster))?;
            self.until(&halted)?;
        }
        Ok(())
    }

    /// QEMU is asked whether it is finished, a moment later than its receiver has told so, as
    /// everything rests on that.
    pub(super) fn give(&mut self, address: &str, key: KeyId) -> Result<(), DriverError> {
        self.until(&Until::Finished)?;
        let given = Move::Given {
            address: address.to_owned(),
            saying: self.words(key)?.saying(),
            still_since_micros: self.connection()?.still_since_micros(),
        };
        self.note(&given)
    }

    /// Writes down where the VM is on its move.
    pub(super) fn note(&self, place: &Move) -> Result<(), DriverError> {
        killpoint::around(
            || format!("noting {} as {}", self.vm, <&str>::from(place)),
            || self.folder.save(self.vm, record::MOVE, place),
        )
    }

    /// The receiver is told, unless it has answered before.
    pub(super) fn say(&mut self) -> Result<(), DriverError> {
        let vm = self.vm;
        let Some(Move::Given {
            address,
            saying,
            still_since_micros,
        }) = self.folder.load(vm, record::MOVE)?
        else {
            return Ok(());
        };
        let open = self.line.take();
        let at_once = open.and_then(|line| line.say(&saying, self.watch).ok());
        // A way that was open for hours may be dead, and another one not.
        let answer = match at_once {
            Some(answer) => answer,
            None => Line::open(&Address::parse(&address)?.door)?.say(&saying, self.watch)?,
        };
        let running_micros = match answer {
            Said::Taken { running_micros } => running_micros,
            Said::Dropped => return self.take_back(&address),
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_micros = now.ok().and_then(|now| u64::try_from(now.as_micros()).ok());
        let still =
            |since, running| Some(now_micros?.saturating_sub(since).saturating_sub(running));
        let downtime = still_since_micros
            .zip(running_micros)
            .and_then(|(since, running)| still(since, running));
        let sent = Move::Sent {
            address,
            downtime_millis: downtime.map(|micros: u64| micros.div_ceil(1_000)),
        };
        self.note(&sent)
    }

    /// A VM that its receiver has dropped is this node's again.
    fn take_back(&mut self, address: &str) -> Result<(), DriverError> {
        self.note(&Move::Sending {
            address: address.to_owned(),
        })?;
        let machine: Option<Machine> = self.folder.load(self.vm, record::MACHINE)?;
        self.abandon(&machine.as_ref().map(own_disks).unwrap_or_default())?;
        Err(DriverError::Hypervisor {
            doing: format!("hand the VM over to {address}"),
            said: "it has dropped the VM, which goes on here".to_owned(),
        })
    }

    /// Nothing that is not there need be undone; what cannot be within its time is left as it is,
    /// for the next who acts on the VM.
    pub(super) fn abandon(&mut self, disks: &[usize]) -> Result<(), DriverError> {
        let place = self.folder.load::<Move>(self.vm, record::MOVE)?;
        if matches!(place, Some(Move::Given { .. } | Move::Sent { .. })) {
            return Ok(());
        }
        if record::running(self.folder, self.vm)?.is_none() {
            return self.folder.forget(self.vm, record::MOVE);
        }
        let begun = Instant::now();
        // A link that swallows everything would hold up all that follows.
        self.cut(&json!({ "type": "migration" }));
        for &index in disks {
            self.cut(&json!({ "type": "block-node", "node-name": remote_node(index) }));
        }
        let _ = self.tell("migrate_cancel", None);
        self.wait_until(begun, "end the copy of its memory", |runner| {
            let answer = runner.tell("query-migrate", None)?;
            let status = answer["status"].as_str().unwrap_or("none");
            Ok(matches!(
                status,
                "none" | "failed" | "cancelled" | "completed"
            ))
        })?;
        for &index in disks {
            self.abandon_mirror(index, begun)?;
        }
        let status = self.tell("query-status", None)?;
        if status["status"] != "running" {
            self.tell("cont", None)?;
        }
        let (folder, vm) = (self.folder, self.vm);
        secure::remove(folder, vm, self.connection()?);
        self.folder.forget(vm, record::MOVE)
    }

    fn abandon_mirror(&mut self, index: usize, begun: Instant) -> Result<(), DriverError> {
        let job = mirror_job(index);
        let cancel = json!({ "device": job, "force": true });
        let _ = self.tell("block-job-cancel", Some(&cancel));
        self.wait_until(begun, "end the copy of its disks", |runner| {
            let jobs = runner.tell("query-jobs", None)?;
            let jobs = jobs.as_array().map(Vec::as_slice).unwrap_or_default();
            let found = jobs.iter().find(|found| found["id"] == job.as_str());
            Ok(found.is_none_or(|found| found["status"] == "concluded"))
        })?;
        let _ = self.tell("job-dismiss", Some(&json!({ "id": job })));
        let node = json!({ "node-name": remote_node(index) });
        let _ = self.tell("blockdev-del", Some(&node));
        Ok(())
    }

    /// Cuts a connection of QEMU's, there or not.
    fn cut(&mut self, instance: &Value) {
        let _ = self.tell("yank", Some(&json!({ "instances": [instance] })));
    }

    fn wait_until(
        &mut self,
        begun: Instant,
        doing: &str,
        mut holds: impl FnMut(&mut Self) -> Result<bool, DriverError>,
    ) -> Result<(), DriverError> {
        while !holds(self)? {
            if begun.elapsed() > ABANDON_PATIENCE {
                return Err(DriverError::Hypervisor {
                    doing: doing.to_owned(),
                    said: format!("not within {} s", ABANDON_PATIENCE.as_secs()),
                });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}
