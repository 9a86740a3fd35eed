//! Bytes from a server: small ones at once, large ones into a file, going on where a transfer broke.

use crate::error::{At, Error};
use agent::watch::Watch;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// How often one transfer is taken up again before it fails: a server that breaks it this often
/// without a byte between is not coming back within an order's time.
const MAX_BREAKS: usize = 5;

/// Time after which a connection is given up and made anew.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes read at a time, so that calling off is noticed in time.
const READ_BYTES: usize = 256 << 10;

/// A text of at most so many bytes.
pub(crate) fn small(url: &str, most_bytes: u64) -> Result<String, Error> {
    let mut response = agent()
        .get(url)
        .call()
        .map_err(|error| broken(url, &error))?;
    let body = response.body_mut().with_config().limit(most_bytes);
    body.read_to_string().map_err(|error| broken(url, &error))
}

/// A file of exactly so many bytes; what is there already of it is kept.
pub(crate) fn large(url: &str, to: &Path, bytes: u64, watch: &dyn Watch) -> Result<(), Error> {
    let mut breaks = 0;
    loop {
        let before = to.metadata().map_or(0, |about| about.len());
        match part(url, to, bytes, watch) {
            Ok(()) => return Ok(()),
            Err(error @ (Error::CalledOff(_) | Error::File { .. } | Error::Refused { .. })) => {
                return Err(error);
            }
            Err(error) => {
                let after = to.metadata().map_or(0, |about| about.len());
                breaks = if after > before { 0 } else { breaks + 1 };
                if breaks == MAX_BREAKS {
                    return Err(error);
                }
            }
        }
    }
}

fn part(url: &str, to: &Path, bytes: u64, watch: &dyn Watch) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(to)
        .at(to)?;
    let mut have = file.metadata().at(to)?.len();
    if have > bytes {
        file.set_len(0).at(to)?;
        have = 0;
    }
    if have == bytes {
        return Ok(());
    }
    let mut request = agent().get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| broken(url, &error))?;
    // A server that knows no ranges sends all of it, with 200 for 206.
    if have > 0 && response.status().as_u16() != 206 {
        file.set_len(0).at(to)?;
        have = 0;
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; READ_BYTES];
    while have < bytes {
        watch.checkpoint()?;
        watch.progressed((have * 1_000 / bytes) as u16);
        let many = body
            .read(&mut buffer)
            .map_err(|error| broken(url, &error))?;
        if many == 0 {
            return Err(broken(url, &format!("ended after {have} of {bytes} bytes")));
        }
        have += many as u64;
        if have > bytes {
            return Err(Error::refused(
                url,
                format!("more than the {bytes} bytes promised"),
            ));
        }
        file.write_all(&buffer[..many]).at(to)?;
    }
    file.sync_data().at(to)
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        // Of a whole body: a longer one is a broken transfer, which goes on where it broke.
        .timeout_recv_body(Some(PATIENCE))
        .build()
        .into()
}

fn broken(url: &str, why: &impl std::fmt::Display) -> Error {
    let (url, why) = (url.to_owned(), why.to_string());
    Error::Fetch { url, why }
}
