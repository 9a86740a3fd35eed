//! `gridwright check`: all faults of designs, grids, rule chains and hypervisor profiles.

use super::failure::Failure;
use super::kind::Kind;
use super::table::counted;
use lab::read::{self, ReadError};
use model::fault::{Fault, Faults};
use model::grid::Grid;
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
            let (file, text) = read::text(path, "a design in TOML")?;
            let topology = model::design_file::check_design(&file, &text).map_err(faults)?;
            let (components, links) = (topology.components().len(), topology.links().len());
            let (components, links) = (counted(components, "component"), counted(links, "link"));
            Ok(format!("a design of {components} and {links}"))
        }
        Some(Kind::RuleChain) => {
            let chain = read::chain(path)?;
            Ok(format!(
                "a chain of {}",
                counted(chain.rules().len(), "rule")
            ))
        }
        Some(Kind::Hypervisor) => {
            let (file, text) = read::text(path, "a hypervisor profile in TOML")?;
            let profile = model::hypervisor_file::read_profile(&file, &text);
            Ok(format!("the profile of {}", profile.map_err(faults)?.title))
        }
        None => Err(faults(Faults(vec![Fault {
            file: path.display().to_string(),
            found: strange(path)?.into(),
            expected: "[[component]] of a design, [[node]] of a grid or [[rule]] of a rule chain"
                .into(),
            ..Fault::default()
        }]))),
    }
}

/// What a file that is none of ours is instead.
fn strange(path: &Path) -> Result<&'static str, ReadError> {
    if path.is_dir() {
        return Ok("a folder");
    }
    let start = read::start(path)?;
    Ok(match std::str::from_utf8(&start) {
        _ if start.is_empty() => "an empty file",
        Ok(text) if !text.contains('\0') => "none of their tables",
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => "none of their tables",
        _ => "bytes that are no text",
    })
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
