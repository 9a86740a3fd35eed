//! The connection to libvirt, opened again where it has broken.

use crate::config::Config;
use agent::driver::DriverError;
use std::sync::{Arc, Mutex, PoisonError};
use virt::connect::Connect;
use virt::error::{Error, ErrorNumber};

/// A connection that closes when nobody holds it any more.
#[derive(Debug)]
pub struct Line(Connect);

impl std::ops::Deref for Line {
    type Target = Connect;

    fn deref(&self) -> &Connect {
        &self.0
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // One that has broken cannot be closed, and need not be.
        let _broken = self.0.close();
    }
}

/// The connection of one configuration.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    line: Mutex<Option<Arc<Line>>>,
}

impl Connection {
    /// Opens nothing yet.
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            line: Mutex::new(None),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The open connection.
    ///
    /// # Errors
    /// Where it cannot be opened, with what the admin can do.
    pub fn line(&self) -> Result<Arc<Line>, DriverError> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        // A daemon that has died is noticed by the next call only; so one that costs little goes first.
        if let Some(open) = &*line
            && open.get_lib_version().is_ok()
        {
            return Ok(Arc::clone(open));
        }
        // The old one goes first: where it is the last, its hypervisor's state may go with it.
        *line = None;
        let fresh = Arc::new(Line(self.open()?));
        *line = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    fn open(&self) -> Result<Connect, DriverError> {
        let uri = &self.config.uri;
        let full = self
            .config
            .uri_to_open()
            .map_err(|error| DriverError::Hypervisor {
                doing: format!("connect to {uri}"),
                said: error.to_string(),
            })?;
        Connect::open(Some(&full)).map_err(|error| DriverError::Missing {
            what: format!("an answer of libvirt at {uri} ({})", error.message()),
            hint: hint(&error, self.config.is_here()).to_owned(),
        })
    }
}

fn hint(error: &Error, is_here: bool) -> &'static str {
    let who = "set credentials in the driver's configuration";
    match error.code() {
        ErrorNumber::AuthFailed | ErrorNumber::AuthCancelled | ErrorNumber::AuthUnavailable => who,
        // What libvirt's own drivers say where nobody has told them.
        ErrorNumber::InvalidArg if error.message().contains("credentials") => who,
        _ if is_here => "install libvirt's daemon for that hypervisor and start it",
        _ => "see that the host is up and its libvirt may be reached",
    }
}

/// libvirt's error in a driver's words, for `map_err`.
pub fn said(doing: &str) -> impl Fn(Error) -> DriverError {
    move |error| DriverError::Hypervisor {
        doing: doing.to_owned(),
        said: error.message().trim_end_matches('.').to_owned(),
    }
}

/// A question about what may not be there; `None`: libvirt says that it is not.
///
/// # Errors
/// Whatever else libvirt says.
pub fn found<T>(answer: Result<T, Error>, none: ErrorNumber) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == none => Ok(None),
        Err(error) => Err(error),
    }
}
