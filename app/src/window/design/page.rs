//! The Design page's state, and how its parts hang together.
//!
//! - `commands`: what commands do
//! - `files`: open, save, recovery
//! - `deploy`: on to the grid, and off it

mod commands;
mod deploy;
mod files;

use super::act::{Act, Source};
use super::canvas::Canvas;
use super::command::DesignCommand;
use super::document::Document;
use super::edit::Edit;
use super::inspector::{Inspector, Known};
use super::lower::{self, Tab};
use super::palette::palette_ui;
use super::plan_view::plan_ui;
use super::planning::Planning;
use super::problems::{Problem, problems};
use super::questions::{Goal, LinkQuestion};
use super::selection::Selection;
use super::storage::{Journal, Leftover};
use crate::window::command::Command;
use crate::window::files::Purpose;
use crate::window::room::Room;
use crate::window::theme::{Palette, size};
use egui::{Context, Frame, Panel, RichText, ScrollArea, Ui};
use model::grid::Grid;
use model::samples::DESIGNS;
use model::view::View;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A gesture that lasts longer than this, as long typing, is journalled before it ends.
const JOURNAL_SECONDS: f64 = 2.0;
/// Width of the palette.
const PALETTE_WIDTH: f32 = 190.0;
/// Width of the palette where it shows icons alone.
const PALETTE_FOLDED: f32 = 68.0;
/// The widest inspector: the canvas needs the room.
const INSPECTOR_MAX: f32 = 520.0;
/// Around the contents of the panels.
const PANEL_MARGIN: f32 = 10.0;

/// The page's whole state.
#[derive(Debug, Default)]
pub struct DesignPage {
    document: Document,
    problems: Vec<Problem>,
    canvas: Canvas,
    inspector: Inspector,
    planning: Planning,
    deploying: deploy::Deploying,
    tab: Tab,
    known: (Option<Arc<Grid>>, Known),
    /// The revision that problems and canvas show.
    shown: Option<u64>,
    journal: Option<Journal>,
    journalled: (u64, f64),
    leftovers: Vec<Leftover>,
    /// What the design gives way to, once it is clear what becomes of unsaved changes.
    next: Option<Next>,
    link: Option<LinkQuestion>,
    /// The user gave up unsaved changes to leave.
    left: bool,
}

/// What waits for an answer about unsaved changes.
#[derive(Clone, Debug)]
struct Next {
    goal: Goal,
    /// Whether the design is being saved under a name that is still asked for.
    saving: bool,
}

impl DesignPage {
    /// A page that keeps unsaved changes in a folder, and offers those that are left there.
    pub fn with_recovery(folder: PathBuf) -> Self {
        let journal = Journal::new(folder);
        Self {
            leftovers: journal.leftovers(),
            journal: Some(journal),
            ..Self::default()
        }
    }

    /// The design that is drawn, with its history.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// What is wrong with it.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The canvas.
    pub fn canvas(&self) -> &Canvas {
        &self.canvas
    }

    /// The plan.
    pub fn planning(&self) -> &Planning {
        &self.planning
    }

    /// Whether closing the window now would lose work.
    pub fn is_unsaved(&self) -> bool {
        self.document.is_modified() && !self.left
    }

    /// Asks what becomes of unsaved changes, then closes the window.
    pub fn leave(&mut self) {
        self.next = Some(Next {
            goal: Goal::Leave,
            saving: false,
        });
    }

    /// Draws the page; what it wants of the window goes through `room.ask`.
    pub fn ui(&mut self, ui: &mut Ui, room: &mut Room<'_>) {
        self.refresh();
        self.know(room);
        let mut acts = Vec::new();
        self.clipboard(ui, &mut acts);
        let frame = Frame::NONE
            .fill(room.palette.card)
            .inner_margin(PANEL_MARGIN);
        Panel::top("design toolbar")
            .frame(frame.inner_margin(size::GAP))
            .show(ui, |ui| {
                self.offer_leftover(ui);
                self.toolbar(ui, room, &mut acts);
            });
        let narrow = ui.available_width() < size::NARROW_PAGE;
        Panel::left("design palette")
            .exact_size(if narrow {
                PALETTE_FOLDED
            } else {
                PALETTE_WIDTH
            })
            .resizable(false)
            .frame(frame)
            .show(ui, |ui| {
                ScrollArea::vertical().show(ui, |ui| {
                    palette_ui(ui, self.canvas.free_middle(), &mut acts)
                });
            });
        Panel::right("design inspector")
            .default_size(size::SIDE_PANEL + if narrow { 0.0 } else { 40.0 })
            .min_size(size::SIDE_PANEL_MIN)
            .max_size(INSPECTOR_MAX.min(ui.available_width() * size::SIDE_PANEL_SHARE))
            .frame(frame)
            .show(ui, |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    self.inspector
                        .ui(ui, &self.document, &self.problems, &self.known.1, &mut acts);
                });
            });
        self.lower_panel(ui, room.view, &mut acts);
        let on_canvas = self.canvas.ui(ui, &self.document);
        acts.extend(on_canvas);
        self.questions(ui.ctx(), room, &mut acts);
        self.deploy_questions(ui.ctx(), room);
        let ctx = ui.ctx().clone();
        if !acts.is_empty() {
            ctx.request_repaint();
        }
        for act in acts {
            self.act(&ctx, act, room);
        }
    }

    /// Looks after jobs of this page; called before every frame, whichever page is shown.
    pub fn logic(&mut self, ctx: &Context, room: &mut Room<'_>) {
        self.refresh();
        self.planning.poll();
        self.deploy_when_planned(room);
        self.keep_journal(ctx, room);
    }

    /// Puts problems and canvas right after a change.
    fn refresh(&mut self) {
        let revision = self.document.revision();
        if self.shown != Some(revision) {
            self.problems = problems(self.document.design());
            self.canvas.update(&self.document, &self.problems);
            self.shown = Some(revision);
        }
    }

    fn know(&mut self, room: &Room<'_>) {
        let grid = room.view.map(|view| &view.grid);
        let same = match (&self.known.0, grid) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.known = (
                grid.cloned(),
                grid.map(|grid| Known::of(grid)).unwrap_or_default(),
            );
        }
    }

    fn act(&mut self, ctx: &Context, act: Act, room: &mut Room<'_>) {
        match act {
            Act::Select(selection) => self.document.select(selection),
            Act::Reveal(item) => {
                self.document.select(Selection::of(item));
                self.canvas.centre(item);
                self.canvas.focus();
            }
            Act::Edit(edit) => {
                let adds = matches!(edit, Edit::Add { .. });
                self.edit(&edit);
                if adds {
                    self.canvas.focus();
                }
            }
            Act::EditWithin(edit, gesture) => self.document.apply_within(&edit, gesture),
            Act::Refused(reason) => {
                let text = "The name stays as it was";
                room.notices.error(text, vec![reason]);
            }
            Act::EndGesture => self.document.end_gesture(),
            Act::Command(command) => self.command(ctx, command, room),
            Act::Open(source) => self.want(source, room),
        }
    }

    fn edit(&mut self, edit: &Edit) {
        self.document.apply(edit);
        self.inspector.forget();
        // The user went on drawing instead of naming the file.
        self.next.take_if(|next| next.saving);
    }

    fn toolbar(&mut self, ui: &mut Ui, room: &mut Room<'_>, acts: &mut Vec<Act>) {
        use DesignCommand as C;
        ui.horizontal_wrapped(|ui| {
            self.button(ui, C::New, "New", acts);
            if ui
                .button("Open…")
                .on_hover_text("Read a design from a TOML file")
                .clicked()
            {
                room.ask(Command::Ask(Purpose::OpenDesign));
            }
            ui.menu_button("Samples", |ui| {
                for (place, sample) in DESIGNS.iter().enumerate() {
                    if ui
                        .button(sample.title)
                        .on_hover_text(sample.about)
                        .clicked()
                    {
                        acts.push(Act::Open(Source::Sample(place)));
                    }
                }
            });
            self.button(ui, C::Save, "Save", acts);
            if ui
                .button("Save as…")
                .on_hover_text("Write the design to another file")
                .clicked()
            {
                room.ask(Command::Ask(Purpose::SaveDesign));
            }
            ui.separator();
            self.button(ui, C::Undo, "Undo", acts);
            self.button(ui, C::Redo, "Redo", acts);
            ui.separator();
            self.button(ui, C::Arrange, "Arrange", acts);
            self.button(ui, C::Fit, "Fit", acts);
            self.button(ui, C::ZoomOut, "−", acts);
            ui.label(format!("{:.0} %", self.canvas.viewport.zoom * 100.0));
            self.button(ui, C::ZoomIn, "+", acts);
            ui.separator();
            self.button(ui, C::Plan, "Plan on the open grid", acts);
            self.button(ui, C::Deploy, "Deploy", acts);
            self.button(ui, C::Withdraw, "Withdraw", acts);
            self.standing_ui(ui);
            ui.separator();
            ui.label(RichText::new(self.title()).strong());
        });
    }

    fn button(&self, ui: &mut Ui, command: DesignCommand, text: &str, acts: &mut Vec<Act>) {
        let description = command.describe();
        let key = description
            .shortcut
            .map(|key| format!(" ({})", ui.ctx().format_shortcut(&key)))
            .unwrap_or_default();
        let step = self.text_of(command);
        let tooltip = if step == description.text {
            description.tooltip
        } else {
            &step
        };
        let button = ui
            .add_enabled(self.is_enabled(command), egui::Button::new(text))
            .on_hover_text(format!("{tooltip}{key}"));
        if text.chars().count() == 1 {
            button.widget_info(|| {
                egui::WidgetInfo::labeled(egui::WidgetType::Button, true, description.text)
            });
        }
        if button.clicked() {
            acts.push(Act::Command(command));
        }
    }

    /// `shop •`: what the design is called, with a mark while it is not saved.
    pub fn title(&self) -> String {
        let name = &self.document.design().name;
        let file = self
            .document
            .path()
            .and_then(Path::file_name)
            .map(|file| file.to_string_lossy().into_owned());
        let shown = match (name.is_empty(), file) {
            (false, _) => name.clone(),
            (true, Some(file)) => file,
            (true, None) => "Untitled".to_owned(),
        };
        if self.document.is_modified() {
            format!("{shown} •")
        } else {
            shown
        }
    }

    fn lower_panel(&mut self, ui: &mut Ui, view: Option<&Arc<View>>, acts: &mut Vec<Act>) {
        let folded = self.tab == Tab::Folded;
        let panel = if folded {
            Panel::bottom("design tabs").resizable(false)
        } else {
            Panel::bottom("design lower")
                .resizable(true)
                .default_size(260.0)
                .min_size(90.0)
        };
        let frame = Frame::NONE
            .fill(Palette::of(ui.ctx()).card)
            .inner_margin(size::GAP);
        panel.frame(frame).show(ui, |ui| {
            lower::tabs_ui(ui, &mut self.tab, &self.problems, &self.planning);
            match self.tab {
                Tab::Folded => {}
                Tab::Problems => lower::problems_ui(ui, &self.problems, acts),
                Tab::Plan => plan_ui(ui, &mut self.planning, self.document.revision(), view, acts),
            }
        });
    }
}
