//! Programs and processes: QEMU itself, and tools that run to their end.

use super::{LOOK_AGAIN, Runner};
use crate::folder::failed;
use crate::handover::key::in_memory;
use crate::process::kill_all;
use crate::qemu::check::missing;
use crate::qemu::record::{self, Process};
use crate::qemu::step::{Argument, Exec};
use crate::volume;
use agent::driver::DriverError;
use model::id::KeyId;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// QEMU writes its disks' tables out and ends within this, unless a disk is stuck.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

impl Runner<'_> {
    pub(super) fn exec(&self, exec: &Exec) -> Result<(), DriverError> {
        let (mut command, _keys) = self.command(exec)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(exec, &error))?;
        let status = loop {
            match child
                .try_wait()
                .map_err(|error| not_started(exec, &error))?
            {
                Some(status) => break status,
                None => std::thread::sleep(LOOK_AGAIN),
            }
            if let Err(why) = self.watch.checkpoint() {
                // It has no other child than itself, so nothing is left of it.
                let _ = child.kill();
                let _ = child.wait();
                return Err(DriverError::called_off(exec.program, why));
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(mut pipe) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut pipe, &mut said);
        }
        Err(DriverError::Hypervisor {
            doing: exec.program.to_owned(),
            said: format!("{} ({status})", said.trim()),
        })
    }

    /// QEMU goes into the background once it is ready, and has then locked its own file; until then
    /// it holds the VM's lock as its standard input.
    pub(super) fn spawn(&self, exec: &Exec) -> Result<(), DriverError> {
        let folder = self.folder.of(self.vm);
        let log = folder.join(record::LOG);
        let stderr = File::create(&log).map_err(failed("make", &log))?;
        let lock = self.hold.share().map_err(failed("share", &folder))?;
        let (mut command, _keys) = self.command(exec)?;
        let status = command
            .stdin(lock)
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .status()
            .map_err(|error| not_started(exec, &error))?;
        if status.success() {
            return Ok(());
        }
        Err(self.died("start QEMU"))
    }

    /// A command with its keys in files of memory, which live as long as they are held.
    fn command(&self, exec: &Exec) -> Result<(Command, Vec<File>), DriverError> {
        let mut command = Command::new(exec.program);
        let mut files = Vec::new();
        for argument in &exec.arguments {
            let mut path = String::new();
            if let Argument::Secret(key) = argument {
                let file = self.key_file(*key)?;
                path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                files.push(file);
            }
            command.arg(argument.text(&path));
        }
        Ok((command, files))
    }

    fn key_file(&self, key: KeyId) -> Result<File, DriverError> {
        let passphrase = self.keys.passphrase(key);
        in_memory(key, passphrase.ok_or(DriverError::KeyMissing { key })?)
    }

    /// Ends QEMU, and then what joins its disks.
    pub(super) fn end(&mut self, patience_millis: u32) -> Result<(), DriverError> {
        self.end_qemu(patience_millis)?;
        let mut joins = record::joins(self.folder, self.vm).into_iter();
        joins.try_for_each(|join| volume::end(&join))
    }

    fn end_qemu(&mut self, patience_millis: u32) -> Result<(), DriverError> {
        let Some(process) = record::running(self.folder, self.vm)? else {
            self.qmp = None;
            return Ok(());
        };
        let begun = Instant::now();
        let patience = Duration::from_millis(patience_millis.into());
        while process.runs() && begun.elapsed() < patience {
            std::thread::sleep(LOOK_AGAIN);
            self.watch
                .checkpoint()
                .map_err(|why| DriverError::called_off("wait for the guest to end", why))?;
        }
        if process.runs() && self.tell("quit", None).is_ok() {
            let begun = Instant::now();
            while process.runs() && begun.elapsed() < QUIT_PATIENCE {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        self.qmp = None;
        kill_all(|| Vec::from_iter(Some(process.clone()).filter(Process::runs)))
    }

    pub(super) fn died(&self, doing: &str) -> DriverError {
        let words = record::last_words(self.folder, self.vm);
        DriverError::Hypervisor {
            doing: doing.to_owned(),
            said: if words.is_empty() {
                "QEMU ended without a word".to_owned()
            } else {
                format!("QEMU ended: {words}")
            },
        }
    }
}

fn not_started(exec: &Exec, error: &std::io::Error) -> DriverError {
    if error.kind() == ErrorKind::NotFound {
        return missing(exec.program, &format!("install {}", exec.package));
    }
    DriverError::Hypervisor {
        doing: exec.program.to_owned(),
        said: error.to_string(),
    }
}
