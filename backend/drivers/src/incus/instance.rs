//! Machines as instances of Incus: what can be honoured, and in which words.

use super::shaping;
use crate::field::{expect, invalid};
use agent::driver::{DriverError, Seen};
use agent::machine::{AttachedInterface, Boot, Machine, Plug};
use agent::naming::tap_name;
use model::hypervisor::{Guest, Virtualisation};
use model::id::VmId;
use model::report::VmState;
use serde_json::{Map, Value, json};

/// The key by which an instance is known to be ours, and of which VM.
pub const VM: &str = "user.gridwright.vm";

/// The key that holds the machine as it was ordered.
const MACHINE: &str = "user.gridwright.machine";

/// The key of an instance that is being rebooted: one that stands still was stopped to be started.
pub const REBOOTS: &str = "user.gridwright.reboots";

/// The name of a VM's instance.
pub fn name(vm: VmId) -> String {
    format!("vm-{}", vm.0)
}

/// An instance as Incus tells of it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Whose it is.
    pub machine: Machine,
    /// What it does.
    pub state: VmState,
    /// Whether somebody has begun to reboot it.
    pub reboots: bool,
}

impl Instance {
    /// Reads what Incus tells; `None`: it is somebody else's.
    pub fn parse(told: &Value) -> Option<Self> {
        let config = &told["config"];
        let vm: u64 = config[VM].as_str()?.parse().ok()?;
        let machine: Machine = serde_json::from_str(config[MACHINE].as_str()?).ok()?;
        let named = told["name"].as_str() == Some(&name(machine.vm));
        if machine.vm != VmId(vm) || !named {
            return None; // copied by somebody from one of ours
        }
        // The words of Incus's `api.StatusCode`.
        let state = match told["status"].as_str()? {
            "Running" | "Ready" | "Thawed" => VmState::Running,
            "Frozen" | "Freezing" => VmState::Paused,
            "Starting" => VmState::Starting,
            "Stopping" | "Aborting" => VmState::Stopping,
            "Stopped" => VmState::Stopped,
            _ => VmState::Failed,
        };
        Some(Self {
            machine,
            state,
            reboots: config[REBOOTS] == "true",
        })
    }

    /// For the agent.
    pub fn seen(&self) -> Seen {
        Seen {
            vm: self.machine.vm,
            state: self.state,
            cpus: Some(self.machine.cpus),
            mem_mib: Some(self.machine.mem_mib),
        }
    }
}

/// What an instance is made with, or changed to.
pub fn settings(machine: &Machine, pool: &str) -> Result<Value, DriverError> {
    let text = serde_json::to_string(machine).map_err(|error| DriverError::Hypervisor {
        doing: format!("write down {}", machine.vm),
        said: error.to_string(),
    })?;
    let mut devices = Map::new();
    let root = json!({"type": "disk", "path": "/", "pool": pool});
    devices.insert("root".into(), root);
    for (index, interface) in machine.interfaces.iter().enumerate() {
        devices.insert(interface.name.clone(), nic(machine.vm, index, interface));
    }
    Ok(json!({
        "config": {
            // Whether a VM runs is for the grid to say, never for the server as it comes up.
            "boot.autostart": "false",
            "limits.cpu": machine.cpus.to_string(),
            "limits.memory": format!("{}MiB", machine.mem_mib),
            "raw.lxc": format!("lxc.uts.name={}", machine.name),
            VM: machine.vm.0.to_string(),
            MACHINE: text,
        },
        "devices": devices,
    }))
}

fn nic(vm: VmId, index: usize, interface: &AttachedInterface) -> Value {
    let Plug::Bridge { name: parent } = &interface.plug else {
        unreachable!("validate lets in bridges only");
    };
    let limit = interface
        .mbps
        .map_or(String::new(), |mbps| format!("{mbps}Mbit"));
    json!({
        "type": "nic",
        "nictype": "bridged",
        "parent": parent,
        "name": guest_name(index),
        // The node's rules know the interface by this name, and wait for it.
        "host_name": tap_name(vm, index),
        "hwaddr": interface.mac.map(|octet| format!("{octet:02x}")).join(":"),
        "limits.ingress": limit,
    })
}

/// What an interface is called inside the container.
pub fn guest_name(index: usize) -> String {
    format!("eth{index}")
}

/// Refuses what could not be honoured.
pub fn validate(machine: &Machine) -> Result<(), DriverError> {
    let native = std::env::consts::ARCH;
    expect(
        machine.arch.to_string() == native,
        "arch",
        machine.arch,
        native,
    )?;
    expect(
        machine.guest == Guest::Linux,
        "guest",
        machine.guest,
        "linux",
    )?;
    let container = machine.virtualisation == Virtualisation::Container;
    expect(
        container,
        "virtualisation",
        machine.virtualisation,
        "container",
    )?;
    let cpus = machine.cpus >= 1 && machine.cpus <= machine.max_cpus;
    expect(
        cpus,
        "cpus",
        machine.cpus,
        &format!("1 to max_cpus, {}", machine.max_cpus),
    )?;
    let most = machine.max_mem_mib;
    let mem = machine.mem_mib >= 1 && machine.mem_mib <= most;
    expect(
        mem,
        "mem_mib",
        machine.mem_mib,
        &format!("1 to max_mem_mib, {most}"),
    )?;
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let plain = !machine.name.is_empty() && machine.name.chars().all(letters);
    expect(
        plain,
        "name",
        &machine.name,
        "a host name of letters, digits, hyphens and dots",
    )?;
    let folder = matches!(machine.boot, Boot::Folder { .. });
    expect(folder, "boot", "not a folder", "a folder that is the root")?;
    expect(
        machine.disks.is_empty(),
        "disks",
        machine.disks.len(),
        "none beside the root folder",
    )?;
    for (index, interface) in machine.interfaces.iter().enumerate() {
        let field = format!("interfaces[{index}].plug");
        let bridge = matches!(interface.plug, Plug::Bridge { .. });
        expect(bridge, &field, "no bridge", "a bridge")?;
        let field = format!("interfaces[{index}].name");
        expect(
            interface.name != "root",
            &field,
            "root",
            "another name than the root's",
        )?;
        if let (Some(mbps), Some(lacking)) = (interface.mbps, shaping::lacking()) {
            let field = format!("interfaces[{index}].mbps");
            return Err(invalid(
                &field,
                &mbps.to_string(),
                &format!("no limit: {lacking}"),
            ));
        }
    }
    Ok(())
}
