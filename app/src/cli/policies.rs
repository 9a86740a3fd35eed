//! `gridwright policies`: the catalogue of rules of decision.

use super::failure::Failure;
use model::samples::SampleFile;
use placement::policy::Policy;
use placement::rule::sample::CHAINS;
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
        let catalogue = Policy::all().into_iter().map(|policy| entry_json(&policy));
        let list: Value = catalogue.chain(CHAINS.iter().map(chain_json)).collect();
        return Ok(writeln!(out, "{list:#}")?);
    }
    for policy in Policy::all() {
        let entry = policy.entry();
        writeln!(out, "{}", policy.name())?;
        writeln!(out, "    {}", entry.description)?;
        writeln!(out, "    Source: {}", entry.source)?;
    }
    for chain in CHAINS {
        writeln!(out, "{}", chain.name)?;
        writeln!(out, "    {}.", chain.about)?;
        writeln!(
            out,
            "    A sample chain of rules; your own is named by its file's path"
        )?;
    }
    writeln!(out, "\nbest-of-K takes any K from 1 to 64.")?;
    Ok(())
}

fn chain_json(sample: &SampleFile) -> Value {
    json!({
        "name": sample.name,
        "title": sample.title,
        "description": sample.about,
        "source": "sample chain of rules",
    })
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
