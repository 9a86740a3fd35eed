//! Waits within an act, which whoever watches it may call off.

use agent::driver::DriverError;
use agent::watch::Watch;
use std::thread;
use std::time::Duration;

/// Sleeps a little before the next look.
///
/// # Errors
/// Where the act is called off.
pub fn pause(doing: &str, little: Duration, watch: &dyn Watch) -> Result<(), DriverError> {
    watch
        .checkpoint()
        .map_err(|why| DriverError::called_off(doing, why))?;
    thread::sleep(little);
    Ok(())
}
