//! What came of a call, in the agent's words.

use crate::hands::broken;
use agent::step::{Failure, FailureKind};
use image::error::Error;
use std::io;
use std::path::Path;

pub(crate) fn done(result: Result<(), Error>) -> Result<(), Failure> {
    result.map_err(failure)
}

pub(crate) fn failure(error: Error) -> Failure {
    let kind = match &error {
        Error::CalledOff(_) => FailureKind::CalledOff,
        Error::Build(_) => FailureKind::Refused,
        _ => FailureKind::Broken,
    };
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        reason += &format!(": {inner}");
        source = inner.source();
    }
    Failure { kind, reason }
}

/// Removing what is gone already is no error.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(crate) fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |error| broken(&format!("{doing} {}: {error}", path.display()))
}
