//! What there is to open, and how its nodes are grouped and coloured.

use crate::window::command::Command;
use crate::window::files::Purpose;
use crate::window::grid::layout::Grouping;
use crate::window::room::Room;
use crate::window::theme::colour_map::ColourMap;
use crate::window::theme::size;
use crate::window::widgets;
use egui::Ui;
use strum::VariantArray;

/// What there is to start from while no grid is open.
pub(super) fn welcome(ui: &mut Ui, room: &mut Room<'_>) {
    if room.jobs.running().next().is_some() {
        widgets::empty_state(ui, "Opening…", "");
        return;
    }
    widgets::empty_state(
        ui,
        "No grid is open",
        "Start from a sample, or drop a file here",
    );
    ui.add_space(size::GROUP_GAP);
    ui.vertical_centered(|ui| {
        for sample in model::samples::GRIDS {
            let button = egui::Button::new(sample.title).min_size(egui::vec2(240.0, 30.0));
            if ui.add(button).on_hover_text(sample.about).clicked() {
                room.ask(Command::OpenSample(sample.name));
            }
        }
        let button = egui::Button::new("Open file…").min_size(egui::vec2(240.0, 30.0));
        if ui.add(button).clicked() {
            room.ask(Command::Ask(Purpose::OpenGrid));
        }
    });
}

/// Samples, recent files and the file dialog in one menu.
pub(super) fn open_menu(ui: &mut Ui, room: &mut Room<'_>) {
    ui.menu_button("Open grid", |ui| {
        for sample in model::samples::GRIDS {
            let button = ui.button(sample.title).on_hover_text(sample.about);
            if button.clicked() {
                room.ask(Command::OpenSample(sample.name));
                ui.close();
            }
        }
        for path in room.kept.recent_grids.clone() {
            let name = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy();
            let button = ui.button(name).on_hover_text(path.display().to_string());
            if button.clicked() {
                room.ask(Command::Chosen(Purpose::OpenGrid, path));
                ui.close();
            }
        }
        ui.separator();
        if ui.button("Open file…").clicked() {
            room.ask(Command::Ask(Purpose::OpenGrid));
            ui.close();
        }
    });
}

pub(super) fn grouping_picker(ui: &mut Ui, grouping: &mut Grouping) {
    let combo = egui::ComboBox::from_id_salt("grouping")
        .selected_text(format!("By {}", grouping.title().to_lowercase()))
        .show_ui(ui, |ui| {
            for choice in Grouping::VARIANTS {
                ui.selectable_value(grouping, *choice, choice.title());
            }
        });
    combo.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, "Group nodes by")
    });
}

pub(super) fn map_picker(ui: &mut Ui, map: &mut ColourMap) {
    let combo = egui::ComboBox::from_id_salt("colour map")
        .width(80.0)
        .selected_text(map.to_string())
        .show_ui(ui, |ui| {
            for choice in ColourMap::VARIANTS {
                ui.selectable_value(map, *choice, choice.to_string());
            }
        });
    combo
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, "Colours"));
}
