//! `gridwright-driver-kit`: holds a driver to the common suite, and one that is a program of its own
//! to the protocol too.

use anyhow::Context;
use clap::Parser;
use kit::author::{Author, BuiltIn, Machines};
use kit::conformance::Subject;
use kit::raw::PATIENCE;
use kit::{conformance, kills, manners};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Holds a driver to all that Gridwright expects of one.
///
/// Nothing is printed but what was tried; the first check that fails ends the program with what was
/// expected, and leaves the scratch folder for a look.
#[derive(Parser)]
#[command(name = "gridwright-driver-kit", version)]
struct Arguments {
    /// The driver program.
    #[arg(required_unless_present = "built_in")]
    driver: Option<PathBuf>,
    /// Its arguments; its folder comes after them.
    arguments: Vec<String>,
    /// Instead of a program, a driver of the agent's own, where its hypervisor is.
    #[arg(long, conflicts_with = "driver", value_parser = BuiltIn::KNOWN)]
    built_in: Option<String>,
    /// Program that is called with a VM's number and a folder, makes there what the VM needs (disks,
    /// or a root), and prints the machine as JSON.
    #[arg(long)]
    machine: PathBuf,
    /// What a guest writes to its console log once it is up; without it, a VM is up when it runs.
    #[arg(long)]
    marker: Option<String>,
    /// How long a guest may take to write it.
    #[arg(long, default_value_t = PATIENCE.as_secs())]
    patience_seconds: u64,
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
    println!("scratch folder: {}", scratch.display());
    let machines = Machines {
        maker: found(arguments.machine)?,
        marker: arguments.marker,
        patience: Duration::from_secs(arguments.patience_seconds),
        scratch: scratch.clone(),
    };
    let name = match (arguments.built_in, arguments.driver) {
        (Some(name), _) => {
            common(&BuiltIn::new(&name, machines));
            name
        }
        (None, driver) => {
            let path = found(driver.expect("clap has asked for it"))?;
            let name = path.display().to_string();
            let mut author = Author::new(path, machines);
            author.program.arguments = arguments.arguments;
            outside(&author);
            name
        }
    };
    std::fs::remove_dir_all(&scratch).context("remove the scratch folder")?;
    println!("{name} conforms");
    Ok(())
}

/// What every driver is held to.
fn common(subject: &dyn Subject) {
    tried("the probe", || conformance::fingerprints(subject));
    tried("every state and every act", || {
        conformance::follows_the_table(subject);
    });
    tried("repeats and recovery", || {
        conformance::repeats_and_recovers(subject);
    });
}

/// What a program is held to beside that.
fn outside(author: &Author) {
    tried("messages that mean nothing", || {
        manners::refuses_what_means_nothing(author);
    });
    tried("acts called off", || {
        manners::ends_what_is_called_off(author);
    });
    tried("a slow listener", || {
        manners::answers_a_slow_listener(author);
    });
    common(author);
    tried("death at every message", || {
        println!("  killed {} times", kills::survives_every_kill(author));
    });
}

/// Runs one check and says how long it took.
fn tried(what: &str, check: impl FnOnce()) {
    println!("{what} …");
    let begun = Instant::now();
    check();
    println!("  held, {:.1} s", begun.elapsed().as_secs_f64());
}
