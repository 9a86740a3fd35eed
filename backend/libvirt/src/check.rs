//! Machines that cannot be run, refused before libvirt refuses them in the hypervisor's words.

use crate::config::Config;
use crate::door::Ways;
use agent::driver::DriverError;
use agent::machine::{AttachedDisk, AttachedInterface, Boot, DiskFormat, Machine, Plug};
use agent::refusal::{Refusal, check_name};
use drivers::field::{expect, invalid};
use model::hypervisor::Virtualisation;
use std::path::Path;

/// Whether the hypervisor could run it, as far as its ways tell.
///
/// # Errors
/// The first field that it could not honour.
pub fn machine(machine: &Machine, ways: &Ways, config: &Config) -> Result<(), DriverError> {
    name("name", &machine.name)?;
    if machine.virtualisation == Virtualisation::Container {
        return Err(invalid("virtualisation", "container", "full or para"));
    }
    for (field, number, most) in [
        ("cpus", machine.cpus, machine.max_cpus),
        ("mem_mib", machine.mem_mib, machine.max_mem_mib),
    ] {
        let fits = number > 0 && number <= most;
        expect(fits, field, number, &format!("1 to {most}"))?;
    }
    boot(machine, ways, config)?;
    for (index, attached) in machine.disks.iter().enumerate() {
        disk(&format!("disks[{index}]"), attached, ways, config)?;
    }
    for (index, attached) in machine.interfaces.iter().enumerate() {
        interface(&format!("interfaces[{index}]"), attached, ways)?;
    }
    Ok(())
}

fn boot(machine: &Machine, ways: &Ways, config: &Config) -> Result<(), DriverError> {
    match &machine.boot {
        Boot::Disk if machine.disks.is_empty() => {
            Err(invalid("disks", "empty", "a disk to boot from"))
        }
        Boot::Disk => Ok(()),
        Boot::Folder { root } => {
            let root = format!("the folder {}", root.display());
            Err(invalid("boot", &root, "a disk or a kernel"))
        }
        Boot::Kernel { kernel, .. } if !ways.loads_kernels => {
            let kernel = format!("the kernel {}", kernel.display());
            Err(invalid(
                "boot",
                &kernel,
                "a disk; this hypervisor loads no kernel",
            ))
        }
        Boot::Kernel {
            kernel,
            initrd,
            command_line,
        } => {
            path("boot.kernel", kernel, config)?;
            if let Some(initrd) = initrd {
                path("boot.initrd", initrd, config)?;
            }
            text("boot.command_line", command_line)
        }
    }
}

fn disk(field: &str, disk: &AttachedDisk, ways: &Ways, config: &Config) -> Result<(), DriverError> {
    let part = |part: &str| format!("{field}.{part}");
    name(&part("name"), &disk.name)?;
    path(&part("path"), &disk.path, config)?;
    if !ways.formats.contains(&disk.format) {
        let known: Vec<String> = ways.formats.iter().map(ToString::to_string).collect();
        let known = match known.as_slice() {
            [] => "no disk; this hypervisor opens formats of its own only".to_owned(),
            known => known.join(" or "),
        };
        return Err(invalid(&part("format"), &disk.format.to_string(), &known));
    }
    match (disk.format, disk.key) {
        (DiskFormat::Luks, None) => {
            return Err(invalid(&part("key"), "none", "the key of a luks disk"));
        }
        (DiskFormat::Raw, Some(key)) => {
            let found = format!("{key} of a raw disk");
            return Err(invalid(&part("key"), &found, "none, or a luks disk"));
        }
        (_, Some(key)) if !ways.formats.contains(&DiskFormat::Luks) => {
            let expected = "none; this hypervisor opens no encrypted disk";
            return Err(invalid(&part("key"), &key.to_string(), expected));
        }
        _ => {}
    }
    if let Some(base) = &disk.base {
        path(&part("base"), base, config)?;
        if disk.format != DiskFormat::Qcow2 {
            let found = format!("{} under a {} disk", base.display(), disk.format);
            return Err(invalid(&part("base"), &found, "none, or a qcow2 disk"));
        }
    }
    for (limit, most) in [("iops", disk.iops), ("mibps", disk.mibps)] {
        no_limit(
            &part(limit),
            most,
            ways.limits,
            "this hypervisor sets no limits",
        )?;
    }
    Ok(())
}

fn interface(field: &str, interface: &AttachedInterface, ways: &Ways) -> Result<(), DriverError> {
    let part = |part: &str| format!("{field}.{part}");
    name(&part("name"), &interface.name)?;
    no_limit(
        &part("mbps"),
        interface.mbps,
        ways.limits,
        "this hypervisor sets no limits",
    )?;
    match &interface.plug {
        Plug::Tap { name } | Plug::Bridge { name } => text(&part("plug.name"), name),
        Plug::User { forwards } if forwards.is_empty() => no_limit(
            &part("mbps"),
            interface.mbps,
            false,
            "without a tap or a bridge there is none",
        ),
        Plug::User { forwards } => {
            let found = format!("{} ports", forwards.len());
            let expected = "none; libvirt's own address translation leads no port in";
            Err(invalid(&part("plug.forwards"), &found, expected))
        }
    }
}

fn no_limit(field: &str, most: Option<u32>, can: bool, why: &str) -> Result<(), DriverError> {
    match most {
        Some(most) if !can => Err(invalid(field, &most.to_string(), &format!("none; {why}"))),
        _ => Ok(()),
    }
}

fn name(field: &str, name: &str) -> Result<(), DriverError> {
    check_name(field, name).map_err(|refusal| match refusal {
        Refusal::Invalid {
            field,
            found,
            expected,
        } => DriverError::Invalid {
            field,
            found,
            expected,
        },
        other => invalid(field, name, &other.to_string()),
    })
}

fn path(field: &str, path: &Path, config: &Config) -> Result<(), DriverError> {
    text(field, &config.there(field, path)?)?;
    if path.is_absolute() {
        return Ok(());
    }
    Err(invalid(field, &format!("{path:?}"), "an absolute path"))
}

/// Whether XML 1.0 carries a text as it is; of its control characters, a parser makes blanks.
///
/// # Errors
/// Where it does not.
pub fn text(field: &str, text: &str) -> Result<(), DriverError> {
    let refused = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|&c| refused(c)) {
        None => Ok(()),
        Some(_) => Err(invalid(
            field,
            &format!("{text:?}"),
            "a text without control characters",
        )),
    }
}
