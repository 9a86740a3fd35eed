//! The VMs of a node as a table, drawn only as far as in sight.

use crate::window::backend::snapshot::Snapshot;
use crate::window::grid::actions::state_text;
use crate::window::grid::metric::quantity;
use crate::window::theme::{font, size};
use egui::{Align, Layout, RichText, Ui};
use egui_extras::{Column, TableBuilder, TableRow};
use model::id::{NodeId, VmId};
use model::units::{Dimension, Resources};
use model::view::View;

/// The least height of the table.
const LEAST_HEIGHT: f32 = 150.0;

/// Draws VMs that nobody can ask anything of.
pub fn plain(ui: &mut Ui, view: &View, node: NodeId) {
    let vms = &view.nodes[node.index()].vms;
    let right = Layout::right_to_left(Align::Center);
    // What is left of the panel, and never so little that nothing could be read.
    let left = ui.clip_rect().bottom() - ui.cursor().top() - 2.0 * size::TABLE_ROW;
    let table = table(ui, left.max(LEAST_HEIGHT))
        .column(Column::auto().at_least(58.0))
        .column(Column::auto().at_least(54.0))
        .column(Column::auto().at_least(64.0))
        .column(Column::remainder());
    let table = headed(table, ["VM", "CPU", "Memory", "Since"]);
    table.body(|body| {
        body.rows(size::TABLE_ROW, vms.len(), |mut row| {
            let vm = &vms[row.index()];
            let resources = vm.resources;
            row.col(|ui| {
                ui.label(format!("{}", vm.id.0))
                    .on_hover_text(format!("{}, of {}\n{resources}", vm.id, vm.tenant));
            });
            amounts(&mut row, resources);
            row.col(|ui| {
                ui.with_layout(right, |ui| {
                    ui.label(RichText::new(vm.since.to_string()).weak());
                });
            });
        });
    });
}

/// Draws VMs with their names and states; a click chooses one.
pub fn named(ui: &mut Ui, view: &View, node: NodeId, live: &Snapshot, chosen: &mut Option<VmId>) {
    let vms = &view.nodes[node.index()].vms;
    let here = &view.grid.nodes[node.index()].name;
    let table = table(ui, LEAST_HEIGHT)
        .column(Column::initial(92.0).clip(true).resizable(true))
        .column(Column::auto().at_least(48.0))
        .column(Column::auto().at_least(58.0))
        .column(Column::remainder().clip(true));
    let table = headed(table, ["VM", "CPU", "Memory", "State"]);
    table.body(|body| {
        body.rows(size::TABLE_ROW, vms.len(), |mut row| {
            let vm = &vms[row.index()];
            let shown = live.vms.get(&vm.id);
            row.col(|ui| {
                let name = shown.map_or_else(|| vm.id.to_string(), |shown| shown.name.clone());
                let is_chosen = *chosen == Some(vm.id);
                let button = egui::Button::selectable(is_chosen, &name).truncate();
                let hover = format!("{}, of {}\n{}", vm.id, vm.tenant, vm.resources);
                if ui.add(button).on_hover_text(hover).clicked() {
                    *chosen = Some(vm.id).filter(|_| !is_chosen);
                }
            });
            amounts(&mut row, vm.resources);
            row.col(|ui| {
                let state = match shown {
                    Some(shown) if shown.node == *here => state_text(shown),
                    Some(_) => "comes or goes".to_owned(),
                    None => "to be wiped".to_owned(),
                };
                ui.add(egui::Label::new(RichText::new(state).weak()).truncate());
            });
        });
    });
}

fn table(ui: &mut Ui, height: f32) -> TableBuilder<'_> {
    TableBuilder::new(ui)
        .id_salt("vms of node")
        .striped(true)
        .cell_layout(Layout::left_to_right(Align::Center))
        .auto_shrink([false, true])
        .min_scrolled_height(height)
        .max_scroll_height(height)
}

fn headed<'a>(table: TableBuilder<'a>, titles: [&str; 4]) -> egui_extras::Table<'a> {
    table.header(size::TABLE_ROW, |mut header| {
        for title in titles {
            header.col(|ui| {
                ui.label(RichText::new(title).size(font::SMALL).weak());
            });
        }
    })
}

fn amounts(row: &mut TableRow<'_, '_>, resources: Resources) {
    for dimension in [Dimension::Cpu, Dimension::Mem] {
        row.col(|ui| {
            let amount = u64::from(resources.in_dimension(dimension));
            ui.label(quantity(dimension, amount));
        });
    }
}
