//! What a copy of a VM asks for, whoever makes it.

use agent::driver::DriverError;
use agent::machine::Machine;
use std::path::PathBuf;

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
