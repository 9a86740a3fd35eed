//! The hand on volumes that are lent to VMs of other nodes ([`agent::lending`]).
//!
//! - `filling`: what was built goes on to the volumes of others

mod filling;

use crate::config::ConfigError;
use crate::hands::{Hand, failure, refused};
use agent::driver::NativeCall;
use agent::machine::AttachedDisk;
use agent::secret::Keys;
use agent::step::{Failure, Gained, Step};
use agent::watch::Watch;
use drivers::volume::{self, Servers, Task};
use model::id::VmId;
use std::path::PathBuf;

/// Volumes that are lent from here.
#[derive(Clone, Debug)]
pub struct Lending {
    servers: Servers,
    /// Where the servers' folders lie.
    root: PathBuf,
}

/// How servers are started: as this program, by another word.
///
/// # Errors
/// Where this program's path is not known or no UTF-8.
pub fn servers() -> Result<Servers, ConfigError> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| ConfigError::Impossible(error.to_string()))?;
    let program = program.into_os_string().into_string().map_err(|program| {
        let told = format!("the program is {}, expected UTF-8", program.display());
        ConfigError::Impossible(told)
    })?;
    Ok(Servers {
        program: vec![program],
    })
}

impl Lending {
    /// That of the node with this folder.
    pub fn new(root: PathBuf, servers: Servers) -> Self {
        let root = root.join("serving");
        Self { servers, root }
    }

    /// The folder of the server of a volume that is lent, or of a disk that is filled.
    fn folder(&self, vm: VmId, disk: &AttachedDisk) -> PathBuf {
        let what = if disk.extents.is_empty() {
            "vm"
        } else {
            "filled-vm"
        };
        self.root.join(format!("{what}-{}-{}", vm.0, disk.name))
    }

    /// The folder of the server of a step, and what it is to do; nothing where the step has none.
    fn task(&self, step: &Step) -> Option<(PathBuf, Task)> {
        match step {
            Step::Lend {
                vm,
                volume,
                host,
                key,
            } => {
                let task = Task::Lend {
                    volume: volume.path.clone(),
                    name: volume.name.clone(),
                    host: host.clone(),
                    key: *key,
                };
                Some((self.folder(*vm, volume), task))
            }
            Step::Fill { vm, to, .. } => {
                let extents = to.extents.clone();
                Some((self.folder(*vm, to), Task::Join { extents }))
            }
            _ => None,
        }
    }

    /// The calls of a step, for a person to read.
    pub fn told(&self, step: &Step) -> Vec<NativeCall> {
        let task = self.task(step);
        let call = task.map(|(folder, task)| self.servers.told(&folder, &task));
        call.into_iter().collect()
    }
}

impl Hand for Lending {
    fn perform(&self, step: &Step, keys: &Keys, watch: &dyn Watch) -> Result<Gained, Failure> {
        if let Some((folder, task)) = self.task(step) {
            watch.calling(&self.servers.told(&folder, &task));
            let served = self.servers.serve(&folder, &task, keys, watch);
            let address = served.map_err(failure)?;
            if let Step::Fill { from, .. } = step {
                let socket = volume::socket(&folder);
                watch.calling(&NativeCall {
                    interface: "nbd".to_owned(),
                    call: format!("copy {} to {}", from.display(), socket.display()),
                });
                let filled = filling::fill(from, &socket, watch);
                volume::remove(&folder).map_err(failure)?;
                return filled.map(|()| Gained::default());
            }
            return Ok(Gained {
                listening: address.map(|address| address.to_string()),
                ..Gained::default()
            });
        }
        let Step::Withdraw { vm, volume } = step else {
            return Err(refused(&format!("nothing is lent by {step}")));
        };
        volume::remove(&self.folder(*vm, volume)).map_err(failure)?;
        Ok(Gained::default())
    }
}
