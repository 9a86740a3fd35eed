//! What the verbs that ask a controller share: whom they ask, how they wait, and what they print.
//!
//! - [`join`]: becomes an admin of a live grid
//! - [`node`], [`vm`], [`design`]: what is there, and what is to become of it
//! - [`operation`], [`event`]: what was asked, and what happened
//! - [`peer`]: who may come in

pub mod design;
pub mod event;
pub mod join;
pub mod node;
pub mod operation;
pub mod peer;
pub mod vm;

use super::failure::{Failure, Message};
use super::table::Table;
use client::call::{CallError, Client, new_operation, usual_folder};
use control::backend::Command;
use control::shown::{OperationShown, OperationState};
use indicatif::{ProgressBar, ProgressStyle};
use model::id::OperationId;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How often a controller is asked how far an operation is.
const LOOK: Duration = Duration::from_millis(300);

/// How long a controller may be away while an operation is waited for: it is started again meanwhile.
const AWAY: Duration = Duration::from_secs(60);

/// Whom a verb asks, and how it tells.
#[derive(Debug, clap::Args)]
pub struct Asking {
    /// The folder of what `gridwright join` has kept [default: gridwright in the user's configuration]
    #[arg(long, env = "GRIDWRIGHT_FOLDER", value_name = "PATH", global = true)]
    pub folder: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// How a verb that changes something ends.
#[derive(Debug, clap::Args)]
pub struct Waiting {
    /// Do not wait for the end: print the operation, and leave it to the controller
    #[arg(long, global = true)]
    pub detach: bool,
}

impl Asking {
    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        usual_folder().ok_or_else(|| {
            let hint = "tell the folder by --folder or GRIDWRIGHT_FOLDER";
            Failure::usage("this user has no home", hint)
        })
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::open(&self.folder()?).map_err(failed)
    }

    /// Prints a list: a table, or JSON.
    fn print<T: Serialize>(
        &self,
        list: &[T],
        table: impl FnOnce(&[T]) -> Table,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        if self.json {
            return self.print_json(&list, out);
        }
        Ok(table(list).print(out)?)
    }

    fn print_json(&self, value: &impl Serialize, out: &mut dyn Write) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
        Ok(writeln!(out, "{text}")?)
    }

    /// Asks for something, and waits for its end unless told otherwise.
    fn submit(
        &self,
        client: &mut Client,
        command: &Command,
        waiting: &Waiting,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let operation = new_operation().map_err(Failure::failed)?;
        let mut shown = client.submit(operation, command).map_err(failed)?;
        if !waiting.detach {
            shown = wait(client, operation, shown)?;
        }
        self.tell(&shown, out)
    }

    /// Tells how an operation stands; fails where it has failed.
    fn tell(&self, shown: &OperationShown, out: &mut dyn Write) -> Result<(), Failure> {
        if self.json {
            self.print_json(shown, out)?;
        }
        let OperationShown { id, what, .. } = shown;
        let told = match &shown.state {
            state @ (OperationState::Waiting
            | OperationState::Running
            | OperationState::TurningBack { .. }) => format!("{id}: {what}: {}", state.title()),
            OperationState::Done => format!("{what}: done"),
            OperationState::Failed { .. }
            | OperationState::Cancelled
            | OperationState::Refused { .. }
                if self.json =>
            {
                out.flush()?;
                return Err(Failure::Said);
            }
            OperationState::Failed { reason } => {
                return Err(Failure::failed(format!("{what}: {reason}")));
            }
            OperationState::Cancelled => {
                return Err(Failure::failed(format!("{what}: it was cancelled")));
            }
            OperationState::Refused { reason, hint } => {
                return Err(Failure::Failed(Message {
                    text: reason.clone(),
                    hint: Some(hint.clone()),
                }));
            }
        };
        if !self.json {
            writeln!(out, "{told}")?;
        }
        Ok(())
    }
}

/// Waits for an operation's end; on a terminal it shows how far it is.
fn wait(
    client: &mut Client,
    operation: OperationId,
    mut shown: OperationShown,
) -> Result<OperationShown, Failure> {
    let style = ProgressStyle::with_template("{spinner} {msg}");
    let bar = ProgressBar::new_spinner().with_style(style.expect("the template is well formed"));
    let mut away = Duration::ZERO;
    while !shown.state.is_over() {
        bar.set_message(under_way(&shown));
        bar.tick();
        thread::sleep(LOOK);
        match client.get(&format!("/v1/operations/{}", operation.0)) {
            Ok(newer) => {
                shown = newer;
                away = Duration::ZERO;
            }
            Err(CallError::Io(_) | CallError::Http(_)) if away < AWAY => away += LOOK,
            Err(error) => return Err(failed(error)),
        }
    }
    bar.finish_and_clear();
    Ok(shown)
}

/// How far an operation is: orders that are over, of all, and what is under way.
fn under_way(shown: &OperationShown) -> String {
    let (over, all) = (shown.orders_over(), shown.tasks.len());
    format!("{}: {over} of {all}  {}", shown.what, shown.details())
}

fn failed(error: CallError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    match hint {
        Some(_) => Failure::Failed(Message {
            text: error.to_string(),
            hint,
        }),
        None => Failure::of(&error),
    }
}
