//! The command line: one verb a module; without a verb the window opens.
//!
//! - [`simulate`]: a trace on a grid under one or several policies
//! - [`check`]: all faults of designs, grids and rule chains
//! - [`plan`]: a design on a grid, with the reasons
//! - [`policies`]: the catalogue of policies
//! - [`live`]: the verbs that ask the controller of a live grid
//! - [`open`]: the window
//! - [`kind`], [`failure`], [`progress`], [`table`]: what the verbs share

pub mod check;
pub mod failure;
pub mod kind;
pub mod live;
pub mod open;
pub mod plan;
pub mod policies;
pub mod progress;
pub mod simulate;
pub mod table;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::io::{self, Write};

/// Draw a hosting configuration, try it on a simulated grid, deploy the very same thing on a live one.
///
/// Without a command the window opens.
#[derive(Debug, Parser)]
#[command(name = "gridwright", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do without a window.
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// What the window opens with.
    #[command(flatten)]
    pub open: open::Args,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What went wrong, for the user.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Some(verb) => verb.run(),
            None => open::run(self.open),
        }
    }
}

/// What the program does without a window.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a trace on a grid and print what came of it
    Simulate(simulate::Args),
    /// Check designs, grids and rule chains, and print all their faults
    Check(check::Args),
    /// Plan a design on a grid: its VMs, their nodes, and why
    Plan(plan::Args),
    /// List the policies that decide where VMs go
    Policies(policies::Args),
    /// Become an admin of a live grid
    Join(live::join::Args),
    /// List the nodes of a live grid, open, close and drain them
    Node(live::node::Args),
    /// List the VMs of a live grid, start, stop, move and delete them
    Vm(live::vm::Args),
    /// Deploy designs on a live grid, and withdraw them
    Design(live::design::Args),
    /// Look at what was asked of a live grid, and call it off
    Operation(live::operation::Args),
    /// Read the history of a live grid
    Event(live::event::Args),
    /// Let nodes and admins in to a live grid, or no more
    Peer(live::peer::Args),
}

impl Verb {
    /// Does it, and prints to standard output.
    ///
    /// # Errors
    /// What went wrong, for the user.
    pub fn run(&self) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        match self {
            Self::Simulate(args) => simulate::run(args, &mut out)?,
            Self::Check(args) => check::run(args, &mut out)?,
            Self::Plan(args) => plan::run(args, &mut out)?,
            Self::Policies(args) => policies::run(args, &mut out)?,
            Self::Join(args) => live::join::run(args, &mut out)?,
            Self::Node(args) => live::node::run(args, &mut out)?,
            Self::Vm(args) => live::vm::run(args, &mut out)?,
            Self::Design(args) => live::design::run(args, &mut out)?,
            Self::Operation(args) => live::operation::run(args, &mut out)?,
            Self::Event(args) => live::event::run(args, &mut out)?,
            Self::Peer(args) => live::peer::run(args, &mut out)?,
        }
        Ok(out.flush()?)
    }
}
