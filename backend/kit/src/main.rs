//! `gridwright-driver-kit`: holds a driver program to the protocol and to the common suite.

use anyhow::Context;
use clap::Parser;
use kit::author::Author;
use kit::raw::Outsider;
use kit::{conformance, kills, manners};
use std::path::PathBuf;
use std::time::Instant;

/// Holds a driver program to all that Gridwright expects of one.
///
/// Nothing is printed but what was tried; the first check that fails ends the program with what was
/// expected, and leaves the scratch folder for a look.
#[derive(Parser)]
#[command(name = "gridwright-driver-kit", version)]
struct Arguments {
    /// The driver program.
    driver: PathBuf,
    /// Its arguments; its folder comes after them.
    arguments: Vec<String>,
    /// Program that is called with a VM's number and a folder, makes there what the VM needs (disks,
    /// or a root), and prints the machine as JSON.
    #[arg(long)]
    machine: PathBuf,
    /// What a guest writes to its console log once it is up; without it, a VM is up when it runs.
    #[arg(long)]
    marker: Option<String>,
    /// Folder for all that is made; a new one in the system's folder for such if left out.
    #[arg(long)]
    scratch: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let scratch = match arguments.scratch {
        Some(scratch) => scratch,
        None => tempfile::tempdir().context("make a scratch folder")?.keep(),
    };
    let found = |path: PathBuf| {
        path.canonicalize()
            .with_context(|| format!("find {}", path.display()))
    };
    let (driver, machine) = (found(arguments.driver)?, found(arguments.machine)?);
    println!("scratch folder: {}", scratch.display());
    let mut author = Author::new(driver, machine, scratch.clone());
    author.program.arguments = arguments.arguments;
    author.marker = arguments.marker;

    tried("the greeting and the probe", || {
        conformance::fingerprints(&author)
    });
    tried("messages that mean nothing", || {
        manners::refuses_what_means_nothing(&author)
    });
    tried("acts called off", || {
        manners::ends_what_is_called_off(&author)
    });
    tried("a slow listener", || {
        manners::answers_a_slow_listener(&author)
    });
    tried("every state and every act", || {
        conformance::follows_the_table(&author)
    });
    tried("repeats and recovery", || {
        conformance::repeats_and_recovers(&author)
    });
    tried("death at every message", || {
        println!("  killed {} times", kills::survives_every_kill(&author));
    });
    std::fs::remove_dir_all(&scratch).context("remove the scratch folder")?;
    println!("{} conforms", author.program().path.display());
    Ok(())
}

/// Runs one check and says how long it took.
fn tried(what: &str, check: impl FnOnce()) {
    println!("{what} …");
    let begun = Instant::now();
    check();
    println!("  held, {:.1} s", begun.elapsed().as_secs_f64());
}
