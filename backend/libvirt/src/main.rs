//! `gridwright-libvirt`: the driver program for all that libvirt reaches.

use anyhow::Context;
use clap::Parser;
use libvirt::config::Config;
use libvirt::driver::Libvirt;
use std::path::PathBuf;

/// Drives a hypervisor by libvirt, for an agent that asks on standard input.
///
/// In `agent.toml`: driver = "outside", program = the path of this, arguments = [the path of its
/// configuration].
#[derive(Parser)]
#[command(name = "gridwright-libvirt", version)]
struct Arguments {
    /// The configuration, a TOML file with at least `uri`.
    config: PathBuf,
    /// The folder of what must be remembered; the agent gives it.
    folder: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Errors come back with each call; libvirt would print them a second time.
    virt::error::clear_error_callback();
    let driver = Libvirt::open(Config::read(&arguments.config)?, &arguments.folder)?;
    drivers::outside::serve::serve(&driver, std::io::stdin().lock(), std::io::stdout())
        .context("serve the agent")
}
