//! The Grid page: the open grid as a heatmap, with search, legend, inspector, and the time slider of a replay.

pub mod actions;
mod choices;
pub mod heatmap;
pub mod inspector;
pub mod layout;
pub mod legend;
mod live;
pub mod metric;
pub mod painting;
pub mod search;

use crate::window::command::Command;
use crate::window::grid::choices::{grouping_picker, map_picker, open_menu, welcome};
use crate::window::grid::heatmap::{Answer, Ask, Heatmap, ZOOM_STEP};
use crate::window::grid::inspector::Totals;
use crate::window::grid::metric::{Metric, grouped};
use crate::window::grid::painting::Look;
use crate::window::grid::search::Query;
use crate::window::room::Room;
use crate::window::theme::{Palette, size};
use egui::{Frame, Id, Key, Margin, Panel, PopupAnchor, RichText, ScrollArea, Tooltip, Ui};
use model::id::NodeId;
use model::view::View;
use std::sync::Arc;
use strum::VariantArray;

/// What was searched for, and what was found.
#[derive(Debug, Default)]
struct Search {
    text: String,
    query: Query,
    hits: Vec<bool>,
    count: usize,
    /// Rises with every change, for the painting.
    version: u64,
    of: Option<Arc<View>>,
}

/// The page's state.
#[derive(Debug, Default)]
pub struct GridPage {
    /// The picture.
    pub heatmap: Heatmap,
    /// The chosen node.
    pub chosen: Option<NodeId>,
    search: Search,
    focus_search: bool,
    totals: Option<(Arc<View>, Totals)>,
    live: live::LivePart,
}

impl GridPage {
    /// Draws the page.
    pub fn ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        let Some(view) = room.view.cloned() else {
            welcome(ui, room);
            return;
        };
        self.chosen = self.chosen.filter(|node| node.index() < view.nodes.len());
        self.update_search(&view);
        self.toolbar(ui, room, &view);
        ui.add_space(size::GAP);
        self.below(ui, room);
        if !room.kept.inspector_hidden {
            Panel::right("inspector")
                .default_size(size::SIDE_PANEL)
                .min_size(size::SIDE_PANEL_MIN)
                .max_size(ui.available_width() * size::SIDE_PANEL_SHARE)
                .frame(Frame::NONE.inner_margin(Margin {
                    left: 12,
                    ..Margin::ZERO
                }))
                .show(ui, |ui| self.inspector(ui, &view, room));
        }
        egui::CentralPanel::no_frame()
            .frame(Frame::NONE.inner_margin(Margin {
                right: 8,
                ..Margin::ZERO
            }))
            .show(ui, |ui| self.picture(ui, room, &view));
        self.questions(ui.ctx(), room);
    }

    /// Carries out a command of this page.
    pub fn command(&mut self, command: &Command, room: &mut Room<'_>) {
        match command {
            Command::Find => self.focus_search = true,
            Command::Fit => self.heatmap.fit(),
            Command::ZoomIn => self.heatmap.zoom_by(ZOOM_STEP),
            Command::ZoomOut => self.heatmap.zoom_by(1.0 / ZOOM_STEP),
            Command::ToggleInspector => room.kept.inspector_hidden ^= true,
            Command::Reveal(node) => self.choose(*node),
            _ => {}
        }
    }

    fn choose(&mut self, node: NodeId) {
        self.chosen = Some(node);
        self.heatmap.reveal(node);
    }

    fn toolbar(&mut self, ui: &mut Ui, room: &mut Room<'_>, view: &View) {
        let narrow = ui.available_width() < size::NARROW_TOOLBAR;
        ui.horizontal(|ui| {
            for metric in Metric::VARIANTS {
                let chosen = *metric == room.kept.metric;
                let button = ui.selectable_label(chosen, metric.title());
                if button
                    .on_hover_text(format!("Colour nodes by {}", metric.title()))
                    .clicked()
                {
                    room.kept.metric = *metric;
                }
            }
            ui.separator();
            grouping_picker(ui, &mut room.kept.grouping);
            if !narrow {
                self.search_row(ui, room, view, None);
            }
        });
        let title = (room.live.is_none() && room.player.is_loaded())
            .then(|| room.player.title().to_owned());
        if narrow {
            ui.horizontal(|ui| self.search_row(ui, room, view, title.as_deref()));
        }
        ui.horizontal(|ui| {
            if let Some(painting) = self.heatmap.painting() {
                legend::legend(
                    ui,
                    room.kept.metric,
                    room.kept.colour_map,
                    painting.spread(),
                );
            } else {
                ui.add_space(44.0);
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                map_picker(ui, &mut room.kept.colour_map);
                for (text, command) in [
                    ("Fit", Command::Fit),
                    ("−", Command::ZoomOut),
                    ("+", Command::ZoomIn),
                ] {
                    let Some(description) = command.describe() else {
                        continue;
                    };
                    let button = ui.button(text).on_hover_text(description.tooltip);
                    button.widget_info(|| {
                        egui::WidgetInfo::labeled(egui::WidgetType::Button, true, description.text)
                    });
                    if button.clicked() {
                        room.ask(command);
                    }
                }
                if let Some(title) = title.filter(|_| !narrow) {
                    elided(ui, &title);
                }
            });
        });
    }

    /// The search box, and at the right the menu of grids, with the title of the replay between them.
    fn search_row(&mut self, ui: &mut Ui, room: &mut Room<'_>, view: &View, title: Option<&str>) {
        self.search_box(ui, view);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            open_menu(ui, room);
            if let Some(title) = title {
                elided(ui, title);
            }
        });
    }

    fn search_box(&mut self, ui: &mut Ui, view: &View) {
        let field = ui.add(
            egui::TextEdit::singleline(&mut self.search.text)
                .id(Id::new("node search"))
                .hint_text("Find nodes")
                .margin(Margin::symmetric(8, 4))
                .desired_width(210.0),
        );
        field.widget_info(|| {
            let text = self.search.text.clone();
            egui::WidgetInfo {
                current_text_value: Some(text),
                ..egui::WidgetInfo::labeled(egui::WidgetType::TextEdit, true, "Find nodes")
            }
        });
        if std::mem::take(&mut self.focus_search) {
            field.request_focus();
        }
        if field.changed() {
            self.search.query = Query::parse(&self.search.text);
            self.search.of = None;
            self.update_search_now(view);
        }
        let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        field.on_hover_text(search::HELP);
        if entered && !self.search.query.is_empty() {
            self.next_hit();
            self.focus_search = true;
        }
        if let Some(fault) = self.search.query.faults().first() {
            let bad = Palette::of(ui.ctx()).bad;
            let text = RichText::new(fault).color(bad);
            ui.add(egui::Label::new(text).truncate())
                .on_hover_text(search::HELP);
        }
        if !self.search.query.is_empty() {
            let text = format!(
                "{} of {}",
                grouped(self.search.count as u64),
                grouped(view.nodes.len() as u64)
            );
            ui.label(RichText::new(text).weak());
            if ui
                .small_button("Clear")
                .on_hover_text("Show all nodes again")
                .clicked()
            {
                self.search = Search {
                    version: self.search.version + 1,
                    ..Search::default()
                };
            }
        }
    }

    /// Chooses the next node found after the chosen one, round and round.
    fn next_hit(&mut self) {
        let nodes = self.search.hits.len();
        let start = self.chosen.map_or(0, |node| node.index() + 1);
        let next = (0..nodes)
            .map(|step| (start + step) % nodes)
            .find(|node| self.search.hits[*node]);
        if let Some(node) = next {
            self.choose(NodeId(node as u32));
        }
    }

    fn update_search(&mut self, view: &Arc<View>) {
        if self.search.query.is_empty() {
            return;
        }
        let current = self
            .search
            .of
            .as_ref()
            .is_some_and(|of| Arc::ptr_eq(of, view));
        if !current {
            self.update_search_now(view);
            self.search.of = Some(Arc::clone(view));
        }
    }

    fn update_search_now(&mut self, view: &View) {
        let hits = self.search.query.hits(view);
        if hits != self.search.hits || self.search.of.is_none() {
            self.search.count = hits.iter().filter(|hit| **hit).count();
            self.search.hits = hits;
            self.search.version += 1;
        }
    }

    fn picture(&mut self, ui: &mut Ui, room: &mut Room<'_>, view: &Arc<View>) {
        let searching = !self.search.query.is_empty();
        let ask = Ask {
            view,
            grouping: room.kept.grouping,
            look: Look {
                metric: room.kept.metric,
                map: room.kept.colour_map,
                search: self.search.version,
            },
            hits: searching.then_some(self.search.hits.as_slice()),
            chosen: self.chosen,
            name: "Heatmap",
        };
        let (response, answer) = self.heatmap.ui(ui, &ask);
        if let Some(node) = answer.hovered {
            hover(&response, view, node);
        }
        self.take(answer);
    }

    fn take(&mut self, answer: Answer) {
        if answer.chosen.is_some() {
            self.chosen = answer.chosen;
        } else if answer.cleared {
            self.chosen = None;
        }
    }

    fn inspector(&mut self, ui: &mut Ui, view: &Arc<View>, room: &mut Room<'_>) {
        ui.take_available_width();
        let mut wanted = None;
        ScrollArea::vertical()
            .id_salt("inspector")
            .show(ui, |ui| match self.chosen {
                Some(node) => {
                    let live = room.live.map(|live| &**live);
                    let answer = inspector::node(ui, view, node, live, &mut self.live.vm);
                    self.chosen = self.chosen.filter(|_| !answer.closed);
                    wanted = answer.wanted;
                }
                None => {
                    let fresh = self
                        .totals
                        .as_ref()
                        .is_none_or(|(of, _)| !Arc::ptr_eq(of, view));
                    if fresh {
                        self.totals = Some((Arc::clone(view), Totals::of(view)));
                    }
                    let clicked = self
                        .totals
                        .as_ref()
                        .and_then(|(_, totals)| inspector::grid_summary(ui, view, totals));
                    if let Some(node) = clicked {
                        self.choose(node);
                    }
                }
            });
        if let Some(wanted) = wanted {
            self.want(wanted, room);
        }
    }
}

/// A weak line that is shortened with `…` where it has not enough room; all of it stands in its tooltip.
fn elided(ui: &mut Ui, text: &str) {
    ui.add(egui::Label::new(RichText::new(text).weak()).truncate());
}

/// Shows at once what is under the pointer; a heatmap is read by moving over it.
pub fn hover(response: &egui::Response, view: &View, node: NodeId) {
    Tooltip::always_open(
        response.ctx.clone(),
        response.layer_id,
        response.id.with("node tooltip"),
        PopupAnchor::Pointer,
    )
    .gap(14.0)
    .show(|ui| inspector::tooltip(ui, view, node));
}
