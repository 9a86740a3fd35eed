//! What really runs here: libvirt's word is taken for nothing that a guest of a moment can show.

use crate::connection::said;
use crate::domain::probe_xml;
use crate::door::Door;
use crate::driver::Libvirt;
use crate::host::EMULATED;
use agent::driver::{Driver, DriverError};
use agent::watch::Watch;
use model::fingerprint::FoundHypervisor;
use model::hypervisor::{Arch, Virtualisation};
use std::time::Instant;
use strum::VariantArray;
use virt::connect::Connect;
use virt::domain::Domain;

/// Tries all instruction sets that libvirt offers.
///
/// # Errors
/// Where libvirt does not answer, or offers guests of which none runs.
pub fn fingerprint(libvirt: &Libvirt, watch: &dyn Watch) -> Result<FoundHypervisor, DriverError> {
    let line = libvirt.line()?;
    let host = libvirt.host(&line)?;
    let mut found = FoundHypervisor {
        driver: libvirt.name().to_owned(),
        version: version(&line)?,
        virtualisation: vec![Virtualisation::Full, Virtualisation::Para],
        native: Vec::new(),
        emulated: Vec::new(),
        capabilities: libvirt.capabilities(),
        evidence: String::new(),
    };
    let mut evidence = vec![format!(
        "libvirt {}",
        dotted(
            line.get_lib_version()
                .map_err(said("ask for its version"))?
        )
    )];
    for &arch in Arch::VARIANTS {
        watch
            .checkpoint()
            .map_err(|why| DriverError::called_off("try what runs here", why))?;
        if let Some(kind) = host.native(arch) {
            match libvirt.accelerates(arch, kind) {
                true => match tried(&line, libvirt.door(), arch, kind) {
                    Ok(told) => {
                        found.native.push(arch);
                        evidence.push(told);
                    }
                    Err(error) => evidence.push(format!("{arch} by {kind}: {error}")),
                },
                false => evidence.push(format!(
                    "{arch} by {kind}: offered by libvirt, and no guest of a probe runs"
                )),
            }
        }
        if host.emulates(arch) {
            match tried(&line, libvirt.door(), arch, EMULATED) {
                Ok(told) => {
                    found.emulated.push(arch);
                    evidence.push(told);
                }
                Err(error) => evidence.push(format!("{arch} by {EMULATED}: {error}")),
            }
        }
    }
    found.evidence = evidence.join("; ");
    let nothing = found.native.is_empty() && found.emulated.is_empty();
    if nothing && libvirt.door() != Door::Test {
        return Err(DriverError::Hypervisor {
            doing: "try what runs here".to_owned(),
            said: found.evidence,
        });
    }
    Ok(found)
}

/// Starts a domain of nothing and ends it, and tells how that went.
fn tried(line: &Connect, door: Door, arch: Arch, kind: &str) -> Result<String, DriverError> {
    if door != Door::Qemu {
        // Others know no domain that is gone when it ends.
        return Ok(format!("{arch} by {kind}: as libvirt says, without a try"));
    }
    let doing = format!("try {arch} by {kind}");
    let failed = said(&doing);
    let begun = Instant::now();
    let flags = virt_sys::VIR_DOMAIN_START_AUTODESTROY;
    let domain = Domain::create_xml(line, &probe_xml(arch, kind), flags).map_err(&failed)?;
    let runs = domain.is_active().map_err(&failed)?;
    domain.destroy().map_err(&failed)?;
    let millis = begun.elapsed().as_millis();
    match runs {
        true => Ok(format!("{arch} by {kind}: a domain ran, {millis} ms")),
        false => Err(DriverError::Hypervisor {
            doing: doing.clone(),
            said: "it ended at once".to_owned(),
        }),
    }
}

fn version(line: &Connect) -> Result<String, DriverError> {
    line.get_hyp_version()
        .map(dotted)
        .map_err(said("ask for the hypervisor's version"))
}

/// A version as libvirt packs it (`virConnectGetVersion`).
fn dotted(version: u32) -> String {
    format!(
        "{}.{}.{}",
        version / 1_000_000,
        version / 1_000 % 1_000,
        version % 1_000
    )
}
