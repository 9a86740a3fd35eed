//! Incus: system containers, by the REST interface on its unix socket.
//!
//! Nothing is kept here: an instance's own configuration holds the machine that it was ordered as,
//! so that whatever Incus has is what there is. All instances lie in one project; those of others,
//! in it or elsewhere, are neither seen nor touched.
//!
//! ```text
//!  Act ──plan (reads Incus)──▶ [Step] ──call──▶ what translate shows
//!                                └─────carry out─▶ request ─▶ operation ─▶ wait, cancel
//! ```
//!
//! - `driver`: what the agent asks
//! - `api`: requests and operations
//! - `instance`: machines as instances
//! - `plan`: which requests an act comes to
//! - `step`: the requests as data
//! - `archive`: root folders as archives
//! - `readings`: what Incus measures
//! - `probe`: a container of one small program
//! - `shaping`: whether the node can limit what a container receives
//!
//! A container's memory cannot be kept: a snapshot holds its root alone, and going back to it
//! restarts what runs. Nor can it move while it runs.
//!
//! What a container receives, Incus limits; what it sends, the node's rules do, for Incus would need
//! the kernel's police action, which many kernels lack, and would then not start it. Limits of its
//! root are refused: Incus 6.0 does not lift one while a container runs, and on control groups v1
//! what is written by way of the page cache passes by it (8 MiB at 1 MiB/s in 0.3 s, our measurement).

mod api;
mod archive;
mod driver;
mod instance;
mod plan;
mod probe;
mod readings;
mod shaping;
mod step;

use agent::driver::DriverError;
use agent::machine::Machine;
use agent::watch::{Unwatched, Watch};
use api::Api;
use instance::{Instance, name};
use model::id::VmId;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use step::{FINGERPRINT, Step};

/// The project of all our instances.
const PROJECT: &str = "gridwright";

/// Where a node's Incus is; by default where Debian's package has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The socket of its REST interface, as `/var/lib/incus/unix.socket`.
    pub socket: PathBuf,
    /// The folder of its logs, as `/var/log/incus`.
    pub logs: PathBuf,
    /// The storage pool in which containers are made.
    pub pool: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            socket: "/var/lib/incus/unix.socket".into(),
            logs: "/var/log/incus".into(),
            pool: "default".into(),
        }
    }
}

/// The driver of one node.
#[derive(Clone, Debug)]
pub struct Incus {
    server: Server,
    api: Api,
}

impl Incus {
    /// A driver for this server; nothing is asked yet.
    pub fn new(server: Server) -> Self {
        let api = Api::new(server.socket.clone(), PROJECT);
        Self { server, api }
    }

    /// Our instance of a VM; `None`: there is none.
    fn instance(&self, vm: VmId) -> Result<Option<Instance>, DriverError> {
        let told = self
            .api
            .read(&format!("instances/{}", name(vm)), &Unwatched)?;
        Ok(told.as_ref().and_then(Instance::parse))
    }

    /// Where Incus keeps what a VM's instance said.
    fn logs(&self, vm: VmId) -> PathBuf {
        let folder = format!("{PROJECT}_{}", name(vm));
        self.server.logs.join(folder)
    }

    fn machine(&self, vm: VmId) -> Result<Machine, DriverError> {
        let instance = self.instance(vm)?;
        let gone = || DriverError::Hypervisor {
            doing: format!("read the instance of {vm}"),
            said: "it has gone".into(),
        };
        Ok(instance.ok_or_else(gone)?.machine)
    }

    /// What Incus still does for a driver that was killed or called off: paths of the instance's own
    /// operations.
    fn operations(&self, vm: VmId, watch: &dyn Watch) -> Result<Vec<String>, DriverError> {
        let told = self.api.read("operations?recursion=1", watch)?;
        let told = told.unwrap_or_default();
        let own = format!("/instances/{}", name(vm));
        let concerns = |operation: &&Value| {
            let resources = operation["resources"].as_object();
            let mut paths = resources
                .into_iter()
                .flat_map(|resources| resources.values())
                .filter_map(Value::as_array)
                .flatten()
                .filter_map(Value::as_str);
            paths.any(|path| {
                path.split('?')
                    .next()
                    .is_some_and(|path| path.ends_with(&own))
            })
        };
        let running = told["running"].as_array().into_iter().flatten();
        let ids = running
            .filter(concerns)
            .filter_map(|operation| operation["id"].as_str());
        Ok(ids.map(|id| format!("/1.0/operations/{id}")).collect())
    }

    /// Waits for them.
    fn settle(&self, vm: VmId, watch: &dyn Watch) -> Result<(), DriverError> {
        for path in self.operations(vm, watch)? {
            // How it ended is seen in what there is afterwards.
            if let Err(error @ DriverError::CalledOff { .. }) =
                self.api.finish("settle", &path, watch)
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the steps in order.
    fn carry_out(&self, steps: &[Step], watch: &dyn Watch) -> Result<(), DriverError> {
        let mut fingerprint = FINGERPRINT.to_owned();
        for step in steps {
            watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("go on", why))?;
            watch.calling(&step.call(&self.api, &fingerprint));
            if let Some(made) = step.carry_out(&self.api, &fingerprint, watch)? {
                fingerprint = made;
            }
        }
        Ok(())
    }
}
