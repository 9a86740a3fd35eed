//! `gridwright-agent`: the agent of one node, its watchdog, and what an admin at the node asks it.

use agent::driver::Driver;
use agent::naming::Plugging;
use agent::watch::{CalledOff, Unwatched, Watch};
use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use drivers::qemu::kvm_works;
use image::utility::use_for_all;
use indicatif::{ProgressBar, ProgressStyle};
use link::frame;
use link::protocol::{Answer, HexKey, Request};
use live::calling;
use live::config::{Config, Listen};
use live::hands::Hand;
use live::hypervisor;
use live::lending::{Lending, servers};
use live::moves::Moves;
use live::network::{Change, Network};
use live::node::{Claim, Node, Tools};
use live::plugs::UserNetwork;
use live::socket;
use live::watchdog::{self, Keeper};
use model::hypervisor::Arch;
use model::id::{KeyId, OperationId, VmId};
use model::order::Order;
use model::report::Outcome;
use model::time::Span;
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The agent of one Gridwright node.
#[derive(Parser)]
#[command(name = "gridwright-agent", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/gridwright/agent.toml")]
    config: PathBuf,
    /// Takes the place of `listen` of the configuration: unix:PATH or ADDRESS:PORT.
    #[arg(long, global = true)]
    listen: Option<Listen>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the agent; the same as no command.
    Run,
    /// Stops the highly available VMs once the lease lapses; the agent starts it by itself.
    Watchdog,
    /// Joins the grid of a controller, which the agent calls from then on.
    Join {
        /// Where the controller listens, as HOST:PORT.
        controller: String,
        /// What `gridwright-controller token node NAME` printed; `-` reads it from standard input.
        token: String,
    },
    /// Stops a VM at once, without the agent; for the watchdog.
    Halt {
        /// The VM's number.
        vm: u64,
    },
    /// Serves a volume, as its standard input says; the agent starts it by itself.
    ServeVolume {
        /// The server's folder.
        folder: PathBuf,
    },
    /// Sends an order and follows it to its end.
    Order {
        /// A JSON file: the order, or an object with `order` and `keys`.
        file: PathBuf,
    },
    /// Shows what an order would do now, down to the hypervisor's own calls.
    DryRun {
        /// As for `order`.
        file: PathBuf,
    },
    /// Ends an operation early.
    CallOff {
        /// The operation's number.
        operation: u64,
    },
    /// Renews the lease.
    Renew {
        /// For how many seconds from now.
        seconds: u32,
    },
    /// Shows what the agent knows.
    Status,
    /// Shows the calls that were made to the hypervisor.
    Log {
        /// Of this operation only.
        #[arg(long)]
        operation: Option<u64>,
    },
    /// Shows all reports from now on, one JSON object a line.
    Follow,
}

/// An order in a file, with keys.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum OrderFile {
    WithKeys {
        order: Box<Order>,
        keys: Vec<(KeyId, HexKey)>,
    },
    Plain(Box<Order>),
}

/// How long a halting hypervisor may take; the watchdog tries again.
const HALT_PATIENCE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Command::ServeVolume { folder }) = arguments.command {
        drivers::volume::server::run(&folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = Config::read(&arguments.config)?;
    if let Some(listen) = arguments.listen {
        config.listen = Some(listen);
    }
    let command = arguments.command.unwrap_or(Command::Run);
    match command {
        Command::Run => serve(config, &arguments.config)?,
        Command::Join { controller, token } => join(&config.root, &controller, &token)?,
        Command::Watchdog => watchdog::watch(&config.root).context("watch")?,
        Command::ServeVolume { .. } => unreachable!("it needs no configuration"),
        Command::Halt { vm } => halt(&*hypervisor::open(&config)?, VmId(vm))?,
        Command::Order { file } => return order(&config.listen(), &file),
        Command::DryRun { file } => dry_run(&config.listen(), &file)?,
        Command::CallOff { operation } => {
            let operation = OperationId(operation);
            ask(&config.listen(), &Request::CallOff { operation })?;
        }
        Command::Renew { seconds } => {
            let span = Span(i64::from(seconds) * 1_000);
            ask(&config.listen(), &Request::Renew { span, from: None })?;
        }
        Command::Status => {
            let answer = ask(&config.listen(), &Request::Status)?;
            let Answer::Status { status } = answer else {
                bail!("an answer to something else: {answer:?}");
            };
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        Command::Log { operation } => {
            let operation = operation.map(OperationId);
            log(&config.listen(), operation)?;
        }
        Command::Follow => follow(&config.listen())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(mut config: Config, file: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("find this program")?;
    let words = |command: &str| -> anyhow::Result<Vec<String>> {
        let parts = [
            program.as_os_str(),
            "--config".as_ref(),
            file.canonicalize()?.as_os_str(),
        ]
        .map(|part| part.to_str().map(str::to_owned));
        let parts: Option<Vec<String>> = parts.into_iter().collect();
        let mut parts = parts.context("the program's path is no UTF-8")?;
        parts.push(command.to_owned());
        Ok(parts)
    };
    let claim = Claim::new(&config.root)?;
    open_utility(&mut config)?;
    let disks = config.disks()?;
    disks.sweep().context("sweep what was left unfinished")?;
    let driver = hypervisor::open(&config)?;
    let moves = Moves::open(&config.root, driver.clone());
    let lending = Lending::new(config.root.clone(), servers()?);
    let tools = Tools {
        claim,
        driver,
        disks: Arc::new(disks),
        network: network(&config)?,
        moves: Arc::new(moves.context("listen for VMs that move here")?),
        lending: Arc::new(lending),
        keeper: Keeper {
            root: config.root.clone(),
            start: words("watchdog")?,
            stop: words("halt")?,
        },
    };
    let (root, listen) = (config.root.clone(), config.listen());
    let (node, ender) = Node::open(config, tools)?;
    calling::start(&root, &listen).context("call the controller")?;
    ctrlc::set_handler(move || ender.end()).context("hear signals")?;
    Ok(node.run()?)
}

fn join(root: &Path, controller: &str, token: &str) -> anyhow::Result<()> {
    let token = match token {
        "-" => std::io::read_to_string(std::io::stdin())?,
        token => token.to_owned(),
    };
    let name = calling::join(root, controller, &token.parse()?)?;
    println!("this node is {name} from now on");
    Ok(())
}

/// Before anything foreign is opened.
fn open_utility(config: &mut Config) -> anyhow::Result<()> {
    let asked = config.utility.is_some();
    let works = || Arch::from_str(std::env::consts::ARCH).is_ok_and(kvm_works);
    match config.open_utility(works)? {
        Some(utility) => use_for_all(utility),
        None if asked => {
            eprintln!(
                "there is no utility VM, as KVM does not work; hint: force = true emulates it"
            );
        }
        None => {}
    }
    Ok(())
}

/// What a killed agent left of networks is put right before anything else happens.
fn network(config: &Config) -> anyhow::Result<Arc<dyn Hand>> {
    if config.plugging() == Plugging::User {
        return Ok(Arc::new(UserNetwork));
    }
    let network = Network::open(config.network()?)?;
    let vms = network.list().into_iter().map(|port| port.vm).collect();
    network.perform(&Change::Recover { vms }, &Unwatched)?;
    Ok(Arc::new(network))
}

fn halt(driver: &dyn Driver, vm: VmId) -> anyhow::Result<()> {
    struct Patience(Instant);
    impl Watch for Patience {
        fn progressed(&self, _done_milli: u16) {}
        fn calling(&self, _call: &agent::driver::NativeCall) {}
        fn checkpoint(&self) -> Result<(), CalledOff> {
            if self.0.elapsed() > HALT_PATIENCE {
                return Err(CalledOff::Expired);
            }
            Ok(())
        }
    }
    Ok(driver.halt(vm, &Patience(Instant::now()))?)
}

type WithKeys = (Box<Order>, Vec<(KeyId, HexKey)>);

fn read(file: &Path) -> anyhow::Result<WithKeys> {
    let shown = file.display();
    let text = read_wiped(file).with_context(|| format!("read {shown}"))?;
    let order = serde_json::from_slice(&text).with_context(|| format!("{shown} is no order"))?;
    Ok(match order {
        OrderFile::WithKeys { order, keys } => (order, keys),
        OrderFile::Plain(order) => (order, Vec::new()),
    })
}

/// A file that may hold keys, wiped when dropped.
fn read_wiped(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    // Made in full length at once, as a vector that grows leaves copies behind; a pipe tells none.
    let most = u64::from(frame::MOST_BYTES);
    let length = if metadata.is_file() {
        metadata.len().min(most)
    } else {
        most
    };
    // What is read to its end is asked for once more.
    let mut text = Zeroizing::new(Vec::with_capacity(length as usize + 64));
    file.take(most).read_to_end(&mut text)?;
    Ok(text)
}

/// Sends an order and prints what becomes of it: on a terminal how far it is, in place, and in any
/// case a line of JSON for each step that begins or has broken. The exit code tells whether it was
/// carried out.
fn order(to: &Listen, file: &Path) -> anyhow::Result<ExitCode> {
    let (order, keys) = read(file)?;
    let operation = order.operation;
    let mut stream = connect(to)?;
    frame::send(&mut stream, &Request::Follow)?;
    frame::send(&mut stream, &Request::Order { order, keys })?;
    let bar = progress();
    let mut under_way = String::new();
    while let Some(answer) = frame::receive(&mut stream)? {
        let report = match answer {
            Answer::Reported { report } if report.operation == Some(operation) => report,
            Answer::Refused { reason } => bail!(reason),
            _ => continue,
        };
        if let Outcome::Progressed { step, done_milli } = &report.outcome {
            bar.set_message(step.clone());
            bar.set_position(u64::from(*done_milli));
            if *step == under_way {
                continue;
            }
            under_way.clone_from(step);
        }
        let line = serde_json::to_string(&report)?;
        bar.suspend(|| println!("{line}"));
        match &report.outcome {
            Outcome::Done => return Ok(ExitCode::SUCCESS),
            Outcome::Refused { .. }
            | Outcome::Failed { .. }
            | Outcome::Cancelled
            | Outcome::KeysWanted { .. } => return Ok(ExitCode::FAILURE),
            _ => {}
        }
    }
    bail!("the agent has ended; hint: send the order again once it is back")
}

/// A line in place on the terminal; nothing where the standard error is none.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {percent} %");
    let bar = ProgressBar::new(1_000);
    bar.set_style(style.expect("the template is well formed"));
    bar
}

fn dry_run(to: &Listen, file: &Path) -> anyhow::Result<()> {
    let (order, _) = read(file)?;
    let Answer::DryRun { steps } = ask(to, &Request::DryRun { order })? else {
        bail!("an answer to something else");
    };
    for step in steps {
        println!("{}", step.step);
        match step.calls {
            Ok(calls) => calls
                .iter()
                .for_each(|call| println!("    {} {}", call.interface, call.call)),
            Err(why) => println!("    not known yet: {why}"),
        }
    }
    Ok(())
}

fn log(to: &Listen, operation: Option<OperationId>) -> anyhow::Result<()> {
    let Answer::Log { calls } = ask(to, &Request::Log { operation })? else {
        bail!("an answer to something else");
    };
    for (operation, call) in calls {
        println!("{operation}: {} {}", call.interface, call.call);
    }
    Ok(())
}

fn follow(to: &Listen) -> anyhow::Result<()> {
    let mut stream = connect(to)?;
    frame::send(&mut stream, &Request::Follow)?;
    while let Some(answer) = frame::receive(&mut stream)? {
        if let Answer::Reported { report } = answer {
            println!("{}", serde_json::to_string(&report)?);
        }
    }
    Ok(())
}

fn ask(to: &Listen, request: &Request) -> anyhow::Result<Answer> {
    let mut stream = connect(to)?;
    frame::send(&mut stream, request)?;
    match frame::receive(&mut stream)? {
        Some(Answer::Refused { reason }) => bail!(reason),
        Some(answer) => Ok(answer),
        None => bail!("the agent has ended"),
    }
}

fn connect(to: &Listen) -> anyhow::Result<UnixStream> {
    socket::connect(to).with_context(|| format!("no agent listens at {to:?}"))
}
