//! `xl` as a process: what it is given, how long it may take, and what becomes of it when nobody
//! waits any more.

use crate::hold::Hold;
use crate::shell;
use crate::xen::told::MOST_BYTES;
use agent::driver::DriverError;
use agent::watch::{Unwatched, Watch};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A question is answered in a tenth of a second; a node that is all but stuck takes longer.
const ASK_LIMIT: Duration = Duration::from_secs(120);

/// The longest that anything else may take: to build a domain, xl waits up to 40 s for each device.
const TELL_LIMIT: Duration = Duration::from_secs(900);

/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Lines of a complaint that are told on: xl gives the cause first and the consequences after it.
const COMPLAINT_LINES: usize = 3;

/// What becomes of a process that is called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledOffIt {
    /// It is killed.
    Dies,
    /// It is waited for: killed, it would leave the guest in a state from which nobody gets it back.
    Ends,
}

/// The toolstack's program.
#[derive(Clone, Debug)]
pub struct Xl {
    program: String,
}

impl Xl {
    /// The program of this name or path.
    pub fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
        }
    }

    /// What [`Self::tell`] executes, for a person to read.
    pub fn line(&self, words: &[String]) -> String {
        shell::line(["xl"].into_iter().chain(words.iter().map(String::as_str)))
    }

    /// Asks, and gives what is printed, cut off at [`MOST_BYTES`] and a little more.
    ///
    /// # Errors
    /// Where it is not installed, refuses, or says nothing for long.
    pub fn ask(&self, words: &[&str]) -> Result<String, DriverError> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        self.run(
            &words,
            Stdio::null(),
            ASK_LIMIT,
            CalledOffIt::Dies,
            &Unwatched,
        )
    }

    /// Tells it to do something. The process holds the VM until it is done, also where the agent
    /// is killed meanwhile: the next agent waits for it.
    ///
    /// # Errors
    /// Where it refuses or is called off.
    pub fn tell(
        &self,
        words: &[String],
        hold: &Hold,
        called_off: CalledOffIt,
        watch: &dyn Watch,
    ) -> Result<(), DriverError> {
        let held = hold.share().map_err(|error| self.failed(words, &error))?;
        let held = Stdio::from(held);
        self.run(words, held, TELL_LIMIT, called_off, watch)
            .map(drop)
    }

    /// Takes a domain away, whoever holds its VM: xl has no lock for that.
    ///
    /// # Errors
    /// Where it refuses.
    pub fn destroy(&self, domain: u32) -> Result<(), DriverError> {
        let words = ["destroy".to_owned(), domain.to_string()];
        let (nobody, ends) = (Stdio::null(), CalledOffIt::Ends);
        self.run(&words, nobody, TELL_LIMIT, ends, &Unwatched)
            .map(drop)
    }

    fn run(
        &self,
        words: &[String],
        stdin: Stdio,
        limit: Duration,
        called_off: CalledOffIt,
        watch: &dyn Watch,
    ) -> Result<String, DriverError> {
        let failed = |error| self.failed(words, &error);
        // Files and no pipes: a script that xl leaves behind could hold a pipe for ever.
        let (mut out, mut err) = (
            tempfile::tempfile().map_err(failed)?,
            tempfile::tempfile().map_err(failed)?,
        );
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .stdin(stdin)
            .stdout(out.try_clone().map_err(failed)?)
            .stderr(err.try_clone().map_err(failed)?)
            .process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        drop(command); // it has a share of the VM, too
        let status = self.wait(&mut child, words, limit, called_off, watch)?;
        if status.success() {
            return read(&mut out).map_err(failed);
        }
        let said = read(&mut err).map_err(failed)?;
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.take(COMPLAINT_LINES).collect();
        Err(self.refused(words, &format!("{status}: {}", lines.join("; "))))
    }

    fn wait(
        &self,
        child: &mut Child,
        words: &[String],
        limit: Duration,
        called_off: CalledOffIt,
        watch: &dyn Watch,
    ) -> Result<ExitStatus, DriverError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait().map_err(|e| self.failed(words, &e))? {
                return Ok(status);
            }
            let go_on = match called_off {
                CalledOffIt::Dies => watch.checkpoint(),
                CalledOffIt::Ends => Ok(()),
            };
            if let Err(why) = go_on {
                kill(child);
                return Err(DriverError::called_off(&self.line(words), why));
            }
            if Instant::now() > deadline {
                kill(child);
                return Err(self.refused(words, &format!("it did not end within {limit:?}")));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn failed(&self, words: &[String], error: &std::io::Error) -> DriverError {
        if error.kind() == std::io::ErrorKind::NotFound {
            return DriverError::Missing {
                what: self.program.clone(),
                hint: "install xen-utils, and boot the node by Xen".into(),
            };
        }
        self.refused(words, &error.to_string())
    }

    fn refused(&self, words: &[String], said: &str) -> DriverError {
        DriverError::Hypervisor {
            doing: self.line(words),
            said: said.to_owned(),
        }
    }
}

/// Ends a process and the scripts that it has begun.
fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended since it was looked at; that is as good.
        let _ended = kill_process_group(group, Signal::KILL);
    }
    let _status = child.wait();
}

fn read(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
