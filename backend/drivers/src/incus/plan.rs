//! Which requests an act comes to, from what Incus has now.

use super::instance::{self, REBOOTS, name};
use super::step::{self, FINGERPRINT, IMAGE_OF, Step};
use super::{Incus, PROJECT, shaping};
use crate::admission::{Admitted, admit};
use crate::copying;
use agent::driver::{Act, Driver, DriverError};
use agent::machine::{Boot, Machine};
use agent::watch::Unwatched;
use hyper::Method;
use model::id::VmId;
use model::order::{Scale, Shutdown};
use model::report::VmState;
use serde_json::{Value, json};
use std::path::Path;

/// The snapshot from which a running container is saved as an image.
const TO_SAVE: &str = "gridwright-save";

/// A container that is rebooted gets this long for its own shutdown; then it is killed.
const REBOOT_PATIENCE_MILLIS: u32 = 30_000;

impl Incus {
    /// The steps of an act, if it may be: a reboot that was cut short goes on where it was.
    pub fn steps(&self, vm: VmId, act: &Act) -> Result<Vec<Step>, DriverError> {
        let cut_short = self.instance(vm)?.filter(|instance| instance.reboots);
        let stopped = cut_short.as_ref().map(|instance| instance.state) == Some(VmState::Stopped);
        if stopped && *act == Act::Reboot {
            return Ok(self.ending_reboot(vm).to_vec());
        }
        if let Act::Scale { scale } = act
            && let Some(what) = beyond(scale)
        {
            return Err(DriverError::Unsupported {
                driver: self.name().to_owned(),
                what,
            });
        }
        let planned = self.plan(vm, act, admit(self, vm, act)?)?;
        // Any other act takes the VM as it stands.
        let other = cut_short.filter(|_| *act != Act::Reboot);
        let forget = other.map(|_| self.note_reboot(vm, false));
        Ok(forget.into_iter().chain(planned).collect())
    }

    /// The steps of an act that was let through.
    fn plan(&self, vm: VmId, act: &Act, admitted: Admitted) -> Result<Vec<Step>, DriverError> {
        use VmState::{Paused, Running, Stopped};
        let state = admitted.state();
        match act {
            Act::Define { machine } => self.defining(machine, state),
            Act::Start if state == Some(Running) => Ok(Vec::new()),
            Act::Start => Ok(vec![self.turn(vm, "start", &["already running"])]),
            Act::Stop { .. } if state == Some(Stopped) => Ok(Vec::new()),
            Act::Stop { shutdown } => Ok(self.stopping(vm, state, *shutdown)),
            Act::Destroy => {
                let mut steps = Vec::new();
                if !matches!(state, None | Some(Stopped)) {
                    steps.extend(self.stopping(vm, state, Shutdown::Forced));
                }
                if state.is_some() {
                    steps.push(self.delete(&format!("instances/{}", name(vm))));
                }
                steps.extend(self.images_to_delete(&name(vm))?);
                let folder = self.logs(vm);
                // Incus keeps them, and what the guest has said is in them.
                steps.extend(folder.exists().then_some(Step::Sweep { folder }));
                Ok(steps)
            }
            Act::Reboot => {
                let patience_millis = REBOOT_PATIENCE_MILLIS;
                let mut steps = vec![self.note_reboot(vm, true)];
                steps.extend(self.stopping(vm, state, Shutdown::Asked { patience_millis }));
                steps.extend(self.ending_reboot(vm));
                Ok(steps)
            }
            Act::Pause if state == Some(Paused) => Ok(Vec::new()),
            Act::Pause => Ok(vec![self.turn(vm, "freeze", &["already frozen"])]),
            Act::Resume if state == Some(Running) => Ok(Vec::new()),
            Act::Resume => Ok(vec![self.turn(vm, "unfreeze", &["already running"])]),
            Act::Snapshot { name } if self.snapshots(vm)?.contains(name) => Ok(Vec::new()),
            Act::Snapshot { name } => {
                check_snapshot_name(name)?;
                Ok(vec![self.snapshot(vm, name)])
            }
            Act::Restore { name } => self.restoring(vm, name, state),
            Act::DropSnapshot { name } if !self.snapshots(vm)?.contains(name) => Ok(Vec::new()),
            Act::DropSnapshot { name } => Ok(vec![self.drop_snapshot(vm, name)]),
            Act::Copy { to } => self.copying(vm, to),
            Act::SaveImage { disks } => self.saving(vm, copying::root(disks)?, state),
            Act::Scale { scale } => self.scaling(vm, scale),
            Act::Configure { .. } | Act::Rekey { .. } | Act::Receive { .. } | Act::Send { .. } => {
                unreachable!("admission refuses what is not declared")
            }
        }
    }

    /// Makes the project and the instance, or changes the instance that is there.
    fn defining(
        &self,
        machine: &Machine,
        state: Option<VmState>,
    ) -> Result<Vec<Step>, DriverError> {
        let mut steps = self.images_to_delete(&name(machine.vm))?;
        let mut settings = instance::settings(machine, &self.server.pool)?;
        if state.is_some() {
            steps.push(self.change(machine.vm, settings));
            return Ok(steps);
        }
        let Boot::Folder { root } = &machine.boot else {
            unreachable!("validate lets in folders only");
        };
        step::check_root(root)?;
        self.check_free(machine.vm)?;
        if self
            .api
            .read(&format!("projects/{PROJECT}"), &Unwatched)?
            .is_none()
        {
            steps.push(self.project_step());
        }
        steps.push(Step::Upload {
            root: root.clone(),
            arch: machine.arch,
            image_of: name(machine.vm),
        });
        settings["name"] = name(machine.vm).into();
        settings["profiles"] = json!([]);
        settings["source"] = json!({"type": "image", "fingerprint": FINGERPRINT});
        let path = self.api.path("instances");
        steps.push(Step::ask(Method::POST, path, Some(settings)));
        steps.push(self.delete(&format!("images/{FINGERPRINT}")));
        Ok(steps)
    }

    /// Makes our project, there or not.
    pub fn project_step(&self) -> Step {
        // Two who find it missing at once both ask; the second hears it from Incus or from its database.
        let path = "/1.0/projects".to_owned();
        let project = json!({"name": PROJECT, "description": "VMs of Gridwright"});
        Step::try_to(Method::POST, path, project, &["already exists", "UNIQUE"])
    }

    fn ending_reboot(&self, vm: VmId) -> [Step; 2] {
        let start = self.turn(vm, "start", &["already running"]);
        [start, self.note_reboot(vm, false)]
    }

    /// Notes in the instance that it is to run again, or no longer.
    fn note_reboot(&self, vm: VmId, begun: bool) -> Step {
        let settings = json!({ "config": { REBOOTS: begun.to_string() } });
        self.change(vm, settings)
    }

    /// Stops what runs; what does not heed is killed.
    fn stopping(&self, vm: VmId, state: Option<VmState>, shutdown: Shutdown) -> Vec<Step> {
        let path = self.api.path(&format!("instances/{}/state", name(vm)));
        let mut steps = Vec::new();
        if let Shutdown::Asked { patience_millis } = shutdown {
            if state == Some(VmState::Paused) {
                steps.push(self.turn(vm, "unfreeze", &["already running"]));
            }
            let seconds = patience_millis.div_ceil(1000);
            let ask = json!({"action": "stop", "timeout": seconds});
            steps.push(Step::try_to(Method::PUT, path.clone(), ask, &[""]));
        }
        let kill = json!({"action": "stop", "force": true, "timeout": -1});
        steps.push(Step::try_to(Method::PUT, path, kill, &["already stopped"]));
        steps
    }

    /// Going back changes the settings too; those of now are put in again. What ran is restarted.
    fn restoring(
        &self,
        vm: VmId,
        snapshot: &str,
        state: Option<VmState>,
    ) -> Result<Vec<Step>, DriverError> {
        let there = self.snapshots(vm)?;
        if !there.iter().any(|name| name == snapshot) {
            return Err(DriverError::Invalid {
                field: "name".into(),
                found: snapshot.to_owned(),
                expected: format!("a snapshot of {vm}: {}", there.join(", ")),
            });
        }
        let path = self.api.path(&format!("instances/{}", name(vm)));
        let restore = json!({"restore": snapshot});
        let settings = instance::settings(&self.machine(vm)?, &self.server.pool)?;
        let mut steps = vec![
            Step::ask(Method::PUT, path, Some(restore)),
            self.change(vm, settings),
        ];
        if state == Some(VmState::Paused) {
            steps.push(self.turn(vm, "freeze", &["already frozen"]));
        }
        Ok(steps)
    }

    fn copying(&self, vm: VmId, to: &Machine) -> Result<Vec<Step>, DriverError> {
        let there = self.instance(to.vm)?.map(|there| there.machine);
        if copying::is_there(there.as_ref(), to)? {
            return Ok(Vec::new());
        }
        self.check_free(to.vm)?;
        let mut copy = instance::settings(to, &self.server.pool)?;
        copy["name"] = name(to.vm).into();
        copy["profiles"] = json!([]);
        copy["source"] = json!({
            "type": "copy",
            "source": name(vm),
            "instance_only": true,
            "allow_inconsistent": true,
        });
        let path = self.api.path("instances");
        Ok(vec![Step::ask(Method::POST, path, Some(copy))])
    }

    /// Makes an image, takes it out and drops it; of what runs, by way of a snapshot.
    fn saving(
        &self,
        vm: VmId,
        file: &Path,
        state: Option<VmState>,
    ) -> Result<Vec<Step>, DriverError> {
        let mut steps = self.images_to_delete(&name(vm))?;
        if self.snapshots(vm)?.iter().any(|name| name == TO_SAVE) {
            steps.push(self.drop_snapshot(vm, TO_SAVE));
        }
        let stopped = state == Some(VmState::Stopped);
        let source = if stopped {
            json!({"type": "instance", "name": name(vm)})
        } else {
            steps.push(self.snapshot(vm, TO_SAVE));
            json!({"type": "snapshot", "name": format!("{}/{TO_SAVE}", name(vm))})
        };
        let publish = json!({
            "source": source,
            "compression_algorithm": "none",
            "properties": {IMAGE_OF: name(vm)},
        });
        steps.extend([
            Step::ask(Method::POST, self.api.path("images"), Some(publish)),
            Step::Download {
                file: file.to_owned(),
            },
            self.delete(&format!("images/{FINGERPRINT}")),
        ]);
        if !stopped {
            steps.push(self.drop_snapshot(vm, TO_SAVE));
        }
        Ok(steps)
    }

    fn scaling(&self, vm: VmId, scale: &Scale) -> Result<Vec<Step>, DriverError> {
        let mut machine = self.machine(vm)?;
        match scale {
            Scale::Cpu { cpus } => machine.cpus = *cpus,
            Scale::Mem { mem_mib } => machine.mem_mib = *mem_mib,
            Scale::Net { interface, mbps } => {
                let mut interfaces = machine.interfaces.iter_mut();
                let found = interfaces.find(|found| found.name == *interface);
                let found = found.ok_or_else(|| DriverError::Invalid {
                    field: "interface".into(),
                    found: interface.clone(),
                    expected: format!("an interface of {vm}"),
                })?;
                found.mbps = *mbps;
            }
            Scale::Disk { .. } | Scale::DiskIo { .. } => {
                unreachable!("refused as beyond Incus")
            }
        }
        instance::validate(&machine)?;
        let settings = instance::settings(&machine, &self.server.pool)?;
        Ok(vec![self.change(vm, settings)])
    }

    /// One of Incus's own changes of state, which it refuses with these words where it holds already.
    fn turn(&self, vm: VmId, action: &str, already: &'static [&'static str]) -> Step {
        let path = self.api.path(&format!("instances/{}/state", name(vm)));
        let body = json!({"action": action, "timeout": -1});
        Step::try_to(Method::PUT, path, body, already)
    }

    fn change(&self, vm: VmId, settings: Value) -> Step {
        let path = self.api.path(&format!("instances/{}", name(vm)));
        Step::ask(Method::PATCH, path, Some(settings))
    }

    fn delete(&self, below: &str) -> Step {
        Step::ask(Method::DELETE, self.api.path(below), None)
    }

    fn snapshot(&self, vm: VmId, snapshot: &str) -> Step {
        let path = self.api.path(&format!("instances/{}/snapshots", name(vm)));
        let body = json!({"name": snapshot, "stateful": false});
        Step::ask(Method::POST, path, Some(body))
    }

    fn drop_snapshot(&self, vm: VmId, snapshot: &str) -> Step {
        self.delete(&format!("instances/{}/snapshots/{snapshot}", name(vm)))
    }

    fn snapshots(&self, vm: VmId) -> Result<Vec<String>, DriverError> {
        let below = format!("instances/{}/snapshots?recursion=1", name(vm));
        let told = self.api.read(&below, &Unwatched)?.unwrap_or_default();
        let names = told.as_array().into_iter().flatten();
        Ok(names
            .filter_map(|told| told["name"].as_str())
            .filter_map(|name| name.rsplit('/').next())
            .map(str::to_owned)
            .collect())
    }

    /// Images that an act which was cut short has left for an instance.
    pub fn images_to_delete(&self, of: &str) -> Result<Vec<Step>, DriverError> {
        let told = self.api.read("images?recursion=1", &Unwatched)?;
        let told = told.unwrap_or_default();
        let ours = |image: &&Value| image["properties"][IMAGE_OF].as_str() == Some(of);
        let images = told.as_array().into_iter().flatten().filter(ours);
        Ok(images
            .filter_map(|image| image["fingerprint"].as_str())
            .map(|fingerprint| self.delete(&format!("images/{fingerprint}")))
            .collect())
    }

    /// Refuses where somebody else has an instance of our name.
    fn check_free(&self, vm: VmId) -> Result<(), DriverError> {
        let name = name(vm);
        match self.api.read(&format!("instances/{name}"), &Unwatched)? {
            None => Ok(()),
            Some(_) => Err(DriverError::Hypervisor {
                doing: format!("make the instance {name}"),
                said: format!(
                    "project {PROJECT} has one of that name which is not ours; \
                     hint: rename or delete it"
                ),
            }),
        }
    }
}

/// What cannot be changed here of a container, and why; `None`: it can.
fn beyond(scale: &Scale) -> Option<String> {
    match scale {
        Scale::Cpu { .. } | Scale::Mem { .. } => None,
        Scale::Net { .. } => {
            shaping::lacking().map(|lacking| format!("limit what a container receives: {lacking}"))
        }
        Scale::Disk { .. } => Some("limit the space of a container's root".to_owned()),
        Scale::DiskIo { .. } => Some(
            "limit how fast a container reads and writes: \
             Incus does not lift such a limit while it runs"
                .to_owned(),
        ),
    }
}

/// Names that Incus takes, and that cannot lead elsewhere in a path.
fn check_snapshot_name(name: &str) -> Result<(), DriverError> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters);
    if plain && name != TO_SAVE {
        return Ok(());
    }
    Err(DriverError::Invalid {
        field: "name".into(),
        found: name.to_owned(),
        expected: format!("letters, digits, hyphens, dots and underscores, and not {TO_SAVE}"),
    })
}
