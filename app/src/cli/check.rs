//! `gridwright check`: all faults of designs, grids, rule chains and hypervisor profiles.

use super::failure::Failure;
use super::kind::Kind;
use super::table::counted;
use lab::read::{self, ReadError};
use model::fault::{Fault, Faults};
use model::grid::Grid;
use placement::rule::RuleChain;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Designs, grids, rule chains and hypervisor profiles; told apart by what they hold
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Prints a line a fault, and a line for each file without one.
///
/// # Errors
/// Where any file has a fault or cannot be read.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut faulty = 0;
    for path in &args.files {
        match sound(path) {
            Ok(what) => writeln!(out, "{}: ok, {what}", path.display())?,
            Err(error) => {
                faulty += 1;
                let told = Failure::of(&error);
                for line in told.text().lines() {
                    writeln!(out, "{line}")?;
                }
            }
        }
    }
    out.flush()?;
    match faulty {
        0 => Ok(()),
        1 if args.files.len() == 1 => Err(Failure::Said),
        _ => Err(Failure::failed(format!(
            "{faulty} of {} files are faulty",
            args.files.len()
        ))),
    }
}

/// What a file holds, in words.
fn sound(path: &Path) -> Result<String, ReadError> {
    let file = path.display().to_string();
    let faults = ReadError::Faults;
    match Kind::of_file(path)? {
        Some(Kind::Grid) => {
            let grid = read::grid(path)?;
            Ok(format!(
                "a grid of {}{}",
                counted(grid.nodes.len(), "node"),
                unpriced(&grid)
            ))
        }
        Some(Kind::Design) => {
            let topology = model::design_file::check_design(&file, &text(path)?).map_err(faults)?;
            let (components, links) = (topology.components().len(), topology.links().len());
            let (components, links) = (counted(components, "component"), counted(links, "link"));
            Ok(format!("a design of {components} and {links}"))
        }
        Some(Kind::RuleChain) => {
            let chain = RuleChain::read(&file, &text(path)?).map_err(faults)?;
            Ok(format!(
                "a chain of {}",
                counted(chain.rules().len(), "rule")
            ))
        }
        Some(Kind::Hypervisor) => {
            let profile = model::hypervisor_file::read_profile(&file, &text(path)?);
            Ok(format!("the profile of {}", profile.map_err(faults)?.title))
        }
        None => Err(faults(Faults(vec![Fault {
            file,
            found: "none of their tables".into(),
            expected: "[[component]] of a design, [[node]] of a grid or [[rule]] of a rule chain"
                .into(),
            ..Fault::default()
        }]))),
    }
}

/// Licences that nodes carry for nothing, as rules of licence-cost see them.
fn unpriced(grid: &Grid) -> String {
    let prices = &grid.licence_cost_milli_per_hour;
    let carried = grid.licences().into_iter();
    let free: Vec<&str> = carried.filter(|name| !prices.contains_key(*name)).collect();
    match free.is_empty() {
        true => String::new(),
        false => format!("; no [[licence]] gives a price for {}", free.join(", ")),
    }
}

/// A file's text.
pub(super) fn text(path: &Path) -> Result<String, ReadError> {
    std::fs::read_to_string(path).map_err(|source| ReadError::Io {
        path: path.display().to_string(),
        line: 0,
        source,
    })
}
