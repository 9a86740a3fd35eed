//! `gridwright plan`: a design on a grid: its VMs, their nodes, and why.

use super::failure::Failure;
use super::kind::Kind;
use super::simulate::policy;
use super::table::{Table, counted};
use lab::read::{self, ReadError};
use model::assignment::{AssignedVm, Assignment};
use model::design_file::check_design;
use model::grid::Grid;
use model::topology::Topology;
use model::units::{Dimension, Resources};
use model::view::View;
use model::vm::Demand;
use placement::assign::assign;
use placement::plan::{Lender, Planned, plan};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the verb is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The design
    #[arg(long, value_name = "PATH")]
    pub design: PathBuf,
    /// The grid, taken as empty
    #[arg(long, value_name = "PATH")]
    pub grid: PathBuf,
    /// How nodes are chosen: a name of `gridwright policies`, or a file with a rule chain
    #[arg(long, value_name = "NAME", default_value = "best-fit")]
    pub policy: String,
    /// Feeds policies that draw lots
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Tell for each VM which nodes were refused by what, and the scores of the rest
    #[arg(long)]
    pub explain: bool,
    /// Print one JSON object with assignment, plan and explanations
    #[arg(long)]
    pub json: bool,
}

/// Assigns, plans, prints.
///
/// # Errors
/// What is wrong with the files, or the VM that found no node.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let policy = policy(&args.policy)?;
    Kind::Design.expect_of("--design", &args.design)?;
    Kind::Grid.expect_of("--grid", &args.grid)?;
    let grid = Arc::new(read::grid(&args.grid).map_err(|error| Failure::of(&error))?);
    let topology = topology(&args.design).map_err(|error| Failure::of(&error))?;
    let assignment = assign(&topology, &grid).map_err(|error| Failure::of(&error))?;
    let view = View::empty(Arc::clone(&grid));
    let planned = plan(&assignment, &view, &policy.policy, args.seed);
    let planned = planned.map_err(|error| Failure::of(&error))?;
    if args.json {
        return Ok(writeln!(out, "{:#}", as_json(&assignment, &planned))?);
    }
    writeln!(
        out,
        "{} on {} by {}: {}",
        assignment.design,
        grid.name,
        policy.name,
        counted(assignment.vms.len(), "VM"),
    )?;
    for note in splits(&assignment, &topology) {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out)?;
    table(&assignment, &planned, &grid).print(out)?;
    let remote = remote_disks(&assignment, &planned);
    if !remote.rows.is_empty() {
        writeln!(out)?;
        remote.print(out)?;
    }
    if args.explain {
        for vm in &planned.vms {
            writeln!(out, "\n{} on {}", vm.name, vm.node)?;
            for place in &vm.kept_off {
                writeln!(out, "kept off {place}, where its group would not all fit")?;
            }
            if vm.short_of_lenders > 0 {
                let nodes = counted(vm.short_of_lenders, "node");
                writeln!(
                    out,
                    "kept off {nodes}, whose neighbours have too little disk to lend"
                )?;
            }
            for lender in &vm.lenders {
                let Lender {
                    node,
                    size_gib,
                    free_gib,
                } = lender;
                writeln!(out, "{node} lends {size_gib} GiB of {free_gib} free")?;
            }
            writeln!(out, "{}", vm.explanation)?;
        }
    }
    Ok(())
}

fn topology(path: &Path) -> Result<Topology, ReadError> {
    let (file, text) = read::text(path, "a design in TOML")?;
    check_design(&file, &text).map_err(ReadError::Faults)
}

/// A line for each component whose instances are larger than any node.
fn splits(assignment: &Assignment, topology: &Topology) -> Vec<String> {
    let components = topology.components().iter().enumerate();
    components
        .filter_map(|(place, component)| {
            let of_component = |vm: &&AssignedVm| vm.component.index() == place;
            let parts = assignment.vms.iter().filter(of_component);
            let most = parts.filter_map(|vm| vm.part).max()? + 1;
            let name = &component.name;
            Some(format!(
                "an instance of {name} is larger than a node can hold, and becomes {most} VMs"
            ))
        })
        .collect()
}

fn table(assignment: &Assignment, planned: &Planned, grid: &Grid) -> Table {
    let head = ["VM", "asks", "groups", "node", "rack", "site"];
    let rows = assignment.vms.iter().zip(&planned.plan.placements);
    let row = |(vm, placement): (&AssignedVm, &model::plan::Placement)| {
        let node = &grid.nodes[placement.node.index()];
        let groups: Vec<&str> = vm
            .groups
            .iter()
            .map(|group| assignment.groups[group.index()].name.as_str())
            .collect();
        let mut asks = match &vm.spec.demand {
            Demand::Fixed(resources) => in_words(*resources),
            Demand::ShareOfModel(_) => "a share of the node".to_owned(),
        };
        if vm.remote_disk_gib > 0 {
            asks += &format!(", {} GiB remote disk", vm.remote_disk_gib);
        }
        vec![
            vm.name.clone(),
            asks,
            groups.join(", "),
            node.name.clone(),
            grid.racks[node.rack.index()].name.clone(),
            grid.sites[grid.site_of(placement.node).index()]
                .name
                .clone(),
        ]
    };
    Table {
        words: head.len(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.map(row).collect(),
    }
}

/// A row for each piece of each remote disk.
fn remote_disks(assignment: &Assignment, planned: &Planned) -> Table {
    let head = ["remote disk of", "lent by", "GiB", "of free GiB"];
    let vms = assignment.vms.iter().zip(&planned.vms);
    let rows = vms.flat_map(|(vm, planned)| {
        let row = |lender: &Lender| {
            vec![
                vm.name.clone(),
                lender.node.clone(),
                lender.size_gib.to_string(),
                lender.free_gib.to_string(),
            ]
        };
        planned.lenders.iter().map(row)
    });
    Table {
        words: 2,
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// What is asked, in the units in which people ask: `2 cores, 4 GiB memory`.
fn in_words(asked: Resources) -> String {
    // Two decimals, as a table has room for.
    let share = |n: u32, whole: f64| (f64::from(n) * 100.0 / whole).round() / 100.0;
    let counted = |n: u32, noun: &str| {
        let plural = if n == 1_000 { "" } else { "s" };
        format!("{} {noun}{plural}", share(n, 1_000.0))
    };
    let words = Dimension::ALL.into_iter().filter_map(|dimension| {
        let amount = asked.in_dimension(dimension);
        (amount > 0).then(|| match dimension {
            Dimension::Cpu => counted(amount, "core"),
            Dimension::Mem => format!("{} GiB memory", share(amount, 1_024.0)),
            Dimension::Disk => format!("{amount} GiB disk"),
            Dimension::DiskIo => format!("{amount} IO/s"),
            Dimension::Net => format!("{amount} Mbit/s"),
            Dimension::Accel => counted(amount, "accelerator"),
        })
    });
    words.collect::<Vec<_>>().join(", ")
}

fn as_json(assignment: &Assignment, planned: &Planned) -> Value {
    let vms: Vec<Value> = planned
        .vms
        .iter()
        .map(|vm| {
            json!({
                "name": vm.name,
                "node": vm.node,
                "kept_off": vm.kept_off,
                "short_of_lenders": vm.short_of_lenders,
                "explanation": vm.explanation,
            })
        })
        .collect();
    json!({
        "assignment": assignment,
        "plan": planned.plan,
        "rounds": planned.rounds,
        "vms": vms,
    })
}
