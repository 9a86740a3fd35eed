//! The panel beside the heatmap: the chosen node with its hypervisor, bars and VMs; without one, the grid as a whole.

mod vms;

use crate::window::backend::snapshot::Snapshot;
use crate::window::grid::actions::{self, Wanted};
use crate::window::grid::metric::{counted, dimension_title, grouped, quantity};
use crate::window::grid::painting::state_colour;
use crate::window::theme::{Palette, size, title_style};
use crate::window::widgets;
use egui::{Align, Layout, RichText, Ui};
use model::grid::NodeState;
use model::hypervisor::{Capability, HypervisorType, Work};
use model::id::{NodeId, VmId};
use model::toml_writer::decimal;
use model::units::Dimension;
use model::view::View;
use strum::VariantArray;

/// Fullest nodes shown of a grid.
const FULLEST: usize = 8;

/// What the panel found since the view last changed; sums over all nodes are not for every frame.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    used: [u64; 6],
    capacity: [u64; 6],
    vms: usize,
    empty: usize,
    states: [usize; 4],
    fullest: Vec<(f32, NodeId)>,
}

impl Totals {
    /// Sums a view up.
    pub fn of(view: &View) -> Self {
        let mut totals = Self::default();
        let mut shares = Vec::with_capacity(view.nodes.len());
        for node in view.grid.node_ids() {
            let shown = &view.nodes[node.index()];
            let (used, capacity) = (
                shown.used.to_array(),
                view.grid.class_of(node).capacity.to_array(),
            );
            for d in 0..used.len() {
                totals.used[d] += u64::from(used[d]);
                totals.capacity[d] += u64::from(capacity[d]);
            }
            totals.vms += shown.vms.len();
            totals.empty += usize::from(shown.vms.is_empty());
            totals.states[shown.state as usize] += 1;
            let share = (0..2).map(|d| used[d] as f32 / capacity[d].max(1) as f32);
            shares.push((share.fold(0.0, f32::max), node));
        }
        let kept = FULLEST.min(shares.len());
        if kept > 0 && kept < shares.len() {
            shares.select_nth_unstable_by(kept - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            shares.truncate(kept);
        }
        shares.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        totals.fullest = shares;
        totals
    }
}

/// Draws the grid as a whole; returns a node that was clicked.
pub fn grid_summary(ui: &mut Ui, view: &View, totals: &Totals) -> Option<NodeId> {
    let grid = &view.grid;
    ui.label(RichText::new(&grid.name).text_style(title_style()).strong());
    let counts = format!(
        "{} in {} on {}",
        counted(grid.nodes.len(), "node"),
        counted(grid.racks.len(), "rack"),
        counted(grid.sites.len(), "site")
    );
    ui.label(RichText::new(counts).weak());
    ui.add_space(size::GAP);
    facts(
        ui,
        "totals",
        &[
            ("Time", view.at.to_string()),
            ("VMs", grouped(totals.vms as u64)),
            ("Empty nodes", grouped(totals.empty as u64)),
            ("Not up", not_up(&totals.states)),
        ],
    );
    widgets::section(ui, "Allocated");
    for dimension in Dimension::ALL {
        let d = dimension as usize;
        if totals.capacity[d] > 0 {
            bar(ui, dimension, totals.used[d], totals.capacity[d]);
        }
    }
    let mut clicked = None;
    let fullest = totals.fullest.iter().filter(|(share, _)| *share > 0.0);
    for (place, &(share, node)) in fullest.enumerate() {
        if place == 0 {
            widgets::section(ui, "Fullest nodes");
        }
        let name = &grid.nodes[node.index()].name;
        ui.horizontal(|ui| {
            if ui.link(name).on_hover_text("Show this node").clicked() {
                clicked = Some(node);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.label(RichText::new(format!("{:.0} %", share * 100.0)).weak());
            });
        });
    }
    ui.add_space(size::GAP);
    ui.label(RichText::new("Click a node to see its hypervisor and VMs").weak());
    clicked
}

/// `16 cordoned, 2 down`.
fn not_up(states: &[usize; 4]) -> String {
    let told = NodeState::VARIANTS.iter().filter_map(|&state| {
        let nodes = states[state as usize];
        (state != NodeState::Up && nodes > 0).then(|| format!("{} {state}", grouped(nodes as u64)))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        "0".to_owned()
    } else {
        told.join(", ")
    }
}

/// What the user did in the panel of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The choice of the node is to be given up.
    pub closed: bool,
    /// Something is wanted of the node or of a VM.
    pub wanted: Option<Wanted>,
}

/// Draws one node. `live`: where it takes commands; `vm`: the chosen VM.
pub fn node(
    ui: &mut Ui,
    view: &View,
    node: NodeId,
    live: Option<&Snapshot>,
    vm: &mut Option<VmId>,
) -> Answer {
    let palette = Palette::of(ui.ctx());
    let grid = &view.grid;
    let entry = &grid.nodes[node.index()];
    let shown = &view.nodes[node.index()];
    let mut answer = Answer::default();
    ui.horizontal(|ui| {
        ui.label(
            RichText::new(&entry.name)
                .text_style(title_style())
                .strong(),
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let close = ui
                .small_button("×")
                .on_hover_text("Show the grid as a whole");
            close.widget_info(|| {
                egui::WidgetInfo::labeled(egui::WidgetType::Button, true, "Close node")
            });
            answer.closed = close.clicked();
            widgets::tag(
                ui,
                &shown.state.to_string(),
                state_colour(shown.state, palette),
            );
        });
    });
    if let Some(live) = live {
        answer.wanted = actions::node_ui(ui, live, node);
        vms_title(ui, shown.vms.len());
        if !shown.vms.is_empty() {
            vms::named(ui, view, node, live, vm);
        }
        let here = |vm: &VmId| shown.vms.iter().any(|shown| shown.id == *vm);
        if let Some(vm) = vm.filter(here) {
            ui.add_space(size::GAP);
            answer.wanted = actions::vm_ui(ui, live, vm).or(answer.wanted);
        }
        ui.add_space(size::GROUP_GAP);
    }
    let class = grid.class_of(node);
    let priced = |licence: &String| {
        let cost = grid.cost_of_licences(std::iter::once(licence));
        format!("{licence} {}", hourly(cost)).trim_end().to_owned()
    };
    facts(
        ui,
        "node",
        &[
            ("Site", grid.sites[grid.site_of(node).index()].name.clone()),
            ("Rack", grid.racks[entry.rack.index()].name.clone()),
            ("Class", class.name.clone()),
            ("Model", class.model.clone()),
            ("Architecture", class.arch.to_string()),
            ("Takes risk", format!("up to {}", class.risk)),
            ("Licences", list(class.licences.iter().map(priced))),
            ("Roles", list(class.roles.iter())),
            ("Cost", hourly(class.cost_milli_per_hour)),
        ],
    );
    widgets::section(ui, "In use");
    for dimension in Dimension::ALL {
        let capacity = class.capacity.in_dimension(dimension);
        if capacity > 0 {
            let used = shown.used.in_dimension(dimension);
            bar(ui, dimension, u64::from(used), u64::from(capacity));
        }
    }
    hypervisor(ui, view, node);
    if live.is_none() {
        vms_title(ui, shown.vms.len());
        if !shown.vms.is_empty() {
            vms::plain(ui, view, node);
        }
    }
    answer
}

fn vms_title(ui: &mut Ui, vms: usize) {
    widgets::section(ui, &counted(vms, "VM"));
}

fn hypervisor(ui: &mut Ui, view: &View, node: NodeId) {
    let palette = Palette::of(ui.ctx());
    let hypervisor = view.grid.hypervisor_of(node);
    widgets::section(ui, "Hypervisor");
    let stands = match hypervisor.hypervisor_type {
        HypervisorType::Type1 => "type 1, on the hardware",
        HypervisorType::Type2 => "type 2, under a host system",
        HypervisorType::Container => "shares the host's kernel",
    };
    ui.label(RichText::new(&hypervisor.title).strong());
    ui.label(RichText::new(stands).weak());
    let efficiency = Work::VARIANTS.iter().map(|work| {
        let percent = f64::from(hypervisor.efficiency.milli_for(*work)) / 10.0;
        format!("{work} {percent} %")
    });
    facts(
        ui,
        "hypervisor",
        &[
            ("Guests", list(hypervisor.guests.iter())),
            ("Runs them", list(hypervisor.virtualisation.iter())),
            ("Efficiency", efficiency.collect::<Vec<_>>().join(", ")),
        ],
    );
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
        for capability in Capability::VARIANTS {
            let has = hypervisor.capabilities.contains(capability);
            let colour = if has {
                palette.good
            } else {
                palette.text_weak.gamma_multiply(0.55)
            };
            let tip = if has {
                "This hypervisor can do it"
            } else {
                "This hypervisor cannot do it"
            };
            widgets::tag(ui, &capability.to_string(), colour).on_hover_text(tip);
        }
    });
}

fn bar(ui: &mut Ui, dimension: Dimension, used: u64, capacity: u64) {
    let title = dimension_title(dimension);
    let amounts = format!(
        "{} of {}",
        quantity(dimension, used),
        quantity(dimension, capacity)
    );
    widgets::meter(ui, title, used as f32 / capacity as f32, &amounts);
}

fn facts(ui: &mut Ui, id: &str, rows: &[(&str, String)]) {
    // A row is as high as its text.
    ui.spacing_mut().interact_size.y = 0.0;
    egui::Grid::new(id)
        .num_columns(2)
        .spacing([14.0, 3.0])
        .show(ui, |ui| {
            for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
                ui.label(RichText::new(*name).weak());
                ui.add(egui::Label::new(value).wrap());
                ui.end_row();
            }
        });
}

/// A cost as `0.56/h`; nothing where nobody gave one.
fn hourly(cost_milli_per_hour: u32) -> String {
    match cost_milli_per_hour {
        0 => String::new(),
        cost => format!("{}/h", decimal(cost)),
    }
}

fn list<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What hovers beside the pointer over a node.
pub fn tooltip(ui: &mut Ui, view: &View, node: NodeId) {
    let palette = Palette::of(ui.ctx());
    let shown = &view.nodes[node.index()];
    let class = view.grid.class_of(node);
    ui.set_max_width(300.0);
    ui.spacing_mut().interact_size.y = 0.0;
    ui.horizontal(|ui| {
        ui.label(RichText::new(&view.grid.nodes[node.index()].name).strong());
        ui.label(RichText::new(&view.grid.hypervisor_of(node).title).weak());
        if shown.state != NodeState::Up {
            widgets::tag(
                ui,
                &shown.state.to_string(),
                state_colour(shown.state, palette),
            );
        }
    });
    egui::Grid::new("node tooltip")
        .num_columns(3)
        .spacing([10.0, 2.0])
        .show(ui, |ui| {
            for dimension in Dimension::ALL {
                let capacity = class.capacity.in_dimension(dimension);
                if capacity == 0 {
                    continue;
                }
                let used = shown.used.in_dimension(dimension);
                ui.label(RichText::new(dimension_title(dimension)).weak());
                ui.label(format!(
                    "{:.0} %",
                    f64::from(used) * 100.0 / f64::from(capacity)
                ));
                ui.label(format!(
                    "{} of {}",
                    quantity(dimension, u64::from(used)),
                    quantity(dimension, u64::from(capacity))
                ));
                ui.end_row();
            }
            ui.label(RichText::new("VMs").weak());
            ui.label(shown.vms.len().to_string());
            ui.end_row();
        });
}
