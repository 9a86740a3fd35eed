//! The node's one hypervisor: the driver that its configuration names.

use crate::config::{Config, ConfigError};
use crate::lending;
use agent::driver::{Driver, DriverError};
use drivers::incus::Incus;
use drivers::outside::{Limits, Outside, Program};
use drivers::qemu::Qemu;
use drivers::uml::Uml;
use drivers::xen::Xen;
use std::path::Path;
use std::sync::Arc;

/// Names of the drivers; `outside` is whatever program the configuration names.
pub const KNOWN: &[&str] = &["incus", "outside", "qemu", "uml", "xen"];

/// Opens the driver; it keeps what it must remember in a folder of its own below the node's.
///
/// # Errors
/// Where it is unknown, or cannot be opened.
pub fn open(config: &Config) -> Result<Arc<dyn Driver>, ConfigError> {
    let folder = config.root.join("driver");
    let failed = |error: DriverError| ConfigError::Impossible(error.to_string());
    let program = config.program.as_deref();
    Ok(match config.driver.as_str() {
        "incus" => Arc::new(Incus::new(config.incus.clone())),
        "outside" => {
            let path = program.ok_or_else(|| {
                let told = "driver is outside and program is missing; expected the driver's path";
                ConfigError::Impossible(told.to_owned())
            })?;
            let program = Program {
                path: path.to_owned(),
                arguments: config.arguments.clone(),
                folder,
                limits: Limits::default(),
            };
            Arc::new(Outside::start(program).map_err(failed)?)
        }
        "qemu" => {
            let qemu = Qemu::open(&folder).map_err(failed)?;
            Arc::new(qemu.with_servers(lending::servers()?))
        }
        "uml" => {
            let program = program.unwrap_or(Path::new("/usr/bin/linux.uml"));
            Arc::new(Uml::open(&folder, program).map_err(failed)?)
        }
        "xen" => {
            let program = program.map_or("xl".into(), Path::to_string_lossy);
            Arc::new(Xen::open(&folder, &program).map_err(failed)?)
        }
        other => {
            return Err(ConfigError::Impossible(format!(
                "driver is {other}, expected one of {}",
                KNOWN.join(", ")
            )));
        }
    })
}
