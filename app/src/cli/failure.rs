//! How a verb of the command line fails: one message, one hint, one exit code.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something that does not exist: exit code 2.
    Usage(Message),
    /// An input or the run failed: exit code 1.
    Failed(Message),
    /// All is said on standard output already: exit code 1.
    Said,
    /// Nobody reads standard output any more, as in `gridwright policies | head -1`: exit code 0.
    Unread,
}

/// What is told to the user.
#[derive(Debug)]
pub struct Message {
    /// Lower case, without a full stop; may have several lines, one a fault.
    pub text: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Message {
    fn of(error: &dyn Error) -> Self {
        let told = error.to_string();
        let (text, hint) = match told.rsplit_once("\nhint: ") {
            Some((text, hint)) => (text, Some(hint.to_owned())),
            None => (told.as_str(), None),
        };
        let mut text = text.to_owned();
        let mut cause = error.source();
        while let Some(source) = cause {
            text.push_str(&format!(": {source}"));
            cause = source.source();
        }
        Self { text, hint }
    }
}

impl Failure {
    /// A failed input or run without a hint.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(Message {
            text: error.to_string(),
            hint: None,
        })
    }

    /// A failed input or run, told with all its causes; a hint may be its last line.
    pub fn of(error: &dyn Error) -> Self {
        Self::Failed(Message::of(error))
    }

    /// A wrong command line, told alike.
    pub fn usage_of(error: &dyn Error) -> Self {
        Self::Usage(Message::of(error))
    }

    /// A wrong command line, with what the user can do about it.
    pub fn usage(error: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::Usage(Message {
            text: error.to_string(),
            hint: Some(hint.into()),
        })
    }

    /// What it tells, without a hint; empty where there is nothing to tell.
    pub fn text(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Failed(message) => &message.text,
            Self::Said | Self::Unread => "",
        }
    }

    /// The code with which the process ends.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unread => 0,
            Self::Failed(_) | Self::Said => 1,
            Self::Usage(_) => 2,
        })
    }
}

impl fmt::Display for Failure {
    /// `error: …` and `hint: …`, a line each; nothing where there is nothing to tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(message) | Self::Failed(message)) = self else {
            return Ok(());
        };
        writeln!(f, "error: {}", message.text)?;
        match &message.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

impl From<io::Error> for Failure {
    /// An error of standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::failed(format!("standard output: {error}"))
        }
    }
}
