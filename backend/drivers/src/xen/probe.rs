//! Whether this node is really ruled by Xen, and by us: what Xen itself answers, never what is
//! installed.

use super::told::{self, Doing};
use super::xl::Xl;
use super::{console, look};
use agent::driver::DriverError;
use model::id::VmId;
use std::fs;

/// Where Linux tells whether its domain may manage others.
const CAPABILITIES: &str = "/proc/xen/capabilities";

/// Xen's word for running paravirtual guests of 64 bits.
const PARAVIRTUAL: &str = "xen-3.0-x86_64";

/// What the probe saw.
pub struct Found {
    /// Xen's version.
    pub version: String,
    /// What was done and what came of it.
    pub evidence: String,
}

/// Asks Xen.
///
/// # Errors
/// Where it does not answer, or this domain does not manage the others.
pub fn probe(xl: &Xl) -> Result<Found, DriverError> {
    let capabilities = fs::read_to_string(CAPABILITIES).unwrap_or_default();
    if !capabilities.lines().any(|line| line == "control_d") {
        return Err(missing(
            "the right to manage domains",
            "run the agent in Xen's domain 0, with xenfs mounted at /proc/xen",
        ));
    }
    let info = xl.ask(&["info"])?;
    let field = |field: &str| told::info(&info, field).unwrap_or_default();
    let version = field("xen_version").to_owned();
    let caps = field("xen_caps");
    if version.is_empty() || !caps.split_whitespace().any(|cap| cap == PARAVIRTUAL) {
        return Err(missing(
            &format!("a Xen that runs paravirtual guests (it tells `{caps}`)"),
            "boot a Xen that is built with CONFIG_PV",
        ));
    }
    let domains = look::domains(xl)?;
    let zero = domains.iter().find(|domain| domain.id == 0);
    let zero = zero.filter(|domain| domain.doing == Doing::Runs);
    let zero = zero.ok_or_else(|| missing("domain 0 in the list of domains", "run xl list"))?;
    if console::file(VmId(0)).is_none() {
        return Err(missing(
            "the log of guests' consoles",
            "run xenconsoled with --log=guest and make its folder (Debian: XENCONSOLED_ARGS in \
             /etc/default/xen, /var/log/xen/console)",
        ));
    }
    let evidence = format!(
        "Xen {version} answers to {}, which has {} cpus and {} mem_mib; {} mem_mib are free; \
         it runs {caps}; scheduler {}",
        zero.name,
        zero.cpus,
        zero.mem_mib,
        field("free_memory"),
        field("xen_scheduler"),
    );
    Ok(Found { version, evidence })
}

fn missing(what: &str, hint: &str) -> DriverError {
    DriverError::Missing {
        what: what.to_owned(),
        hint: hint.to_owned(),
    }
}
