//! A container of one small program that shows whether containers really start here.

use super::step::{FINGERPRINT, Step};
use super::{Incus, PROJECT, shaping};
use crate::folder::failed;
use crate::probe_guest::{self, WORD};
use agent::driver::{Driver, DriverError};
use agent::watch::{Unwatched, Watch};
use hyper::Method;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Virtualisation};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// Given up after this; it takes a second on an idle node.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes, runs and removes the container.
pub fn probe(incus: &Incus, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
    let about = incus.api.about(watch)?;
    let environment = &about["environment"];
    let text = |field: &str| environment[field].as_str().unwrap_or_default().to_owned();
    let native = Arch::from_str(std::env::consts::ARCH).map_err(|_| DriverError::Invalid {
        field: "arch".into(),
        found: std::env::consts::ARCH.into(),
        expected: "an instruction set that Gridwright knows".into(),
    })?;
    let begun = Instant::now();
    let evidence = if native == Arch::X86_64 {
        start(incus, watch)?;
        let millis = begun.elapsed().as_millis();
        format!("a container with one program was made, ran it and was removed in {millis} ms")
    } else {
        "its server answers; there is no program for this processor to try".to_owned()
    };
    let limits = match shaping::lacking() {
        None => String::new(),
        Some(lacking) => format!("; no limits of networks: {lacking}"),
    };
    Ok(FoundHypervisor {
        driver: incus.name().to_owned(),
        version: text("server_version"),
        virtualisation: vec![Virtualisation::Container],
        native: vec![native],
        emulated: Vec::new(),
        capabilities: incus.capabilities(),
        evidence: format!(
            "{evidence}{limits}; by {} {}",
            text("driver"),
            text("driver_version")
        ),
    })
}

/// The container's name: the same always, so that the next probe removes what a killed one left.
const OWN: &str = "probe";

/// A container whose program says a word and ends.
fn start(incus: &Incus, watch: &dyn Watch) -> Result<(), DriverError> {
    let folder = tempfile::tempdir().map_err(failed("make", &std::env::temp_dir()))?;
    let root = folder.path();
    plant(root).map_err(failed("fill", root))?;
    let api = &incus.api;
    // Whether or not it is called off, nothing of it stays.
    let clean = || incus.carry_out(&cleaning(incus)?, &Unwatched);
    clean()?;
    let make = json!({
        "name": OWN,
        "profiles": [],
        "devices": {"root": {"type": "disk", "path": "/", "pool": incus.server.pool}},
        "source": {"type": "image", "fingerprint": FINGERPRINT},
    });
    let steps = [
        incus.project_step(),
        Step::Upload {
            root: root.to_owned(),
            arch: Arch::X86_64,
            image_of: OWN.to_owned(),
        },
        Step::ask(Method::POST, api.path("instances"), Some(make)),
        Step::ask(
            Method::PUT,
            api.path(&format!("instances/{OWN}/state")),
            Some(json!({"action": "start", "timeout": -1})),
        ),
    ];
    let ran = incus.carry_out(&steps, watch).and_then(|()| {
        let log = incus
            .server
            .logs
            .join(format!("{PROJECT}_{OWN}/console.log"));
        await_word(&log, watch)?;
        await_end(incus, watch)
    });
    ran.and(clean())
}

fn cleaning(incus: &Incus) -> Result<Vec<Step>, DriverError> {
    let path = incus.api.path(&format!("instances/{OWN}"));
    let kill = json!({"action": "stop", "force": true, "timeout": -1});
    let state = incus.api.path(&format!("instances/{OWN}/state"));
    let mut steps = vec![
        Step::try_to(Method::PUT, state, kill, &[""]),
        Step::ask(Method::DELETE, path, None),
    ];
    steps.extend(incus.images_to_delete(OWN)?);
    Ok(steps)
}

fn plant(root: &Path) -> std::io::Result<()> {
    for folder in ["dev", "proc", "sbin", "sys"] {
        fs::create_dir(root.join(folder))?;
    }
    // Another user of the node owns the container's root, and must be able to enter it.
    fs::set_permissions(root, Permissions::from_mode(0o755))?;
    let program = root.join("sbin/init");
    fs::write(&program, probe_guest::program())?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))
}

fn await_word(log: &Path, watch: &dyn Watch) -> Result<(), DriverError> {
    await_that("its program says its word", watch, || {
        let said = fs::read(log).unwrap_or_default();
        Ok(String::from_utf8_lossy(&said).contains(WORD))
    })
}

fn await_end(incus: &Incus, watch: &dyn Watch) -> Result<(), DriverError> {
    await_that("its program ends it", watch, || {
        let told = incus.api.read(&format!("instances/{OWN}"), watch)?;
        Ok(told.is_some_and(|told| told["status"] == "Stopped"))
    })
}

fn await_that(
    what: &str,
    watch: &dyn Watch,
    mut holds: impl FnMut() -> Result<bool, DriverError>,
) -> Result<(), DriverError> {
    let deadline = Instant::now() + LIMIT;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(DriverError::Hypervisor {
                doing: format!("start a probe and wait until {what}"),
                said: format!("not within {LIMIT:?}"),
            });
        }
        watch
            .checkpoint()
            .map_err(|why| DriverError::called_off("start a probe", why))?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
