//! `gridwright operation`: what was asked of a live grid.

use super::{failed, wait};
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use client::call::Client;
use control::shown::{OperationShown, OperationState, TaskShown};
use model::id::OperationId;
use std::io::Write;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to ask
    #[command(flatten)]
    pub live: super::Asking,
    /// What to do
    #[command(subcommand)]
    pub act: Act,
}

/// What can be done with operations.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// List operations, the newest last
    List,
    /// Show an operation with its orders
    Show {
        /// Its number
        id: u64,
    },
    /// Wait for an operation's end
    Wait {
        /// Its number
        id: u64,
    },
    /// End an operation early; what it has done is undone
    Cancel {
        /// Its number
        id: u64,
    },
}

/// Does it, and prints what came of it.
///
/// # Errors
/// Where the controller does not answer, or knows no such operation.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.live.client()?;
    match &args.act {
        Act::List => {
            let mut all: Vec<OperationShown> = client.get("/v1/operations").map_err(failed)?;
            // The latest last, where the next prompt is.
            all.reverse();
            args.live.print(&all, table, out)
        }
        Act::Show { id } => {
            let shown = look(&mut client, *id)?;
            if args.live.json {
                return args.live.print_json(&shown, out);
            }
            writeln!(out, "{}: {}: {}", shown.id, shown.what, word(&shown.state))?;
            Ok(tasks(&shown.tasks).print(out)?)
        }
        Act::Wait { id } => {
            let shown = look(&mut client, *id)?;
            let shown = wait(&mut client, OperationId(*id), shown)?;
            args.live.tell(&shown, out)
        }
        Act::Cancel { id } => {
            let shown = client.call_off(OperationId(*id)).map_err(failed)?;
            args.live.tell(&shown, out)
        }
    }
}

fn look(client: &mut Client, id: u64) -> Result<OperationShown, Failure> {
    client.get(&format!("/v1/operations/{id}")).map_err(failed)
}

fn word(state: &OperationState) -> String {
    let title = state.title();
    match state {
        OperationState::TurningBack { reason }
        | OperationState::Failed { reason }
        | OperationState::Refused { reason, .. } => format!("{title}: {reason}"),
        OperationState::Waiting
        | OperationState::Running
        | OperationState::Done
        | OperationState::Cancelled => title.to_owned(),
    }
}

fn table(operations: &[OperationShown]) -> Table {
    let head = ["operation", "what", "state"];
    let row = |operation: &OperationShown| {
        vec![
            operation.id.0.to_string(),
            operation.what.clone(),
            word(&operation.state),
        ]
    };
    Table {
        words: head.len(),
        head: head.map(str::to_owned).to_vec(),
        rows: operations.iter().map(row).collect(),
    }
}

fn tasks(tasks: &[TaskShown]) -> Table {
    let head = ["VM", "node", "order", "state", "%"];
    let row = |task: &TaskShown| {
        let done = task.done_milli.map(|milli| (milli / 10).to_string());
        vec![
            task.vm.clone(),
            task.node.clone(),
            task.what.clone(),
            task.state.clone(),
            done.unwrap_or_default(),
        ]
    };
    Table {
        words: 4,
        head: head.map(str::to_owned).to_vec(),
        rows: tasks.iter().map(row).collect(),
    }
}
