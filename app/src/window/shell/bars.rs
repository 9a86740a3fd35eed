//! Menu bar, rail of pages and status line.

use crate::window::backend::simulated::command::ClockCommand;
use crate::window::command::Command;
use crate::window::design::DesignPage;
use crate::window::design::command::DesignCommand;
use crate::window::files::Purpose;
use crate::window::grid::metric::counted;
use crate::window::kept::Page;
use crate::window::shell::Shell;
use crate::window::theme::{Palette, ThemeChoice, font, size};
use egui::{
    Align, Align2, FontId, Frame, Layout, Margin, Panel, Pos2, Rect, RichText, Sense, Stroke, Ui,
    WidgetInfo, WidgetType, pos2, vec2,
};
use strum::VariantArray;

/// Draws the menu bar.
pub fn menu_bar(ui: &mut Ui, shell: &mut Shell) {
    let palette = Palette::of(ui.ctx());
    Panel::top("menu bar")
        .exact_size(size::TOP_BAR)
        .frame(
            Frame::NONE
                .fill(palette.bar)
                .inner_margin(Margin::symmetric(8, 2)),
        )
        .show(ui, |ui| {
            egui::MenuBar::new().ui(ui, |ui| {
                let page = &shell.design;
                let asks = &mut shell.asks;
                menu(
                    ui,
                    "File",
                    (asks, page),
                    &[
                        Some(Command::Ask(Purpose::OpenGrid)),
                        Some(Command::Ask(Purpose::OpenTrace)),
                        Some(Command::Ask(Purpose::OpenDesign)),
                        None,
                        Some(Command::Design(DesignCommand::Save)),
                        Some(Command::Ask(Purpose::SaveDesign)),
                        Some(Command::Ask(Purpose::ExportResults)),
                        None,
                        Some(Command::Quit),
                    ],
                );
                let design: Vec<_> = DesignCommand::ALL
                    .into_iter()
                    .map(|command| Some(Command::Design(command)))
                    .collect();
                menu(ui, "Design", (asks, page), &design);
                menu(
                    ui,
                    "Grid",
                    (asks, page),
                    &[
                        Some(Command::Find),
                        None,
                        Some(Command::Fit),
                        Some(Command::ZoomIn),
                        Some(Command::ZoomOut),
                        None,
                        Some(Command::ToggleInspector),
                        None,
                        Some(Command::OpenLive),
                        Some(Command::AskToJoin),
                        Some(Command::ShowGrid),
                        None,
                        Some(Command::Clock(ClockCommand::Pause)),
                        Some(Command::Clock(ClockCommand::Step)),
                        Some(Command::Clock(ClockCommand::Skip)),
                    ],
                );
                menu(
                    ui,
                    "Lab",
                    (asks, page),
                    &[
                        Some(Command::Run),
                        Some(Command::CancelJobs),
                        None,
                        Some(Command::Play),
                        Some(Command::StepBack),
                        Some(Command::StepForward),
                        Some(Command::Start),
                        Some(Command::End),
                        None,
                        Some(Command::ShowOnGrid),
                    ],
                );
                menu(
                    ui,
                    "View",
                    (asks, page),
                    &[
                        Some(Command::Show(Page::Grid)),
                        Some(Command::Show(Page::Lab)),
                        Some(Command::Show(Page::Design)),
                        None,
                        Some(Command::Theme(ThemeChoice::System)),
                        Some(Command::Theme(ThemeChoice::Dark)),
                        Some(Command::Theme(ThemeChoice::Light)),
                    ],
                );
                menu(
                    ui,
                    "Help",
                    (asks, page),
                    &[
                        Some(Command::Palette),
                        Some(Command::Shortcuts),
                        Some(Command::Log),
                        Some(Command::Dismiss),
                        None,
                        Some(Command::About),
                    ],
                );
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    command_button(ui, asks, Command::ToggleTheme);
                    command_button(ui, asks, Command::Palette);
                });
            });
        });
}

fn samples_menu(ui: &mut Ui, asks: &mut Vec<Command>) {
    ui.menu_button("Open sample grid", |ui| {
        for sample in model::samples::GRIDS {
            if ui
                .button(sample.title)
                .on_hover_text(sample.about)
                .clicked()
            {
                asks.push(Command::OpenSample(sample.name));
                asks.push(Command::Show(Page::Grid));
                ui.close();
            }
        }
    });
}

fn menu(
    ui: &mut Ui,
    title: &str,
    (asks, page): (&mut Vec<Command>, &DesignPage),
    commands: &[Option<Command>],
) {
    ui.menu_button(title, |ui| {
        ui.set_min_width(220.0);
        if title == "Grid" {
            samples_menu(ui, asks);
            ui.separator();
        }
        for command in commands {
            let Some(command) = command else {
                ui.separator();
                continue;
            };
            let Some(description) = command.describe() else {
                continue;
            };
            // Undo and redo tell which step.
            let (text, enabled) = match command {
                Command::Design(command) => (page.text_of(*command), page.is_enabled(*command)),
                _ => (description.text.to_owned(), true),
            };
            let mut button = egui::Button::new(&text);
            if let Some(shortcut) = description.shortcut {
                button = button.shortcut_text(ui.ctx().format_shortcut(&shortcut));
            }
            let response = ui
                .add_enabled(enabled, button)
                .on_hover_text(description.tooltip);
            response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, enabled, &text));
            if response.clicked() {
                asks.push(command.clone());
                ui.close();
            }
        }
    });
}

fn command_button(ui: &mut Ui, asks: &mut Vec<Command>, command: Command) {
    let Some(description) = command.describe() else {
        return;
    };
    let response = ui
        .add(egui::Button::new(RichText::new(description.text).small()).small())
        .on_hover_text(description.tooltip);
    if response.clicked() {
        asks.push(command);
    }
}

/// Draws the rail with one button a page.
pub fn rail(ui: &mut Ui, shell: &mut Shell) {
    let palette = Palette::of(ui.ctx());
    Panel::left("rail")
        .exact_size(size::RAIL_WIDTH)
        .resizable(false)
        .frame(Frame::NONE.fill(palette.bar).inner_margin(Margin::same(4)))
        .show(ui, |ui| {
            for page in Page::VARIANTS {
                if rail_button(ui, *page, *page == shell.kept.page, palette) {
                    shell.asks.push(Command::Show(*page));
                }
            }
        });
}

fn rail_button(ui: &mut Ui, page: Page, chosen: bool, palette: &Palette) -> bool {
    let (rect, response) =
        ui.allocate_exact_size(vec2(size::RAIL_BUTTON, size::RAIL_BUTTON), Sense::click());
    let colour = if chosen {
        palette.text_strong
    } else if response.hovered() || response.has_focus() {
        palette.text
    } else {
        palette.text_weak
    };
    if chosen {
        ui.painter()
            .rect_filled(rect, size::CORNER, palette.accent_soft);
    } else if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, size::CORNER, palette.button);
    }
    icon(
        ui,
        page,
        rect.center_top() + vec2(0.0, 21.0),
        Stroke::new(1.6, colour),
    );
    ui.painter().text(
        rect.center_bottom() - vec2(0.0, 7.0),
        Align2::CENTER_BOTTOM,
        page.title(),
        FontId::proportional(font::SMALL),
        colour,
    );
    response.widget_info(|| {
        WidgetInfo::selected(WidgetType::SelectableLabel, true, chosen, page.title())
    });
    let tooltip = Command::Show(page)
        .describe()
        .map_or("", |description| description.tooltip);
    response.on_hover_text(tooltip).clicked()
}

/// Squares for the grid, curves for the lab, joined boxes for the design.
fn icon(ui: &Ui, page: Page, centre: Pos2, stroke: Stroke) {
    let painter = ui.painter();
    let at = |x: f32, y: f32| pos2(centre.x + x, centre.y + y);
    match page {
        Page::Grid => {
            for row in -1_i32..=1 {
                for column in -1_i32..=1 {
                    let square = Rect::from_center_size(
                        at(column as f32 * 7.0, row as f32 * 7.0),
                        vec2(5.0, 5.0),
                    );
                    let faint = (row + column).rem_euclid(2) == 1;
                    let colour = stroke.color.gamma_multiply(if faint { 0.55 } else { 1.0 });
                    painter.rect_filled(square, 1.0, colour);
                }
            }
        }
        Page::Lab => {
            painter.line(
                vec![at(-10.0, -10.0), at(-10.0, 9.0), at(10.0, 9.0)],
                stroke,
            );
            let curve = [
                (-7.0, 4.0),
                (-3.0, -2.0),
                (1.0, 1.0),
                (5.0, -6.0),
                (9.0, -8.0),
            ];
            painter.line(curve.iter().map(|(x, y)| at(*x, *y)).collect(), stroke);
        }
        Page::Design => {
            for (x, y) in [(0.0, -7.0), (-7.0, 6.0), (7.0, 6.0)] {
                let square = Rect::from_center_size(at(x, y), vec2(7.0, 7.0));
                painter.rect_stroke(square, 1.5, stroke, egui::StrokeKind::Middle);
            }
            painter.line_segment([at(-2.0, -3.0), at(-6.0, 2.0)], stroke);
            painter.line_segment([at(2.0, -3.0), at(6.0, 2.0)], stroke);
        }
    }
}

/// Draws the status line: the open grid at the left, background work and messages at the right.
pub fn status_line(ui: &mut Ui, shell: &mut Shell) {
    let palette = Palette::of(ui.ctx());
    Panel::bottom("status line")
        .exact_size(size::STATUS_LINE)
        .frame(
            Frame::NONE
                .fill(palette.bar)
                .inner_margin(Margin::symmetric(10, 2)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                match &shell.view {
                    Some(view) => {
                        let (nodes, vms) =
                            (counted(view.nodes.len(), "node"), counted(shell.vms, "VM"));
                        ui.label(RichText::new(&view.grid.name).strong());
                        ui.label(RichText::new(format!("{nodes} · {vms}")).weak());
                    }
                    None => {
                        ui.label(RichText::new("No grid").weak());
                    }
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    work(ui, shell);
                });
            });
        });
}

fn work(ui: &mut Ui, shell: &mut Shell) {
    let errors = shell.notices.open.len();
    if errors > 0 {
        let palette = Palette::of(ui.ctx());
        let text = RichText::new(format!("{errors} not dismissed")).color(palette.bad);
        if ui.add(egui::Button::new(text).frame(false)).clicked() {
            shell.asks.push(Command::Log);
        }
    }
    for (name, progress) in shell.jobs.running() {
        if progress.is_cancelled() {
            ui.add(egui::Spinner::new().size(14.0));
            ui.label(RichText::new(format!("Cancelled: {name}")).weak());
            continue;
        }
        let cancel = ui.small_button("Cancel");
        if cancel.on_hover_text(format!("Stop {name}")).clicked() {
            progress.cancel();
        }
        match progress.share() {
            Some(share) => {
                let bar = egui::ProgressBar::new(share)
                    .desired_width(140.0)
                    .desired_height(12.0);
                ui.add(bar);
            }
            None => {
                ui.add(egui::Spinner::new().size(14.0));
            }
        }
        ui.label(RichText::new(name).weak());
    }
}
