//! Fields of a machine that a driver cannot honour.

use agent::driver::DriverError;

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
