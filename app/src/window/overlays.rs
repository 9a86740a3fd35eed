//! What lies over the pages when asked for: command palette, shortcut sheet, log, about, notices.

use crate::window::backend::joining::Joining;
use crate::window::command::Command;
use crate::window::kept::Page;
use crate::window::notices::{Level, Notice, Notices};
use crate::window::theme::{Palette, size, title_style};
use egui::{Align, Align2, Context, Id, Key, Layout, RichText, ScrollArea, vec2};

/// Rows of the palette on the screen at once.
const PALETTE_ROWS: f32 = 12.0;

/// What is open over the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The command palette.
    Palette(PaletteState),
    /// All shortcuts.
    Shortcuts,
    /// The log.
    Log,
    /// About the program.
    About,
    /// Whose grid is to be joined.
    Joining(Joining),
}

/// What was typed and which row is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaletteState {
    query: String,
    chosen: usize,
    opened: bool,
}

/// Draws what is open; returns a command chosen there.
pub fn show(ctx: &Context, overlay: &mut Overlay, notices: &Notices) -> Option<Command> {
    let mut command = None;
    let stay = match overlay {
        Overlay::None => true,
        Overlay::Palette(state) => {
            let (taken, left) = palette(ctx, state);
            command = taken;
            command.is_none() && !left
        }
        Overlay::Shortcuts => modal(ctx, "Keyboard shortcuts", shortcuts),
        Overlay::Log => modal(ctx, "Log", |ui| log(ui, notices)),
        Overlay::About => modal(ctx, "About Gridwright", about),
        Overlay::Joining(joining) => {
            let stays = modal(ctx, "Join a live grid", |ui| command = joining.ui(ui));
            stays && command.is_none()
        }
    };
    if !stay {
        *overlay = Overlay::None;
    }
    command
}

fn modal(ctx: &Context, title: &str, contents: impl FnOnce(&mut egui::Ui)) -> bool {
    let response = egui::Modal::new(Id::new("overlay")).show(ctx, |ui| {
        ui.set_width(size::DIALOG_WIDTH);
        ui.label(RichText::new(title).text_style(title_style()).strong());
        ui.add_space(size::GAP);
        contents(ui);
        ui.add_space(size::GROUP_GAP);
        ui.button("Close").clicked()
    });
    !response.inner && !response.should_close()
}

/// Draws the palette; returns what was taken, and whether it was left.
fn palette(ctx: &Context, state: &mut PaletteState) -> (Option<Command>, bool) {
    let matches = matching(&state.query);
    let (up, down, enter) = ctx.input_mut(|input| {
        let none = egui::Modifiers::NONE;
        (
            input.consume_key(none, Key::ArrowUp),
            input.consume_key(none, Key::ArrowDown),
            input.consume_key(none, Key::Enter),
        )
    });
    let last = matches.len().saturating_sub(1);
    if down {
        state.chosen += 1;
    }
    if up {
        state.chosen = state.chosen.saturating_sub(1);
    }
    state.chosen = state.chosen.min(last);
    let mut taken = enter.then(|| matches.get(state.chosen).cloned()).flatten();
    let area =
        egui::Modal::default_area(Id::new("palette")).anchor(Align2::CENTER_TOP, vec2(0.0, 70.0));
    let response = egui::Modal::new(Id::new("palette"))
        .area(area)
        .show(ctx, |ui| {
            ui.set_width(size::DIALOG_WIDTH);
            let field = ui.add(
                egui::TextEdit::singleline(&mut state.query)
                    .hint_text("Type the name of a command")
                    .desired_width(f32::INFINITY),
            );
            field.widget_info(|| {
                egui::WidgetInfo::labeled(egui::WidgetType::TextEdit, true, "Search commands")
            });
            if !std::mem::replace(&mut state.opened, true) {
                field.request_focus();
            }
            if field.changed() {
                state.chosen = 0;
            }
            ui.add_space(size::GAP);
            ScrollArea::vertical()
                .max_height(PALETTE_ROWS * size::TABLE_ROW * 1.3)
                .show(ui, |ui| {
                    for (row, command) in matches.iter().enumerate() {
                        if palette_row(ui, command, row == state.chosen, up || down) {
                            taken = Some(command.clone());
                        }
                    }
                    if matches.is_empty() {
                        ui.label(RichText::new("No command has such a name").weak());
                    }
                });
        });
    (taken, response.should_close())
}

fn palette_row(ui: &mut egui::Ui, command: &Command, chosen: bool, moved: bool) -> bool {
    let Some(description) = command.describe() else {
        return false;
    };
    let mut button = egui::Button::selectable(chosen, description.text)
        .min_size(vec2(ui.available_width(), size::TABLE_ROW));
    if let Some(shortcut) = description.shortcut {
        button = button.shortcut_text(ui.ctx().format_shortcut(&shortcut));
    }
    let response = ui.add(button).on_hover_text(description.tooltip);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::WidgetType::Button, true, chosen, description.text)
    });
    if chosen && moved {
        response.scroll_to_me(None);
    }
    response.clicked()
}

/// Commands whose text has all words of the query, those that begin with it first.
fn matching(query: &str) -> Vec<Command> {
    let query = query.trim().to_lowercase();
    let mut found: Vec<(bool, Command)> = Command::catalogue()
        .into_iter()
        .filter_map(|command| {
            let text = command.describe()?.text.to_lowercase();
            let all = query.split_whitespace().all(|word| text.contains(word));
            all.then_some((!text.starts_with(&query), command))
        })
        .collect();
    found.sort_by_key(|(later, _)| *later);
    found.into_iter().map(|(_, command)| command).collect()
}

fn shortcuts(ui: &mut egui::Ui) {
    let height = list_height(ui);
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        const GAP: f32 = 12.0;
        egui::Grid::new("shortcuts")
            .num_columns(3)
            .striped(true)
            .spacing(vec2(GAP, 6.0))
            .min_col_width(ui.available_width() / 3.0 - GAP)
            .show(ui, |ui| {
                for command in Command::catalogue() {
                    let Some(description) = command.describe() else {
                        continue;
                    };
                    let Some(shortcut) = description.shortcut else {
                        continue;
                    };
                    ui.label(description.text);
                    ui.label(RichText::new(ui.ctx().format_shortcut(&shortcut)).monospace());
                    let place = description.page.map_or("Everywhere", |page| page.title());
                    ui.label(RichText::new(place).weak());
                    ui.end_row();
                }
            });
    });
}

/// What the window has room for, up to a height at which a list is still one look.
fn list_height(ui: &egui::Ui) -> f32 {
    (ui.ctx().content_rect().height() - size::DIALOG_REST).clamp(80.0, 480.0)
}

fn about(ui: &mut egui::Ui) {
    ui.label(format!("Gridwright {}", env!("CARGO_PKG_VERSION")));
    ui.label(
        "Draw a hosting configuration, try it on a simulated grid, and watch it on one heatmap.",
    );
    ui.label(RichText::new("Licence MIT or Apache-2.0").weak());
}

fn log(ui: &mut egui::Ui, notices: &Notices) {
    if notices.log.is_empty() {
        ui.label(RichText::new("Nothing yet").weak());
    }
    ScrollArea::both()
        .max_height(list_height(ui))
        .stick_to_bottom(true)
        .show(ui, |ui| {
            for notice in &notices.log {
                notice_text(ui, notice);
            }
        });
}

fn notice_text(ui: &mut egui::Ui, notice: &Notice) {
    let palette = Palette::of(ui.ctx());
    let colour = match notice.level {
        Level::Info => palette.text,
        Level::Error => palette.bad,
    };
    ui.horizontal_wrapped(|ui| {
        let at = format!("{:>7.1} s", notice.at_seconds);
        ui.label(RichText::new(at).monospace().weak());
        ui.label(RichText::new(&notice.text).color(colour));
    });
    for detail in &notice.details {
        ui.label(RichText::new(format!("    {detail}")).monospace());
    }
}

/// Lines of details that a card shows; the log has all.
const CARD_LINES: usize = 8;

/// Draws the cards of open notices at the lower right; each can be dismissed.
pub fn cards(ctx: &Context, notices: &mut Notices) -> Option<Command> {
    if notices.open.is_empty() {
        return None;
    }
    let palette = Palette::of(ctx);
    let mut dismissed = None;
    let mut command = None;
    egui::Area::new(Id::new("notices"))
        .anchor(Align2::RIGHT_BOTTOM, vec2(-14.0, -size::STATUS_LINE - 14.0))
        .order(egui::Order::Foreground)
        .show(ctx, |ui| {
            for (place, notice) in notices.open.iter().enumerate() {
                let frame =
                    egui::Frame::popup(ui.style()).stroke(egui::Stroke::new(1.0, palette.bad));
                frame.show(ui, |ui| {
                    ui.set_width(size::DIALOG_WIDTH);
                    ui.label(RichText::new(&notice.text).color(palette.bad).strong());
                    for detail in notice.details.iter().take(CARD_LINES) {
                        ui.label(RichText::new(detail).monospace());
                    }
                    let more = notice.details.len().saturating_sub(CARD_LINES);
                    // In a row, as the layout alone would take all the height that is left.
                    ui.horizontal(|ui| {
                        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                            if ui.button("Dismiss").clicked() {
                                dismissed = Some(place);
                            }
                            if more > 0 && ui.button(format!("Show {more} more in log")).clicked() {
                                command = Some(Command::Log);
                            }
                        });
                    });
                });
                ui.add_space(size::GAP);
            }
        });
    if let Some(place) = dismissed {
        notices.open.remove(place);
    }
    command
}

/// Says what would become of a file that hovers over the window.
pub fn drop_hint(ctx: &Context, page: Page) {
    if ctx.input(|input| input.raw.hovered_files.is_empty()) {
        return;
    }
    let what = match page {
        Page::Grid => "Drop to open this grid",
        Page::Lab => "Drop to choose this trace",
        Page::Design => "Drop to open this design",
    };
    egui::Area::new(Id::new("drop hint"))
        .anchor(Align2::CENTER_CENTER, vec2(0.0, 0.0))
        .order(egui::Order::Tooltip)
        .show(ctx, |ui| {
            egui::Frame::popup(ui.style())
                .inner_margin(24)
                .show(ui, |ui| {
                    ui.label(RichText::new(what).text_style(title_style()).strong());
                });
        });
}
