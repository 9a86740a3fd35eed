//! `gridwright-controller`: rules a grid.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use link::identity::Identity;
use link::membership::Role;
use link::token::{Secret, Token};
use model::time::Span;
use server::agents::Agents;
use server::api::Api;
use server::config::Config;
use server::door::Door;
use server::metrics::Metrics;
use server::ruler::{Clock, Reign, node_named};
use server::store::Store;
use server::vault::Vault;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long a token is good for, in hours.
const TOKEN_HOURS: u32 = 24;

/// How long connections that are being answered may take once the controller is to end.
const GRACE: Duration = Duration::from_millis(500);

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
        Bearer::Node { name } => {
            if node_named(&*config.grid()?, &name).is_none() {
                bail!("{} has no node {name:?}", config.grid.display());
            }
            Role::Node(name)
        }
        Bearer::Admin { name } => Role::Admin(name),
    };
    let controller = Identity::open(&config.folder)?.fingerprint();
    let secret = Secret::new()?;
    let until = Clock::start().now() + Span(i64::from(hours) * 3_600_000);
    Store::open(&config.folder)?.admit(&secret.digest(), &role, until)?;
    println!("{}", Token { controller, secret });
    Ok(())
}

fn serve(config: &Config) -> anyhow::Result<()> {
    let (grid, settings) = (config.grid()?, config.settings()?);
    let catalogue = Arc::new(settings.catalogue.clone());
    let identity = Identity::open(&config.folder)?;
    let _claim = claim(&config.folder)?;
    let mut store = Store::open(&config.folder)?;
    store.check(&grid)?;
    let vault = Vault::open(&config.folder)?;
    let (agents, metrics) = (Arc::<Agents>::default(), Arc::<Metrics>::default());
    let (reign, ruler) = Reign::new(
        settings,
        grid,
        store,
        vault,
        Arc::clone(&agents),
        Arc::clone(&metrics),
    )?;
    let clock = Clock::start();
    let peers = Store::open(&config.folder)?;
    let door = Door::new(ruler.clone(), agents, clock, identity.fingerprint(), peers);
    let api = Api {
        door: Arc::clone(&door),
        catalogue,
        metrics,
        start: clock.now().0.unsigned_abs(),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind(&config.listen));
    let listener = listener.with_context(|| format!("listen on {}", config.listen))?;
    tracing::info!("listening on {}", listener.local_addr()?);
    println!("{} {}", listener.local_addr()?, identity.fingerprint());
    let reigning = thread::Builder::new()
        .name("ruler".to_owned())
        .spawn(move || reign.run())?;
    runtime.spawn(async move {
        let opened = door.open(listener, &identity, api).await;
        tracing::error!("nobody is let in any more: {opened:?}");
    });
    let ending = ruler.clone();
    runtime.spawn(async move {
        if let Err(error) = told_to_end().await {
            tracing::error!("signals are not heard: {error}");
            return;
        }
        ending.end();
    });
    let ended = reigning.join();
    runtime.shutdown_timeout(GRACE);
    match ended {
        Ok(ended) => Ok(ended?),
        Err(_) => bail!("the controller broke down; nothing that was accepted is lost"),
    }
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

/// A folder has one controller.
fn claim(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder)?;
    let path = folder.join("lock");
    let lock = File::options().create(true).append(true).open(&path)?;
    if lock.try_lock().is_err() {
        bail!("another controller has {}", folder.display());
    }
    Ok(lock)
}
