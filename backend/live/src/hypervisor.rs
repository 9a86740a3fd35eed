//! The node's one hypervisor: the driver that its configuration names.

use crate::config::{Config, ConfigError};
use agent::driver::{Driver, DriverError};
use drivers::uml::Uml;
use std::path::Path;
use std::sync::Arc;

/// Names of the drivers that are built in.
pub const KNOWN: &[&str] = &["uml"];

/// Opens the driver; it keeps what it must remember in a folder of its own below the node's.
///
/// # Errors
/// Where it is unknown, or its folder cannot be made.
pub fn open(config: &Config) -> Result<Arc<dyn Driver>, ConfigError> {
    let folder = config.root.join("driver");
    let program = |usual: &'static str| config.program.as_deref().unwrap_or(Path::new(usual));
    let failed = |error: DriverError| ConfigError::Impossible(error.to_string());
    match config.driver.as_str() {
        "uml" => {
            let driver = Uml::open(&folder, program("/usr/bin/linux.uml"));
            Ok(Arc::new(driver.map_err(failed)?))
        }
        other => Err(ConfigError::Impossible(format!(
            "driver is {other}, expected one of {}",
            KNOWN.join(", ")
        ))),
    }
}
