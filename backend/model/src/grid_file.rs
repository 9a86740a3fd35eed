//! Reads grid files: single nodes and groups with counts, and everything else by default.
//!
//! At the top stand `version = 1`, `name` (else the file's), `generation` (else 0), and any number
//! of `[[hypervisor]]` tables: profiles as in `assets/hypervisors/`, which add to the shipped ones,
//! or change the given keys of the one of their name. Each `[[licence]]` gives a licence's `name`
//! and its `cost_per_hour` on one node, in the currency of the nodes' own cost: what leaving it
//! unused wastes. One that nodes carry and that has no price costs nothing. Each `[[node]]` has:
//!
//! | Key | Is | Else |
//! |---|---|---|
//! | `name` | name of the node, or of the group: `name-0`, `name-1`, … | required |
//! | `count` | how many equal nodes | one, named `name` |
//! | `first`, `digits` | number of the first; digits of each, filled up with zeros | 0, 1 |
//! | `cpu_cores` or `cpu_milli` | cores, or thousandths of one | required |
//! | `mem_gib` or `mem_mib` | memory | required |
//! | `disk_gib`, `disk_iops`, `net_mbps` | disk space, operations a second, bandwidth | 3576, 200000, 10000 |
//! | `reserve` | `{ cpu_cores, mem_gib }` that the node keeps for itself | nothing |
//! | `hypervisor` | a profile | required |
//! | `arch` | one that the hypervisor rules | its first |
//! | `model` | hardware model, by which traces tell what is legal | none |
//! | `accelerators` | `{ model, count }` of each node | none |
//! | `site` | where the nodes stand | `main` |
//! | `rack`, `racks` or `nodes_per_rack` | one rack by name; that many new ones; so many nodes in each of `r0`, `r1`, … | 40 a rack |
//! | `state` | `up`, `cordoned`, `draining`, `down` | `up` |
//! | `licences`, `roles` | lists of names | empty |
//! | `labels` | a table of texts | empty |
//! | `risk` | most risky tenant taken: `low`, `medium`, `high` | `high` |
//! | `cost_per_hour` | of a running node, without its licences | 0 |
//! | `class` | name of what equal nodes share | that of the first group of them |

mod licences;

use crate::fault::Faults;
use crate::grid::{Accelerators, Grid, MAX_ACCELERATORS, NodeClass, NodeState};
use crate::grid_builder::{GridBuilder, NODES_PER_RACK, RackRule};
use crate::hypervisor::{Arch, Hypervisor, profiles};
use crate::hypervisor_file::{PROFILE_KEYS, profile};
use crate::id::{Generation, HypervisorId};
use crate::size::{CPU, MEM, Size, optional_size, required_size};
use crate::toml_reader::{Table, Value, read, stem};
use crate::units::{AccelMilli, CpuMilli, DiskGib, DiskIops, MemMib, NetMbps, Resources};
use crate::vm::Risk;
use std::collections::BTreeSet;

/// The version of the format that is read and written.
pub const GRID_VERSION: u32 = 1;
/// The most nodes in a grid: ten times the largest zone that Protean (OSDI '20) tells of, which
/// keeps a slip in a count from eating all memory.
pub const MAX_NODES: u32 = 1_000_000;
/// Site of nodes that name none.
pub const DEFAULT_SITE: &str = "main";
/// Disk space of a node that names none: one data-centre drive of 3.84 TB. Our choice.
pub const DEFAULT_DISK_GIB: u32 = 3_576;
/// Disk operations a second of a node that names none: what one NVMe drive sustains. Our choice.
pub const DEFAULT_DISK_IOPS: u32 = 200_000;
/// Bandwidth of a node that names none: one port of 10 Gbit a second. Our choice.
pub const DEFAULT_NET_MBPS: u32 = 10_000;

const TOP_KEYS: &[&str] = &[
    "version",
    "name",
    "generation",
    "hypervisor",
    "licence",
    "node",
];
const NODE_KEYS: &[&str] = &[
    "name",
    "count",
    "first",
    "digits",
    "class",
    "cpu_cores",
    "cpu_milli",
    "mem_gib",
    "mem_mib",
    "disk_gib",
    "disk_iops",
    "net_mbps",
    "reserve",
    "hypervisor",
    "arch",
    "model",
    "accelerators",
    "site",
    "rack",
    "racks",
    "nodes_per_rack",
    "state",
    "licences",
    "roles",
    "labels",
    "risk",
    "cost_per_hour",
];

/// Reads a grid.
///
/// ```
/// let grid = model::grid_file::read_grid("grid.toml", r#"
///     [[node]]
///     name = "small"        # small-0 … small-439
///     count = 440
///     cpu_cores = 32
///     mem_gib = 128
///     hypervisor = "qemu"   # a profile of assets/; everything else has a default
/// "#).expect("a right grid");
/// assert_eq!(grid.nodes.len(), 440);
/// ```
///
/// # Errors
/// All faults of the file.
pub fn read_grid(file: &str, text: &str) -> Result<Grid, Faults> {
    read(file, text, TOP_KEYS, |top| {
        top.version(GRID_VERSION);
        let name = top.optional("name", |v| v.name());
        let generation = top.optional("generation", |v| v.whole_wide(0..=u64::MAX));
        let profiles = profiles_of(top);
        let mut builder = GridBuilder::new(&name.unwrap_or_else(|| stem(file, "grid")));
        builder.set_generation(Generation(generation.unwrap_or(0)));
        let mut all_sound = true;
        let groups = top.tables("node", NODE_KEYS, |table| {
            let group = group(table, &profiles);
            match &group {
                Some(group) => add(table, group, &profiles, &mut builder),
                None => all_sound = false,
            }
            Some(())
        });
        if groups.is_empty() && !top.has("node") {
            top.refuse("node", "no node", "at least one table [[node]]", "");
        }
        licences::price(top, all_sound, &mut builder);
        Some(builder.finish())
    })
}

/// One `[[node]]` table.
struct Group {
    name: String,
    count: Option<u32>,
    first: u32,
    digits: usize,
    class_name: Option<String>,
    site: String,
    racks: RackRule,
    state: NodeState,
    /// Its hypervisor's id is not known yet.
    class: NodeClass,
    /// Place among the profiles.
    profile: usize,
}

/// Shipped profiles, and the grid's own in their stead or after them.
fn profiles_of(top: &Table<'_>) -> Vec<Hypervisor> {
    let mut all = profiles().to_vec();
    let mut own = BTreeSet::new();
    top.tables("hypervisor", PROFILE_KEYS, |table| {
        let profile = profile(table, Hypervisor::known)?;
        if !own.insert(profile.name.clone()) {
            table.refuse(
                "name",
                &format!("{:?} a second time", profile.name),
                "one profile of a name",
                "",
            );
        }
        match all.iter_mut().find(|known| known.name == profile.name) {
            Some(known) => *known = profile,
            None => all.push(profile),
        }
        Some(())
    });
    all
}

fn group(table: &Table<'_>, profiles: &[Hypervisor]) -> Option<Group> {
    let name = table.required("name", |v| v.name());
    let count = table.optional("count", |v| v.whole(1..=MAX_NODES));
    let first = table.optional("first", |v| v.whole(0..=u32::MAX - MAX_NODES));
    // Ten digits write every number of 32 bits.
    let digits = table.optional("digits", |v| v.whole(1..=10));
    for key in ["first", "digits"] {
        if table.has(key) && !table.has("count") {
            table.refuse(key, "it without count", "count beside it", "");
        }
    }
    let class_name = table.optional("class", |v| v.name());
    let site = table.optional("site", |v| v.name());
    let racks = rack_rule(table, count.unwrap_or(1));
    let state = table.optional("state", |v| v.word());
    let accelerators = table.optional("accelerators", accelerators);
    let capacity = capacity(table, accelerators.as_ref());
    let profile = hypervisor(table, profiles);
    let arch = arch(table, profile.map(|place| &profiles[place]));
    let model = table.optional("model", |v| v.text());
    let licences = table.optional("licences", names);
    let roles = table.optional("roles", names);
    let labels = table.optional("labels", |v| v.map(|label| label.text()));
    let risk = table.optional("risk", |v| v.word());
    let cost = table.optional("cost_per_hour", |v| v.scaled(1_000, 0..=u32::MAX));
    let name = name?;
    Some(Group {
        count,
        first: first.unwrap_or(0),
        digits: digits.unwrap_or(1) as usize,
        site: site.unwrap_or_else(|| DEFAULT_SITE.into()),
        racks,
        state: state.unwrap_or_default(),
        class: NodeClass {
            name: class_name.clone().unwrap_or_else(|| name.clone()),
            model: model.unwrap_or_default(),
            arch,
            hypervisor: HypervisorId(0),
            capacity: capacity?,
            accelerators,
            licences: licences.unwrap_or_default(),
            roles: roles.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            risk: risk.unwrap_or(Risk::High),
            cost_milli_per_hour: cost.unwrap_or(0),
        },
        class_name,
        profile: profile?,
        name,
    })
}

/// Enters a group's nodes; faults here are of the group among the others.
fn add(table: &Table<'_>, group: &Group, profiles: &[Hypervisor], builder: &mut GridBuilder) {
    let count = group.count.unwrap_or(1);
    let nodes = builder.grid().nodes.len();
    if nodes + count as usize > MAX_NODES as usize {
        let found = format!("{count} more than the {nodes} nodes before");
        table.refuse(
            "count",
            &found,
            &format!("at most {MAX_NODES} nodes in all"),
            "",
        );
        return;
    }
    let hypervisor = builder.hypervisor(&profiles[group.profile]);
    let wished = NodeClass {
        hypervisor,
        ..group.class.clone()
    };
    let class = match &group.class_name {
        None => builder.class(wished),
        Some(name) => match builder.class_named(name) {
            None => builder.new_class(wished),
            Some(class) => {
                if builder.grid().classes[class.index()] != wished {
                    table.refuse(
                        "class",
                        &format!("{name:?} for nodes unlike those before"),
                        "one class for equal nodes",
                        "give unlike nodes another class, or leave class out",
                    );
                }
                class
            }
        },
    };
    let site = builder.site(&group.site);
    let racks = builder.fill_racks(site, &group.racks, count);
    for (number, rack) in (group.first..).zip(racks) {
        let name = match group.count {
            None => group.name.clone(),
            Some(_) => node_name(&group.name, number, group.digits),
        };
        let shown = format!("{name:?} a second time");
        if builder.node(name, class, rack, group.state).is_err() {
            table.refuse(
                "name",
                &shown,
                "a name that no node before has",
                "rename the group, or let it start at another number with first",
            );
            return;
        }
    }
}

/// Name of one node of a group.
pub(crate) fn node_name(group: &str, number: u32, digits: usize) -> String {
    format!("{group}-{number:0digits$}")
}

fn rack_rule(table: &Table<'_>, count: u32) -> RackRule {
    let named = table.optional("rack", |v| v.name());
    // More racks than nodes would leave racks that no node names.
    let spread = table.optional("racks", |v| v.whole(1..=count));
    let per_rack = table.optional("nodes_per_rack", |v| v.whole(1..=MAX_NODES));
    let given: Vec<&'static str> = ["rack", "racks", "nodes_per_rack"]
        .into_iter()
        .filter(|key| table.has(key))
        .collect();
    if given.len() > 1 {
        table.refuse(
            given[1],
            &given.join(" and "),
            "one of rack, racks, nodes_per_rack",
            "",
        );
    }
    match (named, spread) {
        (Some(name), _) => RackRule::Named(name),
        (None, Some(racks)) => RackRule::Spread(racks),
        (None, None) => RackRule::Fill(per_rack.unwrap_or(NODES_PER_RACK)),
    }
}

fn capacity(table: &Table<'_>, accelerators: Option<&Accelerators>) -> Option<Resources> {
    let cpu_milli = required_size(table, &CPU);
    let mem_mib = required_size(table, &MEM);
    let reserved = table.optional("reserve", |v| {
        v.table(&[CPU.coarse, CPU.fine, MEM.coarse, MEM.fine], |reserve| {
            Some([
                reserved(reserve, &CPU, cpu_milli),
                reserved(reserve, &MEM, mem_mib),
            ])
        })
    });
    let [reserved_cpu, reserved_mem] = reserved.unwrap_or_default();
    let disk_gib = table.optional("disk_gib", |v| v.whole(0..=u32::MAX));
    let disk_iops = table.optional("disk_iops", |v| v.whole(0..=u32::MAX));
    let net_mbps = table.optional("net_mbps", |v| v.whole(0..=u32::MAX));
    Some(Resources {
        cpu_milli: CpuMilli(cpu_milli?.saturating_sub(reserved_cpu)),
        mem_mib: MemMib(mem_mib?.saturating_sub(reserved_mem)),
        disk_gib: DiskGib(disk_gib.unwrap_or(DEFAULT_DISK_GIB)),
        disk_iops: DiskIops(disk_iops.unwrap_or(DEFAULT_DISK_IOPS)),
        net_mbps: NetMbps(net_mbps.unwrap_or(DEFAULT_NET_MBPS)),
        accel_milli: AccelMilli(accelerators.map_or(0, |a| a.count * 1_000)),
    })
}

/// What the node keeps for itself of a size; it must leave something for VMs.
fn reserved(reserve: &Table<'_>, size: &Size, whole: Option<u32>) -> u32 {
    let Some(kept) = optional_size(reserve, size) else {
        return 0;
    };
    if let Some(whole) = whole.filter(|whole| kept >= *whole) {
        let key = size.key_in(reserve);
        reserve.refuse(
            key,
            &size.shown(kept),
            &format!("less than the node's {}", size.shown(whole)),
            "",
        );
    }
    kept
}

fn accelerators(value: &Value<'_>) -> Option<Accelerators> {
    value.table(&["model", "count"], |table| {
        let model = table.required("model", |v| v.name());
        let count = table.required("count", |v| v.whole(1..=MAX_ACCELERATORS as u32));
        Some(Accelerators {
            model: model?,
            count: count?,
        })
    })
}

fn hypervisor(table: &Table<'_>, profiles: &[Hypervisor]) -> Option<usize> {
    let names: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
    table.required("hypervisor", |v| v.one_of(&names))
}

/// The node's architecture: by default the first that its hypervisor rules.
fn arch(table: &Table<'_>, profile: Option<&Hypervisor>) -> Arch {
    let given = table.optional("arch", |v| v.word::<Arch>());
    let Some(profile) = profile else {
        return given.unwrap_or(Arch::X86_64);
    };
    if let Some(arch) = given.filter(|arch| !profile.archs.contains(arch)) {
        let archs: Vec<String> = profile.archs.iter().map(Arch::to_string).collect();
        table.refuse(
            "arch",
            &format!("{:?}", arch.to_string()),
            &format!("one of {}, which {} rules", archs.join(", "), profile.name),
            "",
        );
    }
    given.unwrap_or(profile.archs[0])
}

/// A list of names; one given twice counts once.
pub(crate) fn names(value: &Value<'_>) -> Option<BTreeSet<String>> {
    Some(value.list(|item| item.name())?.into_iter().collect())
}
