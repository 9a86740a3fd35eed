//! What of a machine Xen can honour here.

use crate::field::{expect, invalid, plain_disk};
use agent::driver::DriverError;
use agent::machine::{AttachedInterface, Boot, Machine, Plug};
use agent::naming::MOST_INTERFACES;
use model::hypervisor::{Arch, Guest, Virtualisation};
use std::path::Path;

/// Disks of a guest, `xvda` to `xvdp`: those whose numbers have Xen's plain form.
const MOST_DISKS: usize = 16;

/// Bytes of a paravirtual guest's command line with its closing zero; `MAX_GUEST_CMDLINE` of Xen's
/// `public/xen.h`.
const COMMAND_LINE_BYTES: usize = 1024;

/// Bytes of a network device's name with its closing zero; `IFNAMSIZ` of Linux.
const DEVICE_NAME_BYTES: usize = 16;

/// Refuses what could not be honoured.
pub fn validate(machine: &Machine) -> Result<(), DriverError> {
    expect(machine.arch == Arch::X86_64, "arch", machine.arch, "x86_64")?;
    let guest = machine.guest;
    expect(guest == Guest::Linux, "guest", guest, "linux")?;
    let para = machine.virtualisation == Virtualisation::Para;
    expect(para, "virtualisation", machine.virtualisation, "para")?;
    within("cpus", machine.cpus, machine.max_cpus)?;
    within("mem_mib", machine.mem_mib, machine.max_mem_mib)?;
    boot(&machine.boot)?;
    let interfaces = machine.interfaces.len();
    let most = format!("at most {MOST_INTERFACES}");
    expect(
        interfaces <= MOST_INTERFACES,
        "interfaces",
        interfaces,
        &most,
    )?;
    let count = machine.disks.len();
    let most = format!("at most {MOST_DISKS}");
    expect(count <= MOST_DISKS, "disks", count, &most)?;
    for (index, disk) in machine.disks.iter().enumerate() {
        plain_disk(index, disk)?;
        path(&format!("disks[{index}].path"), &disk.path)?;
    }
    for (index, interface) in machine.interfaces.iter().enumerate() {
        self::interface(index, interface)?;
    }
    Ok(())
}

/// A size from 1 to that to which the machine may be scaled.
pub fn within(field: &str, found: u32, most: u32) -> Result<(), DriverError> {
    let expected = format!("1 to max_{field}, {most}");
    expect((1..=most).contains(&found), field, found, &expected)
}

/// A snapshot's name, which becomes part of a file's.
pub fn snapshot_name(name: &str) -> Result<(), DriverError> {
    const MOST_BYTES: usize = 64;
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let plain = (1..=MOST_BYTES).contains(&name.len()) && name.chars().all(letters);
    let expected = format!("1 to {MOST_BYTES} letters, digits, hyphens and underscores");
    expect(plain, "name", name, &expected)
}

fn boot(boot: &Boot) -> Result<(), DriverError> {
    let Boot::Kernel {
        kernel,
        initrd,
        command_line,
    } = boot
    else {
        let expected = "a kernel that the hypervisor loads; \
                        nothing on the node is to read a guest's own boot loader";
        return Err(invalid("boot", "no kernel", expected));
    };
    path("boot.kernel", kernel)?;
    if let Some(initrd) = initrd {
        path("boot.initrd", initrd)?;
    }
    let line = command_line.as_str();
    let whole = line.len() < COMMAND_LINE_BYTES && !line.contains(char::is_control);
    let expected = format!(
        "at most {} bytes without control characters",
        COMMAND_LINE_BYTES - 1
    );
    expect(whole, "boot.command_line", line, &expected)
}

fn interface(index: usize, interface: &AttachedInterface) -> Result<(), DriverError> {
    let field = |name: &str| format!("interfaces[{index}].{name}");
    // Xen's own limit holds what the guest sends, and not what it receives.
    expect(interface.mbps.is_none(), &field("mbps"), "set", "no limit")?;
    match &interface.plug {
        Plug::Bridge { name } => {
            let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let plain = (1..DEVICE_NAME_BYTES).contains(&name.len()) && name.chars().all(letters);
            let expected = "a device's name of letters, digits, hyphens, dots and underscores";
            expect(plain, &field("plug"), name, expected)
        }
        Plug::Tap { .. } => Err(invalid(&field("plug"), "a tap", "a bridge")),
        Plug::User { .. } => Err(invalid(&field("plug"), "address translation", "a bridge")),
    }
}

/// A path that comes through xl and its scripts as it is: they hand it on as text, line by line,
/// and drop a comma at its end.
fn path(field: &str, path: &Path) -> Result<(), DriverError> {
    let plain = path.is_absolute()
        && path
            .to_str()
            .is_some_and(|path| !path.contains(char::is_control) && !path.ends_with(','));
    expect(
        plain,
        field,
        path.display(),
        "an absolute path in UTF-8 without control characters, and no comma at its end",
    )
}
