//! What the grid is doing, and what it has done: the panels of operations and events.

use super::snapshot::Snapshot;
use crate::instant::in_words;
use crate::window::command::Command;
use crate::window::room::Room;
use crate::window::theme::{Palette, size};
use control::ledger::FIRST_OWN;
use control::shown::{OperationShown, OperationState};
use egui::{Align, Color32, Label, Layout, ProgressBar, RichText, Ui};
use egui_extras::{Column, TableBuilder, TableRow};
use model::id::OperationId;

/// What the panel below the heatmap shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Only its tabs.
    #[default]
    Folded,
    /// Operations.
    Operations,
    /// The history.
    Events,
}

/// Draws the tabs.
pub fn tabs_ui(ui: &mut Ui, tab: &mut Tab, live: &Snapshot) {
    let operations = match live.open_operations() {
        0 => "Operations".to_owned(),
        open => format!("Operations ({open} open)"),
    };
    let events = format!("Events ({})", live.events_total);
    for (this, title) in [(Tab::Operations, operations), (Tab::Events, events)] {
        if ui.selectable_label(*tab == this, title).clicked() {
            *tab = if *tab == this { Tab::Folded } else { this };
        }
    }
}

/// Draws the panel's contents.
pub fn panel_ui(ui: &mut Ui, tab: Tab, live: &Snapshot, room: &mut Room<'_>) {
    match tab {
        Tab::Folded => {}
        Tab::Operations => operations_ui(ui, live, room),
        Tab::Events => events_ui(ui, live, room),
    }
}

fn operations_ui(ui: &mut Ui, live: &Snapshot, room: &mut Room<'_>) {
    if live.operations.is_empty() {
        ui.label(RichText::new("Nothing was asked of this grid yet; deploy a design on it").weak());
        return;
    }
    let titles = ["Id", "Operation", "State", "Orders", "Since", ""];
    TableBuilder::new(ui)
        .id_salt("operations")
        .striped(true)
        .auto_shrink([false, true])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::initial(52.0).clip(true))
        .column(Column::initial(210.0).clip(true).resizable(true))
        .column(Column::initial(84.0).clip(true))
        .column(Column::initial(110.0).clip(true))
        .column(Column::initial(96.0).clip(true))
        .column(Column::remainder().clip(true))
        .header(size::TABLE_ROW, |mut header| {
            for title in titles {
                header.col(|ui| {
                    ui.label(RichText::new(title).weak());
                });
            }
        })
        .body(|body| {
            body.rows(size::TABLE_ROW, live.operations.len(), |mut row| {
                let shown = &live.operations[row.index()];
                operation_row(&mut row, shown, room);
            });
        });
}

fn operation_row(row: &mut TableRow<'_, '_>, shown: &OperationShown, room: &mut Room<'_>) {
    row.col(|ui| {
        let hover = match shown.is_own() {
            true => "The controller has begun it by itself",
            false => "Somebody has asked for it",
        };
        ui.label(id(shown.id)).on_hover_text(hover);
    });
    row.col(|ui| {
        ui.add(Label::new(&shown.what).truncate());
    });
    row.col(|ui| {
        let colour = colour(&shown.state, room.palette);
        ui.label(RichText::new(shown.state.title()).color(colour));
    });
    row.col(|ui| {
        if !shown.tasks.is_empty() {
            let (over, all) = (shown.orders_over(), shown.tasks.len());
            let share = over as f32 / all as f32;
            let bar = ProgressBar::new(share).text(format!("{over} of {all}"));
            ui.add(bar.desired_height(size::TABLE_ROW - 6.0));
        }
    });
    row.col(|ui| {
        let since = shown.at.map_or_else(String::new, in_words);
        let label = ui.label(RichText::new(since).weak());
        if let Some(until) = shown.until {
            label.on_hover_text(format!("Until {}", in_words(until)));
        }
    });
    row.col(|ui| {
        if shown.can_be_cancelled() {
            let name = format!("Cancel {}", shown.what);
            let button = ui.small_button("Cancel");
            button.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, &name));
            if button
                .on_hover_text("Undo what it has done, and end it")
                .clicked()
            {
                room.ask(Command::CallOff(shown.id));
            }
        }
        ui.add(Label::new(RichText::new(shown.details()).weak()).truncate());
    });
}

/// The controller's own are counted from 0 beside those of users.
fn id(operation: OperationId) -> String {
    match operation.0.checked_sub(FIRST_OWN) {
        Some(own) => format!("own {own}"),
        None => operation.0.to_string(),
    }
}

fn colour(state: &OperationState, palette: &Palette) -> Color32 {
    match state {
        OperationState::Waiting => palette.text_weak,
        OperationState::Running => palette.accent,
        OperationState::TurningBack { .. } | OperationState::Cancelled => palette.warn,
        OperationState::Done => palette.good,
        OperationState::Failed { .. } | OperationState::Refused { .. } => palette.bad,
    }
}

fn events_ui(ui: &mut Ui, live: &Snapshot, room: &mut Room<'_>) {
    let events = &live.events;
    TableBuilder::new(ui)
        .id_salt("events")
        .striped(true)
        .auto_shrink([false, true])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::initial(100.0).clip(true))
        .column(Column::remainder().clip(true))
        .body(|body| {
            body.rows(size::TABLE_ROW, events.len(), |mut row| {
                // The latest first.
                let event = &events[events.len() - 1 - row.index()];
                row.col(|ui| {
                    ui.label(RichText::new(in_words(event.event.at)).weak());
                });
                row.col(|ui| {
                    let colour = match event.event.happening.is_bad() {
                        true => room.palette.bad,
                        false => room.palette.text,
                    };
                    let text = RichText::new(&event.text).color(colour);
                    match event.event.happening.node() {
                        Some(node) => {
                            let link = ui.add(egui::Link::new(text));
                            if link.on_hover_text("Show its node").clicked() {
                                room.ask(Command::Reveal(node));
                            }
                        }
                        None => {
                            ui.add(Label::new(text).truncate());
                        }
                    }
                });
            });
        });
}
