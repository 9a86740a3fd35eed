//! Text, line by line, with the number of each; a line has an end, so that memory has one too.

use super::error::{ReadError, fault_of, shown};
use super::source::Source;
use std::io::{BufRead, BufReader, Read};

const BUFFER_BYTES: usize = 256 * 1024;
/// No row of any trace comes near; a file without line ends is not one.
const LONGEST_LINE: usize = 64 * 1024;

/// The lines of a file that are not empty.
pub(crate) struct Lines<'w> {
    file: String,
    reader: BufReader<Source<'w>>,
    line: Vec<u8>,
    number: u64,
}

impl<'w> Lines<'w> {
    pub(crate) fn of(source: Source<'w>) -> Self {
        Self {
            file: shown(source.path()),
            reader: BufReader::with_capacity(BUFFER_BYTES, source),
            line: Vec::new(),
            number: 0,
        }
    }

    /// The file, as messages name it.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The line that was read last, without blanks around it.
    pub(crate) fn line(&self) -> &[u8] {
        self.line.trim_ascii()
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line that is not empty; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            self.line.clear();
            self.number += 1;
            let read = self
                .reader
                .by_ref()
                .take(LONGEST_LINE as u64 + 1)
                .read_until(b'\n', &mut self.line)
                .map_err(|error| ReadError::io(&self.file, self.number, error))?;
            if read > LONGEST_LINE {
                return Err(fault_of(
                    &self.file,
                    self.number,
                    "",
                    format!("a line of more than {LONGEST_LINE} bytes"),
                    "a row of a trace",
                ));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if read == 0 || !self.line().is_empty() {
                return Ok(read > 0);
            }
        }
    }
}
