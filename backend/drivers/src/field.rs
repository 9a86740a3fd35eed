//! Fields of a machine that a driver cannot honour.

use agent::driver::DriverError;
use agent::machine::{AttachedDisk, DiskFormat};

/// Refuses a field unless what is expected of it holds.
///
/// # Errors
/// [`DriverError::Invalid`] where it does not.
pub fn expect(
    holds: bool,
    field: &str,
    found: impl ToString,
    expected: &str,
) -> Result<(), DriverError> {
    if holds {
        return Ok(());
    }
    Err(invalid(field, &found.to_string(), expected))
}

/// The refusal of a field.
pub fn invalid(field: &str, found: &str, expected: &str) -> DriverError {
    DriverError::Invalid {
        field: field.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

/// Refuses a disk that is more than a file of its own bytes, read and written as fast as may be.
///
/// # Errors
/// [`DriverError::Invalid`] with the field that says so; `index` is the disk's place.
pub fn plain_disk(index: usize, disk: &AttachedDisk) -> Result<(), DriverError> {
    let field = |name: &str| format!("disks[{index}].{name}");
    let raw = disk.format == DiskFormat::Raw;
    expect(raw, &field("format"), disk.format, "raw")?;
    expect(disk.base.is_none(), &field("base"), "set", "none")?;
    expect(disk.key.is_none(), &field("key"), "set", "none")?;
    expect(disk.iops.is_none(), &field("iops"), "set", "no limit")?;
    expect(disk.mibps.is_none(), &field("mibps"), "set", "no limit")
}
