//! `gridwright node`: the nodes of a live grid.

use super::{Waiting, failed};
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use client::call::Client;
use control::backend::Command;
use control::shown::NodeShown;
use model::grid::NodeState;
use model::id::NodeId;
use std::io::Write;

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

/// What can be done with nodes.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// List all nodes
    List,
    /// Let a node take VMs
    Open(Named),
    /// Let a node take no more VMs; those that it has stay
    Close(Named),
    /// Send a node's VMs away, all or none, and let it take no more
    Drain(Named),
}

/// A node.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// Its name
    pub name: String,
    /// How it ends
    #[command(flatten)]
    pub waiting: Waiting,
}

/// Does it, and prints what came of it.
///
/// # Errors
/// Where the controller does not answer, or refuses it.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.live.client()?;
    let (named, state) = match &args.act {
        Act::List => {
            let nodes: Vec<NodeShown> = client.get("/v1/nodes").map_err(failed)?;
            return args.live.print(&nodes, table, out);
        }
        Act::Open(named) => (named, NodeState::Up),
        Act::Close(named) => (named, NodeState::Cordoned),
        Act::Drain(named) => (named, NodeState::Draining),
    };
    let node = find(&mut client, &named.name)?;
    let command = Command::Node { node, state };
    args.live.submit(&mut client, &command, &named.waiting, out)
}

/// The node of a name.
pub(super) fn find(client: &mut Client, name: &str) -> Result<NodeId, Failure> {
    let nodes: Vec<NodeShown> = client.get("/v1/nodes").map_err(failed)?;
    let found = nodes.iter().find(|node| node.name == name);
    found.map(|node| node.id).ok_or_else(|| {
        let hint = "`gridwright node list` tells their names";
        Failure::usage(format!("the grid has no node {name:?}"), hint)
    })
}

fn table(nodes: &[NodeShown]) -> Table {
    let head = [
        "node",
        "site",
        "rack",
        "hypervisor",
        "state",
        "VMs",
        "cores",
        "of",
        "GiB memory",
        "of",
        "GiB disk",
        "of",
    ];
    let row = |node: &NodeShown| {
        let share =
            |amount: u32, whole: u32| format!("{:.1}", f64::from(amount) / f64::from(whole));
        let (used, capacity) = (node.used, node.capacity);
        let state = match (node.is_reached, node.state == node.wish) {
            (true, true) => node.state.to_string(),
            (true, false) => format!("{} ({})", node.state, node.wish),
            (false, _) => format!("away ({})", node.wish),
        };
        vec![
            node.name.clone(),
            node.site.clone(),
            node.rack.clone(),
            node.hypervisor.clone(),
            state,
            node.vms.to_string(),
            share(used.cpu_milli.0, 1_000),
            share(capacity.cpu_milli.0, 1_000),
            share(used.mem_mib.0, 1_024),
            share(capacity.mem_mib.0, 1_024),
            used.disk_gib.0.to_string(),
            capacity.disk_gib.0.to_string(),
        ]
    };
    Table {
        head: head.map(str::to_owned).to_vec(),
        words: 5,
        rows: nodes.iter().map(row).collect(),
    }
}
