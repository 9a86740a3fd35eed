//! The calls of an act as data: what a dry run tells is what is then done.

use super::qmp::command_text;
use super::record::Move;
use super::secure::End;
use super::until::Until;
use crate::shell;
use crate::volume::{Servers, Task};
use agent::driver::NativeCall;
use agent::machine::Machine;
use model::configuration::Piece;
use model::id::{KeyId, VmId};
use model::order::Storage;
use serde_json::Value;
use std::path::PathBuf;

/// What an act does, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is done.
    pub(super) steps: Vec<Step>,
    /// What is done where one of them fails, each whether the others succeed or not.
    pub(super) undo: Vec<Step>,
    /// What is done after them and is never undone: the act has come true.
    pub(super) finish: Vec<Step>,
}

impl Plan {
    /// The calls for a person to read.
    pub(super) fn told(&self) -> Vec<NativeCall> {
        self.steps
            .iter()
            .chain(&self.finish)
            .map(Step::told)
            .collect()
    }

    /// Adds a command without arguments.
    pub(super) fn ask(&mut self, command: &'static str) {
        self.steps.push(Step::Qmp {
            command,
            arguments: None,
        });
    }

    /// Adds a command.
    pub(super) fn tell(&mut self, command: &'static str, arguments: Value) {
        self.steps.push(qmp(command, arguments));
    }

    /// Adds a wait.
    pub(super) fn until(&mut self, until: Until) {
        self.steps.push(Step::Until(until));
    }

    /// Adds a job that was begun by the step before: its end, its verdict, and its dismissal.
    pub(super) fn job(&mut self, id: &str) {
        self.until(Until::JobEnded { id: id.to_owned() });
        self.tell("job-dismiss", serde_json::json!({ "id": id }));
    }
}

/// A command with arguments.
pub(super) fn qmp(command: &'static str, arguments: Value) -> Step {
    Step::Qmp {
        command,
        arguments: Some(arguments),
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A QMP command.
    Qmp {
        /// Its name.
        command: &'static str,
        /// Its arguments.
        arguments: Option<Value>,
    },
    /// A QMP query, repeated until it tells what is waited for.
    Until(Until),
    /// The last of a VM's memory is sent, and the VM is halted.
    Halt,
    /// A program that runs to its end.
    Exec(Exec),
    /// QEMU, which puts itself into the background.
    Spawn(Exec),
    /// Volumes of other nodes are joined to one disk.
    Join {
        /// How.
        servers: Servers,
        /// The server's folder.
        folder: PathBuf,
        /// Which.
        task: Task,
    },
    /// A listening TCP socket is handed to QEMU under this name.
    Listen {
        /// The name.
        name: &'static str,
        /// The node's address.
        host: String,
    },
    /// The process that runs the VM ends: by itself within the time, else asked to, else killed.
    End {
        /// Time that the guest has.
        patience_millis: u32,
    },
    /// The key of a move is given to QEMU.
    Secure {
        /// Which.
        key: KeyId,
        /// Which end it is.
        end: End,
    },
    /// A VM is written down as one that is to come.
    Expect {
        /// Where its disks are.
        storage: Storage,
        /// The key of its move.
        key: KeyId,
    },
    /// A VM that was to come is written down as dropped, unless it was taken.
    Drop {
        /// The digest of its word.
        digest: String,
    },
    /// The node listens for senders' words.
    OpenDoor {
        /// The node's address.
        host: String,
    },
    /// The way to the receiver's door is opened.
    Call {
        /// Where the door is.
        door: String,
    },
    /// A VM that is finished here is given to its receiver: from here on it never runs here.
    Give {
        /// Where to.
        address: String,
        /// The key of the move.
        key: KeyId,
    },
    /// The receiver is told that it may run the VM that was given to it, and answers that it does.
    Say,
    /// A move to another node is called off, unless the VM was given: its copies end and the VM goes
    /// on here.
    Abandon {
        /// Disks that were being copied.
        disks: Vec<usize>,
    },
    /// Keeps the machine.
    SaveMachine(Box<Machine>),
    /// Keeps which process runs the VM, as it has left it in its file.
    SaveProcess,
    /// Keeps where the VM is on its move.
    SaveMove(Move),
    /// A command that the guest's own agent runs to its end.
    Guest(GuestCommand),
    /// Removes a file of the VM's folder, there or not.
    Forget {
        /// Its name.
        record: &'static str,
    },
    /// Removes the VM's folder.
    ForgetAll,
    /// Removes a file, there or not.
    Remove(PathBuf),
    /// Renames a file.
    Rename {
        /// What.
        from: PathBuf,
        /// What it is then called.
        to: PathBuf,
    },
}

/// A script for the guest's shell.
#[derive(Clone, Debug)]
pub(super) struct GuestCommand {
    /// Its text.
    pub(super) script: String,
    /// Its words.
    pub(super) words: Vec<String>,
    /// What it reads; keys are here and nowhere else.
    pub(super) input: Vec<Piece>,
}

impl GuestCommand {
    /// The command for a person to read, keys by id.
    pub(super) fn told(&self) -> String {
        let words = self.words.iter().map(String::as_str);
        let mut line = shell::line(["sh", "-c", &self.script, "sh"].into_iter().chain(words));
        let pieces = self.input.iter().map(|piece| match piece {
            Piece::Text(text) => format!("{} bytes", text.len()),
            Piece::Key(key) => key.to_string(),
        });
        let input: Vec<String> = pieces.collect();
        if !input.is_empty() {
            line.push_str(&format!(" <({})", input.join(", ")));
        }
        line
    }
}

/// A program to run.
#[derive(Clone, Debug)]
pub(super) struct Exec {
    /// Its name.
    pub(super) program: &'static str,
    /// Its arguments.
    pub(super) arguments: Vec<Argument>,
    /// The package that has it.
    pub(super) package: &'static str,
}

/// An argument of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// As it is.
    Plain(String),
    /// `secret,id=key-<id>,file=` and the path of a file in memory that holds the key and that
    /// closes once the program has it; so no key is ever in an argument.
    Secret(KeyId),
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl Argument {
    /// The argument, where `file` is the path of its key.
    pub(super) fn text(&self, file: &str) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Secret(key) => format!("secret,id={},file={file}", key_name(*key)),
        }
    }
}

/// How a key is called inside QEMU.
pub(super) fn key_name(key: KeyId) -> String {
    format!("key-{}", key.0)
}

impl Step {
    /// The call for a person to read; what only an answer can tell stands as `<name>`.
    pub(super) fn told(&self) -> NativeCall {
        match self {
            Self::Qmp { command, arguments } => {
                native("qmp", command_text(command, arguments.as_ref()))
            }
            Self::Until(until) => native("qmp", command_text(until.query(), None)),
            Self::Halt => native("qmp", command_text(Until::MigrationPaused.query(), None)),
            Self::Join {
                servers,
                folder,
                task,
            } => servers.told(folder, task),
            Self::Exec(exec) | Self::Spawn(exec) => native("exec", command_line(exec)),
            Self::Listen { name, host } => native(
                "qmp",
                format!(
                    "{} with a socket that listens on {host}",
                    command_text("getfd", Some(&serde_json::json!({ "fdname": name })))
                ),
            ),
            Self::End { patience_millis } => native(
                "qmp",
                format!(
                    "{} unless it ends within {patience_millis} ms; then KILL",
                    command_text("quit", None)
                ),
            ),
            Self::Secure { key, .. } => native(
                "qmp",
                format!("object-add tls-creds-psk of {}", key_name(*key)),
            ),
            Self::Expect { .. } => native("file", format!("write {}", super::record::MOVE)),
            Self::Drop { .. } => native("file", "write that it is dropped".to_owned()),
            Self::OpenDoor { host } => native("tcp", format!("listen on {host}")),
            Self::Call { door } => native("tcp", format!("connect to {door}")),
            Self::Give { .. } => native("file", format!("write {}", super::record::MOVE)),
            Self::Say => native("tcp", "say that the receiver may run it".to_owned()),
            Self::Abandon { .. } => native("qmp", command_text("migrate_cancel", None)),
            Self::Guest(command) => native("guest", command.told()),
            Self::SaveMachine(machine) => saved(machine.vm, super::record::MACHINE),
            Self::SaveProcess => native("file", format!("write {}", super::record::PROCESS)),
            Self::SaveMove(_) => native("file", format!("write {}", super::record::MOVE)),
            Self::Forget { record } => native("file", format!("remove {record}")),
            Self::ForgetAll => native("file", "remove the VM's folder".to_owned()),
            Self::Remove(path) => native("file", format!("remove {}", path.display())),
            Self::Rename { from, to } => native(
                "file",
                format!("rename {} to {}", from.display(), to.display()),
            ),
        }
    }
}

fn saved(vm: VmId, record: &str) -> NativeCall {
    native("file", format!("write {record} of {vm}"))
}

fn native(interface: &str, call: String) -> NativeCall {
    NativeCall {
        interface: interface.to_owned(),
        call,
    }
}

/// A command as a person would type it, keys left out.
fn command_line(exec: &Exec) -> String {
    let arguments = exec.arguments.iter().map(|argument| match argument {
        Argument::Plain(text) => text.clone(),
        Argument::Secret(_) => argument.text("<key>"),
    });
    let arguments: Vec<String> = arguments.collect();
    shell::line(
        [exec.program]
            .into_iter()
            .chain(arguments.iter().map(String::as_str)),
    )
}
