//! Writes grid files: consecutive equal nodes become one `[[node]]` with a count, so that 100,000
//! nodes take a page.
//!
//! The writer keeps a second grid in the making, the one that a reader of its file would have so
//! far; it leaves out what that reader would do by itself.

use crate::grid::{Grid, NodeClass, NodeState};
use crate::grid_builder::{GridBuilder, NODES_PER_RACK, RackRule};
use crate::grid_file::{
    DEFAULT_DISK_GIB, DEFAULT_DISK_IOPS, DEFAULT_NET_MBPS, DEFAULT_SITE, GRID_VERSION, node_name,
};
use crate::hypervisor::Hypervisor;
use crate::id::{NodeClassId, SiteId};
use crate::size::{CPU, MEM};
use crate::toml_writer::{TomlWriter, decimal, inline_map};
use crate::vm::Risk;
use std::ops::Range;

/// Writes a grid so that [`crate::grid_file::read_grid`] gives it back.
///
/// A grid made by that reader or by a [`GridBuilder`] in the order of its nodes comes back equal.
/// Of any other, sites, racks, hypervisors and classes are numbered anew in the order in which
/// nodes name them, and those that no node names are left out, as are prices of licences that no
/// node carries.
pub fn write_grid(grid: &Grid) -> String {
    let mut writer = TomlWriter::default();
    writer.plain("version", GRID_VERSION);
    writer.text("name", &grid.name);
    if grid.generation.0 > 0 {
        writer.plain("generation", grid.generation.0);
    }
    for hypervisor in &grid.hypervisors {
        if Hypervisor::known(&hypervisor.name) != Some(hypervisor) {
            write_profile(&mut writer, hypervisor);
        }
    }
    let carried = grid.licences();
    for (licence, cost) in &grid.licence_cost_milli_per_hour {
        if carried.contains(licence.as_str()) {
            writer.table("licence");
            writer.text("name", licence);
            writer.plain("cost_per_hour", decimal(*cost));
        }
    }
    let mut reader = GridBuilder::new(&grid.name);
    let mut at = 0;
    while at < grid.nodes.len() {
        let run = run_from(grid, at);
        at = run.nodes.end;
        write_run(&mut writer, grid, &run, &mut reader);
    }
    writer.finish()
}

/// Consecutive nodes of one class, site and state, with consecutive names.
struct Run {
    nodes: Range<usize>,
    class: NodeClassId,
    site: SiteId,
    state: NodeState,
    /// `None`: a single node with a name of its own.
    names: Option<Names>,
}

/// `prefix-first`, `prefix-(first+1)`, …
#[derive(Clone, Debug, PartialEq)]
struct Names {
    prefix: String,
    first: u32,
    digits: usize,
}

fn run_from(grid: &Grid, start: usize) -> Run {
    let like = |at: usize| {
        let id = crate::id::NodeId(at as u32);
        let node = &grid.nodes[at];
        (node.class, grid.site_of(id), node.state)
    };
    let names = Names::of(&grid.nodes[start].name);
    let mut end = start + 1;
    if let Some(names) = &names {
        while end < grid.nodes.len()
            && like(end) == like(start)
            && names.nth(end - start).as_deref() == Some(&grid.nodes[end].name)
        {
            end += 1;
        }
    }
    let (class, site, state) = like(start);
    Run {
        nodes: start..end,
        class,
        site,
        state,
        names: names.filter(|_| end > start + 1),
    }
}

impl Names {
    fn of(name: &str) -> Option<Self> {
        let (prefix, number) = name.rsplit_once('-')?;
        let plain = !prefix.is_empty()
            && !number.is_empty()
            && number.len() <= 10
            && number.bytes().all(|b| b.is_ascii_digit());
        let first = number.parse().ok().filter(|_| plain)?;
        let padded = number.len() > 1 && number.starts_with('0');
        (first <= u32::MAX - crate::grid_file::MAX_NODES).then(|| Self {
            prefix: prefix.into(),
            first,
            digits: if padded { number.len() } else { 1 },
        })
    }

    fn nth(&self, place: usize) -> Option<String> {
        let number = self.first.checked_add(u32::try_from(place).ok()?)?;
        Some(node_name(&self.prefix, number, self.digits))
    }
}

/// Writes a run as one group where one rule gives its racks, else rack by rack.
fn write_run(writer: &mut TomlWriter, grid: &Grid, run: &Run, reader: &mut GridBuilder) {
    let stretches = rack_stretches(grid, &run.nodes);
    let site = reader.site(&grid.sites[run.site.index()].name);
    if let Some(rule) = rule_for(grid, run, &stretches, reader, site) {
        write_group(writer, grid, run, &rule, reader);
        return;
    }
    for stretch in stretches {
        let offset = stretch.start - run.nodes.start;
        let part = Run {
            names: run.names.as_ref().map(|names| Names {
                first: names.first + offset as u32,
                ..names.clone()
            }),
            nodes: stretch.clone(),
            ..*run
        };
        let rule = rule_for(grid, &part, &[stretch], reader, site)
            .expect("one rack's nodes can name their rack");
        write_group(writer, grid, &part, &rule, reader);
    }
}

/// Parts of a range whose nodes stand in one rack.
fn rack_stretches(grid: &Grid, nodes: &Range<usize>) -> Vec<Range<usize>> {
    grid.nodes[nodes.clone()]
        .chunk_by(|a, b| a.rack == b.rack)
        .scan(nodes.start, |start, chunk| {
            let stretch = *start..*start + chunk.len();
            *start = stretch.end;
            Some(stretch)
        })
        .collect()
}

/// The shortest rule by which a reader would put these nodes into their racks.
fn rule_for(
    grid: &Grid,
    run: &Run,
    stretches: &[Range<usize>],
    reader: &GridBuilder,
    site: SiteId,
) -> Option<RackRule> {
    let count = run.nodes.len() as u32;
    let rack_name = |at: usize| grid.racks[grid.nodes[at].rack.index()].name.as_str();
    let gives = |rule: &RackRule| {
        let names = reader.rack_names(site, rule, count);
        run.nodes
            .clone()
            .zip(&names)
            .all(|(at, name)| rack_name(at) == name)
    };
    let mut rules = vec![
        RackRule::Fill(NODES_PER_RACK),
        RackRule::Fill(stretches[0].len() as u32),
        RackRule::Spread(stretches.len() as u32),
    ];
    if stretches.len() == 1 {
        rules.push(RackRule::Named(rack_name(run.nodes.start).into()));
    }
    rules.into_iter().find(gives)
}

fn write_group(
    writer: &mut TomlWriter,
    grid: &Grid,
    run: &Run,
    rule: &RackRule,
    reader: &mut GridBuilder,
) {
    let count = run.nodes.len() as u32;
    let class = &grid.classes[run.class.index()];
    writer.table("node");
    let name = match &run.names {
        None => &grid.nodes[run.nodes.start].name,
        Some(names) => &names.prefix,
    };
    writer.text("name", name);
    if let Some(names) = &run.names {
        writer.plain("count", count);
        if names.first > 0 {
            writer.plain("first", names.first);
        }
        if names.digits > 1 {
            writer.plain("digits", names.digits);
        }
    }
    if enter_class(grid, class, name, reader) {
        writer.text("class", &class.name);
    }
    write_class(writer, grid, class);
    let site = &grid.sites[run.site.index()].name;
    if site != DEFAULT_SITE {
        writer.text("site", site);
    }
    match rule {
        RackRule::Fill(NODES_PER_RACK) => {}
        RackRule::Fill(per_rack) => writer.plain("nodes_per_rack", per_rack),
        RackRule::Spread(racks) => writer.plain("racks", racks),
        RackRule::Named(rack) => writer.text("rack", rack),
    }
    if run.state != NodeState::default() {
        writer.text("state", &run.state.to_string());
    }
    let site = reader.site(site);
    reader.fill_racks(site, rule, count);
}

/// Enters a class as the reader would; whether the file has to name it.
fn enter_class(grid: &Grid, class: &NodeClass, group: &str, reader: &mut GridBuilder) -> bool {
    let hypervisor = reader.hypervisor(&grid.hypervisors[class.hypervisor.index()]);
    let class = NodeClass {
        hypervisor,
        ..class.clone()
    };
    let by_itself = match reader.class_like(&class) {
        Some(id) => reader.grid().classes[id.index()].name == class.name,
        None => group == class.name && reader.class_named(group).is_none(),
    };
    if reader.class_named(&class.name).is_none() {
        reader.new_class(class);
    }
    !by_itself
}

fn write_class(writer: &mut TomlWriter, grid: &Grid, class: &NodeClass) {
    let hypervisor = &grid.hypervisors[class.hypervisor.index()];
    let capacity = class.capacity;
    for (size, amount) in [(&CPU, capacity.cpu_milli.0), (&MEM, capacity.mem_mib.0)] {
        let (key, value) = size.written(amount);
        writer.plain(key, value);
    }
    for (key, amount, default) in [
        ("disk_gib", capacity.disk_gib.0, DEFAULT_DISK_GIB),
        ("disk_iops", capacity.disk_iops.0, DEFAULT_DISK_IOPS),
        ("net_mbps", capacity.net_mbps.0, DEFAULT_NET_MBPS),
    ] {
        if amount != default {
            writer.plain(key, amount);
        }
    }
    writer.text("hypervisor", &hypervisor.name);
    if hypervisor.archs.first() != Some(&class.arch) {
        writer.text("arch", &class.arch.to_string());
    }
    if !class.model.is_empty() {
        writer.text("model", &class.model);
    }
    if let Some(devices) = &class.accelerators {
        let model = crate::toml_writer::quoted(&devices.model);
        writer.plain(
            "accelerators",
            format_args!("{{ model = {model}, count = {} }}", devices.count),
        );
    }
    for (key, names) in [("licences", &class.licences), ("roles", &class.roles)] {
        if !names.is_empty() {
            writer.texts(key, names);
        }
    }
    if !class.labels.is_empty() {
        writer.plain("labels", inline_map(&class.labels));
    }
    if class.risk != Risk::High {
        writer.text("risk", &class.risk.to_string());
    }
    if class.cost_milli_per_hour > 0 {
        writer.plain("cost_per_hour", decimal(class.cost_milli_per_hour));
    }
}

fn write_profile(writer: &mut TomlWriter, hypervisor: &Hypervisor) {
    fn words<W: ToString>(words: &[W]) -> impl Iterator<Item = String> {
        words.iter().map(ToString::to_string)
    }
    let efficiency = hypervisor.efficiency;
    writer.table("hypervisor");
    writer.text("name", &hypervisor.name);
    writer.text("title", &hypervisor.title);
    writer.text("type", &hypervisor.hypervisor_type.to_string());
    writer.texts("virtualisation", words(&hypervisor.virtualisation));
    writer.texts("archs", words(&hypervisor.archs));
    writer.texts("emulated_archs", words(&hypervisor.emulated_archs));
    writer.texts("guests", words(&hypervisor.guests));
    writer.texts("capabilities", words(&hypervisor.capabilities));
    writer.plain(
        "efficiency",
        format_args!(
            "{{ compute_milli = {}, memory_milli = {}, disk_milli = {}, network_milli = {} }}",
            efficiency.compute_milli,
            efficiency.memory_milli,
            efficiency.disk_milli,
            efficiency.network_milli
        ),
    );
    writer.text("source", &hypervisor.source);
}
