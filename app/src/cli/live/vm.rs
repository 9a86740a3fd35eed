//! `gridwright vm`: the VMs of a live grid.

use super::{Waiting, failed, node};
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use client::call::Client;
use control::backend::Command;
use control::shown::VmShown;
use model::id::VmId;
use model::order::{Shutdown, Verb};
use std::io::Write;

/// How long a guest may take over its shutdown, in milliseconds.
const SHUTDOWN_MILLIS: u32 = 60_000;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to ask
    #[command(flatten)]
    pub live: super::Asking,
    /// What to do
    #[command(subcommand)]
    pub act: Act,
}

/// What can be done with VMs.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// List all VMs
    List,
    /// Tell why a VM is on its node
    Why(Why),
    /// Boot a VM
    Start(Named),
    /// Shut a VM down
    Stop(Stop),
    /// Freeze a VM
    Pause(Named),
    /// Let a VM go on after a pause
    Resume(Named),
    /// Stop and start a VM
    Reboot(Named),
    /// Move a VM to another node of its hypervisor
    Move(Move),
    /// Wipe a VM and forget it
    Delete(Named),
}

/// A VM.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Its name, as web-0; with its design before it where several have one, as shop/web-0
    pub name: String,
    /// How it ends
    #[command(flatten)]
    pub waiting: Waiting,
}

/// A VM that is asked about.
#[derive(Debug, clap::Args)]
pub struct Why {
    /// Its name, as web-0; with its design before it where several have one, as shop/web-0
    pub name: String,
}

/// A VM that is to be shut down.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Which
    #[command(flatten)]
    pub named: Named,
    /// At once, as by pulling the plug
    #[arg(long)]
    pub force: bool,
}

/// A VM that is to move.
#[derive(Debug, clap::Args)]
pub struct Move {
    /// Which
    #[command(flatten)]
    pub named: Named,
    /// The node's name [default: the controller chooses]
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,
}

/// Does it, and prints what came of it.
///
/// # Errors
/// Where the controller does not answer, or refuses it.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.live.client()?;
    let (named, verb) = match &args.act {
        Act::List => {
            let vms: Vec<VmShown> = client.get("/v1/vms").map_err(failed)?;
            return args.live.print(&vms, table, out);
        }
        Act::Why(Why { name }) => {
            let vm = find_shown(&mut client, name)?;
            return args.live.print(&[vm], reasons, out);
        }
        Act::Move(Move { named, to }) => {
            let vm = find(&mut client, &named.name)?;
            let to = to.as_ref().map(|name| node::find(&mut client, name));
            let command = Command::Move {
                vm,
                to: to.transpose()?,
            };
            return args.live.submit(&mut client, &command, &named.waiting, out);
        }
        Act::Start(named) => (named, Verb::Start),
        Act::Stop(Stop { named, force }) => {
            let shutdown = match force {
                true => Shutdown::Forced,
                false => Shutdown::Asked {
                    patience_millis: SHUTDOWN_MILLIS,
                },
            };
            (named, Verb::Stop { shutdown })
        }
        Act::Pause(named) => (named, Verb::Pause),
        Act::Resume(named) => (named, Verb::Resume),
        Act::Reboot(named) => (named, Verb::Reboot),
        Act::Delete(named) => (named, Verb::Delete),
    };
    let vm = find(&mut client, &named.name)?;
    let command = Command::Vm { vm, verb };
    args.live.submit(&mut client, &command, &named.waiting, out)
}

/// The VM of a name.
fn find(client: &mut Client, name: &str) -> Result<VmId, Failure> {
    find_shown(client, name).map(|vm| vm.id)
}

fn find_shown(client: &mut Client, name: &str) -> Result<VmShown, Failure> {
    let vms: Vec<VmShown> = client.get("/v1/vms").map_err(failed)?;
    let (design, short) = match name.split_once('/') {
        Some((design, short)) => (Some(design), short),
        None => (None, name),
    };
    let is_meant = |vm: &&VmShown| {
        vm.name == short && design.is_none_or(|design| vm.design.as_deref() == Some(design))
    };
    let found: Vec<&VmShown> = vms.iter().filter(is_meant).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let hint = "`gridwright vm list` tells their names";
            Err(Failure::usage(format!("the grid has no VM {name:?}"), hint))
        }
        several => {
            let names: Vec<String> = several.iter().map(|vm| in_full(vm)).collect();
            let told = format!("{} VMs are named {name:?}", several.len());
            let hint = format!("tell which: {}", names.join(", "));
            Err(Failure::usage(told, hint))
        }
    }
}

fn in_full(vm: &VmShown) -> String {
    format!("{}/{}", vm.design.as_deref().unwrap_or("-"), vm.name)
}

/// Why VMs are on their nodes, a line for each thing that is known.
fn reasons(vms: &[VmShown]) -> Table {
    Table {
        head: ["VM", "why", ""].map(str::to_owned).to_vec(),
        words: 3,
        rows: vms.iter().flat_map(reasons_of).collect(),
    }
}

fn reasons_of(vm: &VmShown) -> Vec<Vec<String>> {
    let row = |what: &str, told: String| vec![in_full(vm), what.to_owned(), told];
    let Some(why) = &vm.why else {
        let asked = "whoever asked for it".to_owned();
        return vec![row("on node", vm.node.clone()), row("chosen by", asked)];
    };
    let next = why.runner_up.as_deref().unwrap_or("none");
    let mut rows = vec![
        row("on node", vm.node.clone()),
        row("chosen by", why.policy.clone()),
        row("next best", next.to_owned()),
        row("nodes that fitted", why.fitting.to_string()),
    ];
    for refused in &why.refused {
        let nodes = format!("{} ({})", refused.nodes, refused.what);
        rows.push(row(&format!("refused by {}", refused.filter), nodes));
    }
    rows
}

fn table(vms: &[VmShown]) -> Table {
    let head = [
        "VM",
        "tenant",
        "node",
        "state",
        "wish",
        "set up",
        "addresses",
        "cores",
        "MiB",
        "GiB",
    ];
    let row = |vm: &VmShown| {
        let node = match &vm.arriving {
            Some(to) => format!("{} → {to}", vm.node),
            None => vm.node.clone(),
        };
        let wish = match vm.wish {
            control::record::Wish::Running => "running",
            control::record::Wish::Stopped => "stopped",
            control::record::Wish::Gone => "gone",
        };
        let addresses: Vec<String> = vm.addresses.iter().map(ToString::to_string).collect();
        vec![
            in_full(vm),
            vm.tenant.clone(),
            node,
            vm.state
                .map_or("unknown".to_owned(), |state| state.to_string()),
            wish.to_owned(),
            if vm.is_configured { "yes" } else { "" }.to_owned(),
            addresses.join(", "),
            format!("{:.1}", f64::from(vm.resources.cpu_milli.0) / 1_000.0),
            vm.resources.mem_mib.0.to_string(),
            vm.resources.disk_gib.0.to_string(),
        ]
    };
    Table {
        head: head.map(str::to_owned).to_vec(),
        words: 7,
        rows: vms.iter().map(row).collect(),
    }
}
