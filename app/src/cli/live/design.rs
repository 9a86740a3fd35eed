//! `gridwright design`: the designs that stand on a live grid.

use super::{Waiting, failed};
use crate::cli::failure::Failure;
use crate::cli::kind::Kind;
use crate::cli::table::Table;
use control::backend::Command;
use control::shown::DesignShown;
use lab::read;
use model::design_file::{check_design, read_design};
use std::io::Write;
use std::path::{Path, PathBuf};

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

/// What can be done with designs.
#[derive(Debug, clap::Subcommand)]
pub enum Act {
    /// List all deployed designs
    List,
    /// Let a design stand as its file draws it: anew, or changed where it stands already
    Deploy {
        /// The file
        #[arg(value_name = "PATH")]
        design: PathBuf,
        /// How it ends
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete all VMs of a design
    Withdraw {
        /// Its name
        name: String,
        /// Whose it is [default: the only tenant's who has one of this name]
        #[arg(long)]
        tenant: Option<String>,
        /// How it ends
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// Does it, and prints what came of it.
///
/// # Errors
/// Where the design is faulty, the controller does not answer, or it refuses.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let (command, waiting) = match &args.act {
        Act::List => {
            let mut client = args.live.client()?;
            let designs: Vec<DesignShown> = client.get("/v1/designs").map_err(failed)?;
            return args.live.print(&designs, table, out);
        }
        Act::Deploy { design, waiting } => (deploy(design)?, waiting),
        Act::Withdraw {
            name,
            tenant,
            waiting,
        } => (withdraw(args, name, tenant.as_deref())?, waiting),
    };
    let mut client = args.live.client()?;
    args.live.submit(&mut client, &command, waiting, out)
}

fn deploy(path: &Path) -> Result<Command, Failure> {
    Kind::Design.expect_of("PATH", path)?;
    let (file, text) = read::text(path, "a design in TOML").map_err(|error| Failure::of(&error))?;
    check_design(&file, &text).map_err(|faults| Failure::of(&faults))?;
    let design = read_design(&file, &text).map_err(|faults| Failure::of(&faults))?;
    Ok(Command::Deploy {
        design: Box::new(design),
        plan: None,
    })
}

fn withdraw(args: &Args, name: &str, tenant: Option<&str>) -> Result<Command, Failure> {
    let designs: Vec<DesignShown> = args.live.client()?.get("/v1/designs").map_err(failed)?;
    let is_meant = |design: &&DesignShown| {
        design.name == name && tenant.is_none_or(|tenant| design.tenant == tenant)
    };
    let found: Vec<&DesignShown> = designs.iter().filter(is_meant).collect();
    match found.as_slice() {
        [one] => Ok(Command::Withdraw {
            tenant: one.tenant.clone(),
            design: one.name.clone(),
        }),
        [] => {
            let hint = "`gridwright design list` tells their names";
            Err(Failure::usage(
                format!("no design {name:?} is deployed"),
                hint,
            ))
        }
        several => {
            let tenants: Vec<&str> = several.iter().map(|one| one.tenant.as_str()).collect();
            let hint = format!("tell whose by --tenant: {}", tenants.join(", "));
            Err(Failure::usage(
                format!("several tenants have a design {name:?}"),
                hint,
            ))
        }
    }
}

fn table(designs: &[DesignShown]) -> Table {
    let head = ["design", "tenant", "VMs", "running"];
    let row = |design: &DesignShown| {
        vec![
            design.name.clone(),
            design.tenant.clone(),
            design.vms.to_string(),
            design.running.to_string(),
        ]
    };
    Table {
        head: head.map(str::to_owned).to_vec(),
        words: 2,
        rows: designs.iter().map(row).collect(),
    }
}
