//! `gridwright-controller`: rules a grid.

use clap::{Parser, Subcommand};
use link::membership::Role;
use model::time::Span;
use server::config::Config;
use server::serving::{self, Serving};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long a token is good for, in hours.
const TOKEN_HOURS: u32 = 24;

/// The controller of a Gridwright grid.
#[derive(Parser)]
#[command(name = "gridwright-controller", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/gridwright/controller.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the controller; the same as no command.
    Run {
        /// Logs as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Prints a token that lets somebody in once; whether the controller runs or not.
    Token {
        #[command(subcommand)]
        bearer: Bearer,
        /// For how many hours it is good.
        #[arg(long, global = true, default_value_t = TOKEN_HOURS)]
        hours: u32,
    },
}

#[derive(Subcommand)]
enum Bearer {
    /// The agent of a node, for `gridwright-agent join`.
    Node {
        /// The node's name in the grid's file.
        name: String,
    },
    /// Somebody who may ask for anything, for `gridwright join`.
    Admin {
        /// Who it is.
        name: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = Config::read(&arguments.config)?;
    match arguments.command.unwrap_or(Command::Run { json: false }) {
        Command::Run { json } => {
            log(json);
            serve(&config)
        }
        Command::Token { bearer, hours } => token(&config, bearer, hours),
    }
}

/// What `RUST_LOG` says, or all that happens in the grid.
fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match json {
        true => log.json().init(),
        false => log.init(),
    }
}

fn token(config: &Config, bearer: Bearer, hours: u32) -> anyhow::Result<()> {
    let role = match bearer {
        Bearer::Node { name } => Role::Node(name),
        Bearer::Admin { name } => Role::Admin(name),
    };
    let lives = Span(i64::from(hours) * 3_600_000);
    println!("{}", serving::token(config, &role, lives)?);
    Ok(())
}

fn serve(config: &Config) -> anyhow::Result<()> {
    let serving = Serving::start(config)?;
    println!("{} {}", serving.address(), serving.fingerprint());
    let ending = serving.ruler().clone();
    serving.runtime().spawn(async move {
        if let Err(error) = told_to_end().await {
            tracing::error!("signals are not heard: {error}");
            return;
        }
        ending.end();
    });
    Ok(serving.wait()?)
}

async fn told_to_end() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
