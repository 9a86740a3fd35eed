//! QEMU's own programs, as long as a disk is on its way.

use agent::driver::{DriverError, NativeCall};
use agent::watch::Watch;
use drivers::shell;
use std::io::Read;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// One of QEMU's programs, which ends with us.
pub(super) struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// Where it, or what ends it with us, is missing.
    pub(super) fn start(
        name: &'static str,
        words: &[&str],
        watch: &dyn Watch,
    ) -> Result<Self, DriverError> {
        watch.calling(&NativeCall {
            interface: "exec".to_owned(),
            call: shell::line([name].into_iter().chain(words.iter().copied())),
        });
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", name]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| DriverError::Missing {
            what: format!("setpriv ({error})"),
            hint: "install util-linux and qemu-utils".to_owned(),
        })?;
        Ok(Self { name, child })
    }

    /// What it says on its output, to the one who asks first.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn ended(&mut self) -> Result<bool, DriverError> {
        Ok(self.status()?.is_some())
    }

    pub(super) fn has_succeeded(&mut self) -> Result<bool, DriverError> {
        Ok(self.status()?.is_some_and(|status| status.success()))
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, DriverError> {
        let waited = self.child.try_wait();
        waited.map_err(|error| DriverError::Hypervisor {
            doing: format!("wait for {}", self.name),
            said: error.to_string(),
        })
    }

    /// Ends it; what it complained of.
    pub(super) fn failed(&mut self) -> DriverError {
        self.end();
        let mut said = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            // What cannot be read tells nothing.
            err.read_to_string(&mut said).ok();
        }
        DriverError::Hypervisor {
            doing: self.name.to_owned(),
            said: said.trim().to_owned(),
        }
    }

    fn end(&mut self) {
        // One that has ended is only taken note of.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
