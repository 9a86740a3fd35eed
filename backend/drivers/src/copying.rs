//! What a copy of a VM asks for, whoever makes it.

use agent::driver::{DriverError, SavedDisk};
use agent::machine::Machine;
use std::path::PathBuf;

/// The places of the disks that are to be saved, each with the file to make.
///
/// # Errors
/// Where the VM has no such disk.
pub(crate) fn saved<'a>(
    machine: &Machine,
    disks: &'a [SavedDisk],
) -> Result<Vec<(usize, &'a PathBuf)>, DriverError> {
    let names: Vec<&str> = machine
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect();
    let place = |saved: &'a SavedDisk| match names.iter().position(|name| *name == saved.disk) {
        Some(place) => Ok((place, &saved.file)),
        None => Err(DriverError::Invalid {
            field: "disk".into(),
            found: format!("{:?}", saved.disk),
            expected: format!("one of {}", names.join(", ")),
        }),
    };
    disks.iter().map(place).collect()
}

/// The file to make of a container's root.
///
/// # Errors
/// Where another disk is asked for.
pub(crate) fn root(disks: &[SavedDisk]) -> Result<&PathBuf, DriverError> {
    match disks {
        [root] => Ok(&root.file),
        _ => Err(DriverError::Invalid {
            field: "disks".into(),
            found: disks.len().to_string(),
            expected: "one, the root: a container has no other".into(),
        }),
    }
}

/// Whether the copy is there; it may have changed its disks since.
///
/// # Errors
/// Where another VM is.
pub(crate) fn is_there(there: Option<&Machine>, copy: &Machine) -> Result<bool, DriverError> {
    match there {
        None => Ok(false),
        Some(there) if there == copy => Ok(true),
        Some(_) => Err(DriverError::Illegal {
            vm: copy.vm,
            act: "be copied to".into(),
            state: "another VM".into(),
        }),
    }
}

/// The file of each disk, and that of its copy.
///
/// # Errors
/// Where there are not as many of these.
pub(crate) fn files(
    from: &Machine,
    copy: &Machine,
) -> Result<Vec<(PathBuf, PathBuf)>, DriverError> {
    let (found, wanted) = (copy.disks.len(), from.disks.len());
    if found != wanted {
        return Err(DriverError::Invalid {
            field: "disks".into(),
            found: found.to_string(),
            expected: format!("as many as {} has, {wanted}", from.vm),
        });
    }
    let pairs = from.disks.iter().zip(&copy.disks);
    Ok(pairs
        .map(|(from, to)| (from.path.clone(), to.path.clone()))
        .collect())
}
