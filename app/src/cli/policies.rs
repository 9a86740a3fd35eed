//! `gridwright policies`: the catalogue of rules of decision.

use super::failure::Failure;
use placement::policy::Policy;
use serde_json::{Value, json};
use std::io::Write;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Prints each policy's name, what it does and where it comes from.
///
/// # Errors
/// Where standard output takes no more.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        let list: Value = Policy::all().iter().map(entry_json).collect();
        return Ok(writeln!(out, "{list:#}")?);
    }
    for policy in Policy::all() {
        let entry = policy.entry();
        writeln!(out, "{}", policy.name())?;
        writeln!(out, "    {}", entry.description)?;
        writeln!(out, "    Source: {}", entry.source)?;
    }
    writeln!(out, "\nAnd best-of-K for any K from 1 to 64.")?;
    Ok(())
}

fn entry_json(policy: &Policy) -> Value {
    let entry = policy.entry();
    json!({
        "name": policy.name(),
        "title": entry.title,
        "description": entry.description,
        "source": entry.source,
        "search": entry.path.to_string(),
    })
}
