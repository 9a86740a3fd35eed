//! The clock of the simulated grid in one row: whether time passes, how fast, and what befalls it.

use super::clock::{ClockShown, Going, Speed};
use super::command::ClockCommand;
use super::trouble::{Length, Trouble};
use crate::window::backend::snapshot::Snapshot;
use crate::window::command::Command;
use crate::window::room::Room;
use crate::window::theme::Palette;
use crate::window::widgets::{Sign, sign_button};
use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{ComboBox, PopupCloseBehavior, RichText, Ui, WidgetInfo, WidgetType};
use model::id::NodeId;
use strum::VariantArray;

/// Draws the row.
pub fn clock_ui(ui: &mut Ui, live: &Snapshot, clock: &ClockShown, room: &mut Room<'_>) {
    ui.horizontal(|ui| {
        let passes = clock.going != Going::Paused;
        let sign = if passes { Sign::Pause } else { Sign::Play };
        for (sign, command) in [
            (sign, ClockCommand::Pause),
            (Sign::On, ClockCommand::Step),
            (Sign::Last, ClockCommand::Skip),
        ] {
            let description = command.describe();
            let button = sign_button(ui, sign, description.text, description.tooltip);
            if button.clicked() {
                room.ask(Command::Clock(command));
            }
        }
        speed_picker(ui, clock.speed, room);
        ui.label(RichText::new(live.at.to_string()).monospace())
            .on_hover_text("Virtual time of the last change");
        ui.label(RichText::new(told(live, clock)).weak());
        troubles(ui, live, clock);
    });
}

/// What the clock does, in words.
fn told(live: &Snapshot, clock: &ClockShown) -> &'static str {
    match clock.going {
        Going::Paused => "paused",
        Going::ToEvent => "to the next event",
        Going::ToRest => "to the end of operations",
        Going::On if live.is_busy() => "running",
        Going::On => "running, nothing has happened since",
    }
}

fn speed_picker(ui: &mut Ui, speed: Speed, room: &mut Room<'_>) {
    let combo = ComboBox::from_id_salt("simulation speed")
        .width(84.0)
        .selected_text(speed.title())
        .show_ui(ui, |ui| {
            for &choice in Speed::VARIANTS {
                if ui
                    .selectable_label(choice == speed, choice.title())
                    .clicked()
                {
                    room.ask(Command::Clock(ClockCommand::Speed(choice)));
                }
            }
        });
    combo
        .response
        .widget_info(|| WidgetInfo::labeled(WidgetType::ComboBox, true, "Simulation speed"));
    combo.response.on_hover_text("Virtual time for real time");
}

/// What befalls it, and what never should.
fn troubles(ui: &mut Ui, live: &Snapshot, clock: &ClockShown) {
    let palette = Palette::of(ui.ctx());
    let mut say = |text: String, colour, hover: String| {
        let label = egui::Label::new(RichText::new(text).color(colour)).truncate();
        ui.add(label).on_hover_text(hover);
    };
    if let Some(first) = clock.violations.first() {
        let text = format!("An invariant was broken, {first}");
        say(text, palette.bad, clock.violations.join("\n"));
    }
    if let Some(trouble) = &live.trouble {
        say(trouble.clone(), palette.bad, trouble.clone());
    }
    if clock.troubles.is_empty() {
        return;
    }
    let lines = clock.troubles.iter();
    let lines = lines.map(|trouble| format!("{} until {}", trouble.text, trouble.until));
    let lines: Vec<String> = lines.collect();
    let text = match lines.as_slice() {
        [one] => one.clone(),
        many => format!("{} troubles", many.len()),
    };
    say(text, palette.warn, lines.join("\n"));
}

/// Draws the menu of what can befall the grid, and its chosen node.
pub fn trouble_menu(
    ui: &mut Ui,
    live: &Snapshot,
    node: Option<NodeId>,
    length: &mut Length,
    room: &mut Room<'_>,
) {
    // A length is chosen, and then a trouble.
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let menu = MenuButton::new("Trouble").config(config);
    let (response, _) = menu.ui(ui, |ui| {
        ui.set_min_width(180.0);
        ui.horizontal(|ui| {
            for &choice in Length::VARIANTS {
                ui.selectable_value(length, choice, choice.title());
            }
        });
        let mut strike = |ui: &mut Ui, trouble: Trouble, node: NodeId| {
            let button = ui.button(trouble.title()).on_hover_text(trouble.about());
            if button.clicked() {
                room.ask(Command::Strike(trouble.fault(node, length.span())));
                ui.close();
            }
        };
        ui.separator();
        match node {
            Some(node) => {
                let name = &live.view.grid.nodes[node.index()].name;
                ui.label(RichText::new(name).weak());
                for trouble in Trouble::of_nodes() {
                    strike(ui, trouble, node);
                }
            }
            None => {
                ui.label(RichText::new("Choose a node for trouble of its own").weak());
            }
        }
        ui.separator();
        ui.label(RichText::new("The grid").weak());
        for trouble in Trouble::of_grid() {
            strike(ui, trouble, NodeId(0));
        }
    });
    response.on_hover_text("Let something go wrong, and see what the controller makes of it");
}
