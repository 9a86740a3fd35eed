//! `gridwright join`: becomes an admin of a live grid.

use super::failed;
use crate::cli::failure::Failure;
use client::call::Client;
use link::token::Token;
use std::io::{self, Write};

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to ask
    #[command(flatten)]
    pub live: super::Asking,
    /// Where the controller listens
    #[arg(value_name = "HOST:PORT")]
    pub controller: String,
    /// What `gridwright-controller token admin NAME` printed; `-` reads it from standard input
    pub token: String,
}

/// Joins, and keeps what is needed to ask the controller.
///
/// # Errors
/// Where the controller is not there, is another one, or does not take the token.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let token = match args.token.as_str() {
        "-" => io::read_to_string(io::stdin()).map_err(Failure::failed)?,
        token => token.to_owned(),
    };
    let token: Token = token.parse().map_err(|error| Failure::usage_of(&error))?;
    let name = Client::join(&args.live.folder()?, &args.controller, &token).map_err(failed)?;
    Ok(writeln!(out, "joined as {name}")?)
}
