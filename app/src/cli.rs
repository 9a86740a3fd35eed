//! The command line: one verb a module; without a verb the window opens.
//!
//! - [`simulate`]: a trace on a grid under one or several policies
//! - [`check`]: all faults of designs, grids and rule chains
//! - [`plan`]: a design on a grid, with the reasons
//! - [`policies`]: the catalogue of policies
//! - [`open`]: the window
//! - [`kind`], [`failure`], [`progress`], [`table`]: what the verbs share

pub mod check;
pub mod failure;
pub mod kind;
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
        }
        Ok(out.flush()?)
    }
}
