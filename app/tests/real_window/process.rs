//! A program that the test started: bounded waits for it, and its end with the test.

use std::io::{BufRead, BufReader, ErrorKind, pipe};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The longest wait for anything: a second or two where nothing else runs, and this much on a machine
/// that compiles the rest of the workspace meanwhile.
const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    output: String,
}

impl Process {
    /// Starts it without input.
    pub fn start(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let (reader, writer) = pipe().expect("a pipe can be made");
        let copy = writer.try_clone().expect("a pipe can be shared");
        command.stdin(Stdio::null()).stdout(copy).stderr(writer);
        let child = command.spawn().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                let package = name.to_lowercase();
                panic!("{name} is missing\nhint: as root run: apt-get install {package}")
            }
            _ => panic!("{name} could not be started: {error}"),
        });
        // With it go our ends for writing, so that the pipe ends with the program.
        drop(command);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(reader)
                .split(b'\n')
                .map_while(Result::ok)
                .map(|line| String::from_utf8_lossy(&line).into_owned())
                .try_for_each(|line| sender.send(line))
        });
        Self {
            name,
            child,
            lines,
            output: String::new(),
        }
    }

    /// Waits until `look` finds something; panics where the program ends before, or at the limit.
    pub fn until<T>(&mut self, wanted: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look(&self.output) {
                return found;
            }
            let (name, output) = (&self.name, &self.output);
            assert!(
                started.elapsed() < LIMIT,
                "{name}: no {wanted} within {LIMIT:?}\n{output}"
            );
            // This wait paces the looks, and is over at once when the program says something or ends.
            match self.lines.recv_timeout(PAUSE) {
                Ok(line) => self.output += &(line + "\n"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait();
                    panic!("{name}: ended ({status:?}) before {wanted}\n{output}")
                }
            }
        }
    }

    /// Waits for its end; panics at the limit. Returns whether it ended well, and all it said.
    pub fn end(mut self) -> (bool, String) {
        let started = Instant::now();
        loop {
            let left = LIMIT.saturating_sub(started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.output += &(line + "\n"),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: no end within {LIMIT:?}\n{}", self.name, self.output)
                }
            }
        }
        let status = self.child.wait().expect("the program can be waited for");
        (status.success(), std::mem::take(&mut self.output))
    }

    /// Waits for its good end and returns all it said.
    pub fn succeed(self) -> String {
        let name = self.name.clone();
        let (well, output) = self.end();
        assert!(well, "{name} failed\n{output}");
        output
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its good end and returns all it said.
pub fn run(command: Command) -> String {
    Process::start(command).succeed()
}
