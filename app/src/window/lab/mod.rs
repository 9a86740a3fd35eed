//! The Lab page: a trace on a grid under policies, with plots, comparison and replay.

mod plots;
mod setup;
mod table;
mod work;

use crate::window::command::Command;
use crate::window::grid::heatmap::{Ask, Heatmap};
use crate::window::grid::hover;
use crate::window::grid::metric::dimension_title;
use crate::window::grid::painting::Look;
use crate::window::jobs::Job;
use crate::window::lab::plots::Compared;
use crate::window::lab::setup::SetupPanel;
use crate::window::room::Room;
use crate::window::sources::{TraceChoice, Trouble};
use crate::window::theme::size;
use crate::window::widgets;
use egui::{Context, Frame, Margin, Panel, RichText, Ui};
use lab::recorded::Recorded;
use lab::run::{NamedPolicy, RunResult};
use model::time::Time;
use model::units::Dimension;
use std::path::PathBuf;

/// Where a replay starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayStart {
    /// At an instant, at rest.
    At(Time),
    /// At a share of the run, at rest.
    Share(f64),
    /// At an instant, playing.
    PlayingAt(Time),
}

/// Where the replay of a run that the user started is shown at first: a grid is empty at its start.
const MIDDLE: ReplayStart = ReplayStart::Share(0.5);
/// The same of the sample run, which is busy there.
const BUSY: ReplayStart = ReplayStart::Share(0.6);

/// The least size of a pane that can be read, in points.
const PANE_MIN: egui::Vec2 = egui::vec2(250.0, 120.0);

/// A replay being made ready.
struct Loading {
    title: String,
    job: Job<Result<Recorded, Trouble>>,
    start: ReplayStart,
}

/// The page's state.
pub struct LabPage {
    /// What is to be run.
    pub setup: SetupPanel,
    /// What came of the last run, one result a policy.
    pub results: Vec<RunResult>,
    /// The dimension that plots show.
    pub dimension: Dimension,
    first: usize,
    second: Option<usize>,
    replayed: Option<usize>,
    only_differences: bool,
    heatmap: Heatmap,
    running: Option<Job<Result<Vec<RunResult>, Trouble>>>,
    loading: Option<Loading>,
    opening_policy: Option<Job<Result<NamedPolicy, Trouble>>>,
    exporting: Option<(PathBuf, Job<Result<(), Trouble>>)>,
    next_start: ReplayStart,
}

impl Default for LabPage {
    fn default() -> Self {
        Self {
            setup: SetupPanel::default(),
            results: Vec::new(),
            dimension: Dimension::Cpu,
            first: 0,
            second: None,
            replayed: None,
            only_differences: false,
            heatmap: Heatmap::default(),
            running: None,
            loading: None,
            opening_policy: None,
            exporting: None,
            next_start: MIDDLE,
        }
    }
}

impl LabPage {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        Panel::left("lab setup")
            .default_size(if ui.available_width() < size::NARROW_PAGE {
                size::SIDE_PANEL_MIN
            } else {
                size::SIDE_PANEL
            })
            .min_size(size::SIDE_PANEL_MIN)
            .max_size(ui.available_width() * size::SIDE_PANEL_SHARE)
            .frame(Frame::NONE.inner_margin(Margin {
                right: 12,
                ..Margin::ZERO
            }))
            .show(ui, |ui| {
                let share = self.running.as_ref().map(|job| job.progress().share());
                self.setup.ui(ui, room, share);
            });
        egui::CentralPanel::no_frame()
            .frame(Frame::NONE.inner_margin(Margin {
                left: 12,
                ..Margin::ZERO
            }))
            .show(ui, |ui| {
                if self.results.is_empty() {
                    let title = if self.running.is_some() {
                        "Running…"
                    } else {
                        "Nothing has been run yet"
                    };
                    widgets::empty_state(
                        ui,
                        title,
                        "Choose a trace, a grid and policies, then Run",
                    );
                } else {
                    self.outcome(ui, room);
                }
            });
    }

    /// Carries out a command of this page.
    pub fn command(&mut self, ctx: &Context, command: &Command, room: &mut Room<'_>) {
        match command {
            Command::Run => self.run(ctx, room),
            _ => room.player.command(command),
        }
    }

    /// Chooses a trace file.
    pub fn choose_trace(&mut self, path: PathBuf) {
        self.setup.trace = TraceChoice::File(path, None);
    }

    fn outcome(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        self.pickers(ui, room);
        ui.add_space(size::GAP);
        Panel::bottom("lab table")
            .default_size((ui.available_height() * 0.38).min(260.0))
            .min_size(90.0)
            .max_size(ui.available_height() * 0.6)
            .resizable(true)
            .frame(Frame::NONE.inner_margin(Margin {
                top: 8,
                ..Margin::ZERO
            }))
            .show(ui, |ui| {
                ui.horizontal(|ui| {
                    ui.label(RichText::new("Summary").strong());
                    ui.checkbox(&mut self.only_differences, "Only differences");
                });
                table::summary(ui, &self.results, self.only_differences);
            });
        Panel::bottom("lab replay")
            .frame(Frame::NONE.inner_margin(Margin::symmetric(0, 8)))
            .show_separator_line(false)
            .show(ui, |ui| room.player.ui(ui));
        egui::CentralPanel::no_frame().show(ui, |ui| self.panes(ui, room));
    }

    fn pickers(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        let names: Vec<String> = self
            .results
            .iter()
            .map(|result| result.policy.name.clone())
            .collect();
        let narrow = ui.available_width() < size::NARROW_PAGE;
        ui.horizontal(|ui| {
            widgets::line_sample(ui, room.palette.series[0], false);
            result_picker(ui, "First policy", &mut self.first, &names);
            if names.len() > 1 {
                ui.add_space(size::GAP);
                widgets::line_sample(ui, room.palette.series[1], true);
                let mut second = self.second.map_or(0, |second| second + 1);
                let mut choices = vec!["nothing".to_owned()];
                choices.extend(names.iter().cloned());
                result_picker(ui, "Second policy", &mut second, &choices);
                self.second = second.checked_sub(1);
            }
            if !narrow {
                ui.separator();
                self.dimension_picker(ui);
            }
        });
        if narrow {
            ui.horizontal_wrapped(|ui| self.dimension_picker(ui));
        }
    }

    fn dimension_picker(&mut self, ui: &mut Ui) {
        for dimension in Dimension::ALL {
            let title = dimension_title(dimension);
            let button = ui.selectable_label(self.dimension == dimension, title);
            if button
                .on_hover_text(format!("Plot the share of {title}"))
                .clicked()
            {
                self.dimension = dimension;
            }
        }
    }

    /// What is replayed, and the way to the large heatmap.
    fn replay_head(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        let names: Vec<String> = self
            .results
            .iter()
            .map(|result| result.policy.name.clone())
            .collect();
        let before = self.replayed.unwrap_or(0);
        let mut replayed = before;
        ui.horizontal(|ui| {
            // From the right, so that the picker takes the room that the button leaves.
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if let Some(description) = Command::ShowOnGrid.describe() {
                    let button = ui.button("Show on grid").on_hover_text(description.tooltip);
                    if button.clicked() {
                        room.ask(Command::ShowOnGrid);
                    }
                }
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.label(RichText::new("Replay").strong());
                    result_picker(ui, "Replayed policy", &mut replayed, &names);
                });
            });
        });
        if replayed != before {
            let at = room.player.at();
            let start = if room.player.is_playing() {
                ReplayStart::PlayingAt(at)
            } else {
                ReplayStart::At(at)
            };
            self.replay(&ui.ctx().clone(), replayed, start, room);
        }
    }

    /// Five plots and the heatmap of the replayed instant, three in a row, or two that scroll in a small window.
    fn panes(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        let columns = match ui.available_width() {
            width if width < 3.0 * PANE_MIN.x => 2,
            _ => 3,
        };
        let rows = (plots::Plotted::ALL.len() + 1).div_ceil(columns) as f32;
        let gap = size::GROUP_GAP;
        let height = ui.available_height().max(rows * (PANE_MIN.y + gap) - gap);
        egui::ScrollArea::vertical()
            .id_salt("lab panes")
            .show(ui, |ui| {
                let whole = egui::vec2(ui.available_width(), height);
                let (rect, _) = ui.allocate_exact_size(whole, egui::Sense::hover());
                self.tiles(
                    ui,
                    room,
                    &Tiles {
                        rect,
                        columns,
                        rows,
                        gap,
                    },
                );
            });
    }

    fn tiles(&mut self, ui: &mut Ui, room: &mut Room<'_>, tiles: &Tiles) {
        let compared = Compared {
            first: &self.results[self.first.min(self.results.len() - 1)],
            second: self.second.and_then(|second| self.results.get(second)),
            dimension: self.dimension,
            now: room.player.is_loaded().then(|| room.player.at()),
            palette: room.palette,
        };
        let mut seek = None;
        for (place, plot) in plots::Plotted::ALL.into_iter().enumerate() {
            let rect = tiles.place(place);
            ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
                seek = seek.or(plots::plot(ui, plot, &compared));
            });
        }
        let rect = tiles.place(plots::Plotted::ALL.len());
        ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
            self.replay_head(ui, room);
            small_heatmap(ui, &mut self.heatmap, room);
        });
        if let Some(at) = seek {
            room.player.seek(at);
        }
    }
}

/// Panes side by side in a rectangle.
struct Tiles {
    rect: egui::Rect,
    columns: usize,
    rows: f32,
    gap: f32,
}

impl Tiles {
    fn place(&self, place: usize) -> egui::Rect {
        let gaps = egui::vec2((self.columns - 1) as f32, self.rows - 1.0) * self.gap;
        let pane = (self.rect.size() - gaps) / egui::vec2(self.columns as f32, self.rows);
        let step = pane + egui::Vec2::splat(self.gap);
        let at = egui::vec2((place % self.columns) as f32, (place / self.columns) as f32);
        egui::Rect::from_min_size(self.rect.min + step * at, pane)
    }
}

fn small_heatmap(ui: &mut Ui, heatmap: &mut Heatmap, room: &mut Room<'_>) {
    let Some(view) = room.player.view().cloned() else {
        widgets::empty_state(ui, "No replay yet", "");
        return;
    };
    let ask = Ask {
        view: &view,
        grouping: room.kept.grouping,
        look: Look {
            metric: room.kept.metric,
            map: room.kept.colour_map,
            search: 0,
        },
        hits: None,
        chosen: None,
        name: "Replayed heatmap",
    };
    let (response, answer) = heatmap.ui(ui, &ask);
    if let Some(node) = answer.hovered {
        hover(&response, &view, node);
    }
    if let Some(node) = answer.chosen {
        room.ask(Command::Show(crate::window::kept::Page::Grid));
        room.ask(Command::Reveal(node));
    }
}

fn result_picker(ui: &mut Ui, name: &str, chosen: &mut usize, choices: &[String]) {
    let text = choices.get(*chosen).map_or("", String::as_str);
    let combo = egui::ComboBox::from_id_salt(name)
        .width(ui.available_width().min(110.0))
        .truncate()
        .selected_text(text)
        .show_ui(ui, |ui| {
            for (place, choice) in choices.iter().enumerate() {
                ui.selectable_value(chosen, place, choice);
            }
        });
    combo
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::ComboBox, true, name));
}
