//! Copies of disks: another VM's, or an image; from a running VM all as of one instant.

use super::check::invalid;
use super::command_line::{comma, disk_node, file_node, file_option};
use super::look::Look;
use super::record;
use super::step::{Argument, Exec, Plan, Step, key_name, qmp};
use super::{Qemu, check};
use crate::copying;
use agent::driver::{DriverError, SavedDisk};
use agent::machine::{AttachedDisk, DiskFormat, Machine};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What jobs of copies are called, before their number.
pub(super) const COPY_JOB: &str = "copy";
/// The same of the nodes that they write to.
pub(super) const COPY_NODE: &str = "target";

/// Another VM with disks that begin as copies.
pub(super) fn copy(qemu: &Qemu, look: &Look, to: &Machine) -> Result<Plan, DriverError> {
    if qemu.folder.of(to.vm).join(record::MACHINE).exists() {
        return Ok(Plan::default());
    }
    let mut pairs = Vec::new();
    for (index, target) in to.disks.iter().enumerate() {
        let source = look
            .machine
            .disks
            .iter()
            .position(|disk| disk.name == target.name)
            .ok_or_else(|| {
                let names: Vec<&str> = look.machine.disks.iter().map(|d| d.name.as_str()).collect();
                let field = format!("disks[{index}].name");
                invalid(
                    &field,
                    &target.name,
                    &format!("one of {}", names.join(", ")),
                )
            })?;
        // What nobody writes to, both VMs may share.
        if look.machine.disks[source].path != target.path {
            pairs.push((source, target));
        }
    }
    let mut plan = if look.process.is_some() {
        copy_running(look, &pairs)?
    } else {
        copy_stopped(look, &pairs)?
    };
    plan.steps.push(Step::SaveMachine(Box::new(to.clone())));
    Ok(plan)
}

/// Disks as raw files, each of which appears whole or not at all.
pub(super) fn save_image(look: &Look, disks: &[SavedDisk]) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    let (mut copies, mut renames) = (Vec::new(), Vec::new());
    for (place, file) in copying::saved(&look.machine, disks)? {
        let disk = &look.machine.disks[place];
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = file.with_file_name(name);
        if look.process.is_some() {
            let bytes = virtual_bytes(disk)?;
            let target = copy_node(place);
            plan.steps.push(create("raw", &partial, bytes, None));
            copies.push(Copied {
                source: disk_node(place),
                option: raw_target(&target, &partial),
                target,
                job: copy_job(place),
            });
        } else {
            let mut arguments = words(&["convert", "-O", "raw"]);
            arguments.extend(opened(disk));
            arguments.push(partial.to_string_lossy().into_owned().into());
            plan.steps.push(image_program(arguments));
        }
        plan.undo.push(Step::Remove(partial.clone()));
        renames.push(Step::Rename {
            from: partial,
            to: file.clone(),
        });
    }
    backup(&mut plan, &copies);
    plan.steps.extend(renames);
    Ok(plan)
}

/// A copy that a running QEMU makes.
struct Copied {
    source: String,
    target: String,
    option: Value,
    job: String,
}

fn copy_running(look: &Look, pairs: &[(usize, &AttachedDisk)]) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    let mut copies = Vec::new();
    for (index, &(source, target)) in pairs.iter().enumerate() {
        let disk = &look.machine.disks[source];
        let node = copy_node(index);
        let copied = |source, option| Copied {
            source,
            target: node.clone(),
            option,
            job: copy_job(index),
        };
        if disk.key.is_some() || target.key.is_some() {
            same_cipher(disk, target)?;
            if disk.format != DiskFormat::Luks {
                return Err(unsupported(
                    "copy an encrypted qcow2 disk of a VM that runs",
                ));
            }
            // What lies in the file, so that it stays encrypted and no key is needed.
            let bytes = file_bytes(&disk.path)?;
            plan.steps.push(create("raw", &target.path, bytes, None));
            copies.push(copied(file_node(source), raw_target(&node, &target.path)));
        } else {
            let (format, base) = (target.format.to_string(), target.base.as_deref());
            let bytes = virtual_bytes(disk)?;
            plan.steps.push(create(&format, &target.path, bytes, base));
            let mut option = raw_target(&node, &target.path);
            option["driver"] = format.into();
            copies.push(copied(disk_node(source), option));
        }
        plan.undo.push(Step::Remove(target.path.clone()));
    }
    backup(&mut plan, &copies);
    Ok(plan)
}

/// All of one instant, then each in its own time.
fn backup(plan: &mut Plan, copies: &[Copied]) {
    if copies.is_empty() {
        return;
    }
    let mut actions = Vec::new();
    let mut clean = Vec::new();
    for copy in copies {
        plan.tell("blockdev-add", copy.option.clone());
        clean.push(qmp(
            "block-job-cancel",
            json!({ "device": copy.job, "force": true }),
        ));
        clean.push(qmp("job-dismiss", json!({ "id": copy.job })));
        clean.push(qmp("blockdev-del", json!({ "node-name": copy.target })));
        actions.push(json!({
            "type": "blockdev-backup",
            "data": {
                "job-id": copy.job,
                "device": copy.source,
                "target": copy.target,
                "sync": "full",
                "auto-dismiss": false,
            },
        }));
    }
    plan.tell("transaction", json!({ "actions": actions }));
    for copy in copies {
        plan.job(&copy.job);
    }
    for copy in copies {
        plan.tell("blockdev-del", json!({ "node-name": copy.target }));
    }
    plan.undo.splice(0..0, clean);
}

fn copy_job(index: usize) -> String {
    format!("{COPY_JOB}{index}")
}

fn copy_node(index: usize) -> String {
    format!("{COPY_NODE}{index}")
}

fn copy_stopped(look: &Look, pairs: &[(usize, &AttachedDisk)]) -> Result<Plan, DriverError> {
    let mut plan = Plan::default();
    for &(source, target) in pairs {
        let disk = &look.machine.disks[source];
        let mut arguments = words(&["convert"]);
        if disk.key.is_some() || target.key.is_some() {
            same_cipher(disk, target)?;
            arguments.extend(words(&["-f", "raw", "-O", "raw"]));
        } else {
            let formats = (disk.format.to_string(), target.format.to_string());
            arguments.extend(words(&["-f", &formats.0, "-O", &formats.1]));
            if let Some(base) = &target.base {
                arguments.extend(words(&["-F", "raw", "-B", &base.to_string_lossy()]));
            }
        }
        arguments.push(disk.path.to_string_lossy().into_owned().into());
        arguments.push(target.path.to_string_lossy().into_owned().into());
        plan.steps.push(image_program(arguments));
        plan.undo.push(Step::Remove(target.path.clone()));
    }
    Ok(plan)
}

/// A ciphertext is copied as it is, so its copy has the same format and key.
fn same_cipher(disk: &AttachedDisk, target: &AttachedDisk) -> Result<(), DriverError> {
    if (disk.format, disk.key) == (target.format, target.key) {
        return Ok(());
    }
    let told = |disk: &AttachedDisk| match disk.key {
        Some(key) => format!("{} with {key}", disk.format),
        None => format!("{} without key", disk.format),
    };
    Err(invalid(
        &format!("disk {}", target.name),
        &told(target),
        &format!("{}, as its source", told(disk)),
    ))
}

fn raw_target(node: &str, path: &Path) -> Value {
    json!({
        "driver": "raw",
        "node-name": node,
        "file": file_option(&format!("{node}-file"), path, false),
    })
}

/// Makes a disk's file.
pub(super) fn create(format: &str, path: &Path, bytes: u64, base: Option<&Path>) -> Step {
    let mut arguments = words(&["create", "-q", "-f", format]);
    if let Some(base) = base {
        arguments.extend(words(&["-F", "raw", "-b", &base.to_string_lossy()]));
    }
    arguments.extend(words(&[&path.to_string_lossy(), &bytes.to_string()]));
    image_program(arguments)
}

/// A disk as `qemu-img` is to open it, its key handed over where it has one.
pub(super) fn opened(disk: &AttachedDisk) -> Vec<Argument> {
    let path = disk.path.to_string_lossy();
    let Some(key) = disk.key else {
        return words(&["-f", &disk.format.to_string(), &path]);
    };
    let cipher = if disk.format == DiskFormat::Luks {
        format!("key-secret={}", key_name(key))
    } else {
        format!("encrypt.format=luks,encrypt.key-secret={}", key_name(key))
    };
    let (format, path) = (disk.format, comma(&path));
    vec![
        "--object".into(),
        Argument::Secret(key),
        "--image-opts".into(),
        format!("driver={format},{cipher},file.driver=file,file.filename={path}").into(),
    ]
}

/// `qemu-img` with arguments.
pub(super) fn image_program(arguments: Vec<Argument>) -> Step {
    Step::Exec(Exec {
        program: "qemu-img",
        arguments,
        package: "qemu-utils",
    })
}

/// Plain arguments.
pub(super) fn words(words: &[&str]) -> Vec<Argument> {
    words.iter().map(|&word| word.into()).collect()
}

/// What `qemu-img` tells of a file, running or not.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn info(path: &Path, format: DiskFormat) -> Result<Value, DriverError> {
    check::installed("qemu-img", "qemu-utils")?;
    let output = Command::new("qemu-img")
        .args(["info", "-U", "--output=json", "-f", format.into()])
        .arg(path)
        .output();
    let failed = |said: String| DriverError::Hypervisor {
        doing: format!("qemu-img info {}", path.display()),
        said,
    };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

fn virtual_bytes(disk: &AttachedDisk) -> Result<u64, DriverError> {
    let info = info(&disk.path, disk.format)?;
    info["virtual-size"]
        .as_u64()
        .ok_or_else(|| DriverError::Hypervisor {
            doing: format!("qemu-img info {}", disk.path.display()),
            said: "no virtual size".to_owned(),
        })
}

fn file_bytes(path: &PathBuf) -> Result<u64, DriverError> {
    let told = std::fs::metadata(path).map_err(crate::folder::failed("look at", path))?;
    Ok(told.len())
}

/// What this driver cannot do.
pub(super) fn unsupported(what: &str) -> DriverError {
    DriverError::Unsupported {
        driver: "qemu".to_owned(),
        what: what.to_owned(),
    }
}
