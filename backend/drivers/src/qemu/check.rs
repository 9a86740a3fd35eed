//! Refuses a machine that could not be run, before QEMU refuses it in QEMU's words.

use super::command_line::emulator;
pub(super) use crate::field::invalid;
use agent::driver::DriverError;
use agent::machine::{AttachedDisk, Boot, DiskFormat, Machine};
use model::hypervisor::Virtualisation;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// First bytes of a qcow2 file and of a LUKS one, by their specifications.
const QCOW2: &[u8] = b"QFI\xfb";
const LUKS: &[u8] = b"LUKS\xba\xbe";

/// Whether QEMU could run it, its files left out.
///
/// # Errors
/// The first field that it could not honour, or the emulator's package where that is missing.
pub(super) fn machine(machine: &Machine) -> Result<(), DriverError> {
    if machine.virtualisation == Virtualisation::Container {
        return Err(invalid("virtualisation", "container", "full or para"));
    }
    if let Boot::Folder { root } = &machine.boot {
        let root = format!("the folder {}", root.display());
        return Err(invalid("boot", &root, "a disk or a kernel"));
    }
    at_least("cpus", machine.cpus, 1)?;
    at_least("max_cpus", machine.max_cpus, machine.cpus)?;
    at_least("mem_mib", machine.mem_mib, 1)?;
    at_least("max_mem_mib", machine.max_mem_mib, machine.mem_mib)?;
    if machine.boot == Boot::Disk && machine.disks.is_empty() {
        return Err(invalid("disks", "empty", "a disk to boot from"));
    }
    for (index, disk) in machine.disks.iter().enumerate() {
        let field = |field: &str| format!("disks[{index}].{field}");
        if !disk.extents.is_empty() && disk.format != DiskFormat::Raw {
            let expected = "raw: it consists of volumes of other nodes";
            return Err(invalid(&field("format"), disk.format.into(), expected));
        }
        match (disk.format, disk.key) {
            (DiskFormat::Raw, Some(key)) => {
                let found = format!("{key} of a raw disk");
                return Err(invalid(&field("key"), &found, "none, or a luks disk"));
            }
            (DiskFormat::Luks, None) => {
                return Err(invalid(&field("key"), "none", "the key of a luks disk"));
            }
            _ => {}
        }
        if let Some(base) = disk.base.as_ref()
            && disk.format != DiskFormat::Qcow2
        {
            let found = format!("{} under a {} disk", base.display(), disk.format);
            return Err(invalid(&field("base"), &found, "none, or a qcow2 disk"));
        }
    }
    let emulator = emulator(machine.arch);
    installed(emulator.program, emulator.package)
}

/// Whether a program is there.
///
/// # Errors
/// Its package, where it is not.
pub(super) fn installed(program: &str, package: &str) -> Result<(), DriverError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Ok(());
    }
    Err(missing(program, &format!("install {package}")))
}

/// Whether the files of a machine are there and are what they are said to be.
///
/// # Errors
/// The first that is not.
pub(super) fn files(machine: &Machine) -> Result<(), DriverError> {
    match &machine.boot {
        Boot::Kernel { kernel, initrd, .. } => {
            readable("boot.kernel", kernel)?;
            if let Some(initrd) = initrd {
                readable("boot.initrd", initrd)?;
            }
        }
        Boot::Disk | Boot::Folder { .. } => {
            if let Some((firmware, package)) = emulator(machine.arch).firmware
                && !Path::new(firmware).exists()
            {
                return Err(missing(firmware, &format!("install {package}")));
            }
        }
    }
    let own = machine.disks.iter().enumerate();
    for (index, disk) in own.filter(|(_, disk)| disk.extents.is_empty()) {
        let field = |name: &str| format!("disks[{index}].{name}");
        let header = readable(&field("path"), &disk.path)?;
        if let Some(base) = &disk.base {
            readable(&field("base"), base)?;
        }
        format(disk, &header).map_err(|(found, expected)| {
            let found = format!("{} ({found})", disk.path.display());
            invalid(&field("path"), &found, &expected)
        })?;
    }
    Ok(())
}

/// Whether a disk's first bytes fit its format; else what was found and what was expected.
fn format(disk: &AttachedDisk, header: &[u8]) -> Result<(), (String, String)> {
    let wrong = |found: &str, expected: &str| Err((found.to_owned(), expected.to_owned()));
    let word = |at: usize| {
        let bytes = header
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        u64::from_be_bytes(bytes.unwrap_or_default())
    };
    match disk.format {
        DiskFormat::Raw => Ok(()),
        DiskFormat::Luks if header.starts_with(LUKS) => Ok(()),
        DiskFormat::Luks => wrong("no LUKS header", "a luks disk"),
        DiskFormat::Qcow2 if !header.starts_with(QCOW2) => wrong("no qcow2 header", "a qcow2 disk"),
        // Offsets by the qcow2 specification: 8 the place of the backing file's name, 72 the
        // incompatible features, of which bit 2 names another file that holds the data.
        DiskFormat::Qcow2 if word(8) != 0 && disk.base.is_none() => {
            wrong("it names a base", "a qcow2 disk without base")
        }
        DiskFormat::Qcow2 if word(72) & 0b100 != 0 => {
            wrong("its data lie in another file", "a qcow2 disk in one file")
        }
        DiskFormat::Qcow2 => Ok(()),
    }
}

/// The first bytes of a file, fewer where it is shorter.
fn readable(field: &str, path: &Path) -> Result<Vec<u8>, DriverError> {
    const HEADER_BYTES: u64 = 80;
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header))
        .map_err(|error| {
            let found = format!("{} ({error})", path.display());
            invalid(field, &found, "a file that can be read")
        })?;
    Ok(header)
}

fn at_least(field: &str, found: u32, least: u32) -> Result<(), DriverError> {
    if found >= least {
        return Ok(());
    }
    let expected = format!("at least {least}");
    Err(invalid(field, &found.to_string(), &expected))
}

/// Something that the node lacks.
pub(super) fn missing(what: &str, hint: &str) -> DriverError {
    DriverError::Missing {
        what: what.to_owned(),
        hint: hint.to_owned(),
    }
}
