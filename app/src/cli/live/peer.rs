//! `gridwright peer`: who may come in to a live grid.

use super::failed;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use hyper::Method;
use link::identity::Fingerprint;
use link::membership::{Peer, Role};
use serde::Deserialize;
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

/// What can be done with peers.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// List those who have joined
    List,
    /// Print a token that lets the agent of a node in, once
    AdmitNode {
        /// The node's name
        name: String,
    },
    /// Print a token that lets an admin in, once
    AdmitAdmin {
        /// Who it is
        name: String,
    },
    /// End a peer's connections, and let it in no more
    Revoke {
        /// Who it is, as `list` tells
        fingerprint: Fingerprint,
    },
}

#[derive(Deserialize)]
struct Granted {
    token: String,
}

/// Does it, and prints what came of it.
///
/// # Errors
/// Where the controller does not answer, or has no such node or peer.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let mut client = args.live.client()?;
    let role = match &args.act {
        Act::List => {
            let peers: Vec<Peer> = client.get("/v1/peers").map_err(failed)?;
            return args.live.print(&peers, table, out);
        }
        Act::Revoke { fingerprint } => {
            let path = format!("/v1/peers/{fingerprint}");
            client.delete(&path).map_err(failed)?;
            return Ok(writeln!(out, "{fingerprint} is let in no more")?);
        }
        Act::AdmitNode { name } => Role::Node(name.clone()),
        Act::AdmitAdmin { name } => Role::Admin(name.clone()),
    };
    let granted: Granted = client
        .send(Method::POST, "/v1/tokens", &role)
        .map_err(failed)?;
    Ok(writeln!(out, "{}", granted.token)?)
}

fn table(peers: &[Peer]) -> Table {
    let head = ["peer", "role"];
    let row = |peer: &Peer| vec![peer.fingerprint.to_string(), peer.role.to_string()];
    Table {
        words: head.len(),
        head: head.map(str::to_owned).to_vec(),
        rows: peers.iter().map(row).collect(),
    }
}
