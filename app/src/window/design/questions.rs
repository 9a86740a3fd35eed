//! What the page asks before it goes on: about unsaved changes, leftovers, and where a link is to go.

use super::act::{Act, Source};
use super::card::kind_colour;
use super::edit::{Edit, component_place};
use super::icons::icon;
use super::storage::Leftover;
use crate::window::theme::{Palette, size, title_style};
use egui::{Context, Id, Key, Modal, RichText, Sense, Ui, vec2};
use model::design::Design;

/// What the user said about unsaved changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Save them first.
    Save,
    /// Give them up.
    Discard,
    /// Stay.
    Cancel,
}

/// What the design gives way to.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// Another design.
    Open(Source),
    /// The end of the window.
    Leave,
}

/// Asks what to do with unsaved changes before the design gives way.
pub fn unsaved_ui(ctx: &Context, name: &str, goal: &Goal) -> Option<Answer> {
    let mut answer = None;
    let modal = Modal::new(Id::new("unsaved design")).show(ctx, |ui| {
        ui.set_width(size::DIALOG_WIDTH);
        title(ui, &format!("Save the changes to {name}?"));
        let next = match goal {
            Goal::Leave => "The window closes.".to_owned(),
            Goal::Open(Source::Empty) => "A new design takes its place.".to_owned(),
            Goal::Open(Source::Sample(_)) => "A sample takes its place.".to_owned(),
            Goal::Open(Source::File(path)) => format!("{} takes its place.", path.display()),
        };
        ui.label(next);
        ui.add_space(size::GROUP_GAP);
        ui.horizontal(|ui| {
            for (text, said) in [
                ("Save changes", Answer::Save),
                ("Discard changes", Answer::Discard),
                ("Keep editing", Answer::Cancel),
            ] {
                if ui.button(text).clicked() {
                    answer = Some(said);
                }
            }
        });
    });
    answer.or(modal.should_close().then_some(Answer::Cancel))
}

/// Offers what an earlier session left unsaved; what to do with the first of it.
pub fn leftover_ui(ui: &mut Ui, leftover: &Leftover) -> Option<Answer> {
    let palette = Palette::of(ui.ctx());
    let mut answer = None;
    egui::Frame::NONE
        .fill(palette.accent_soft)
        .corner_radius(f32::from(size::CORNER))
        .inner_margin(8)
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                let name = if leftover.design.name.is_empty() {
                    "a design without a name"
                } else {
                    &leftover.design.name
                };
                let whence = leftover
                    .origin
                    .as_ref()
                    .map_or_else(String::new, |path| format!(" ({})", path.display()));
                ui.label(
                    RichText::new(format!(
                        "An earlier session left unsaved changes to {name}{whence}, {} components",
                        leftover.design.components.len()
                    ))
                    .color(palette.text_strong),
                );
                for (text, said) in [
                    ("Recover", Answer::Save),
                    ("Discard recovery", Answer::Discard),
                    ("Later", Answer::Cancel),
                ] {
                    if ui.button(text).clicked() {
                        answer = Some(said);
                    }
                }
            });
        });
    answer
}

/// Where the selected components are to be linked to.
#[derive(Clone, Debug)]
pub struct LinkQuestion {
    from: Vec<usize>,
    filter: String,
    fresh: bool,
}

impl LinkQuestion {
    /// Asks for links from these components.
    pub fn new(from: Vec<usize>) -> Self {
        Self {
            from,
            filter: String::new(),
            fresh: true,
        }
    }

    /// Draws it; whether it is to stay.
    pub fn ui(&mut self, ctx: &Context, design: &Design, acts: &mut Vec<Act>) -> bool {
        let names: Vec<&str> = self
            .from
            .iter()
            .filter_map(|&place| Some(design.components.get(place)?.name.as_str()))
            .collect();
        let mut chosen = None;
        let modal = Modal::new(Id::new("link question")).show(ctx, |ui| {
            ui.set_width(size::SIDE_PANEL);
            title(ui, &format!("Link {} to", names.join(", ")));
            let field = ui.add(
                egui::TextEdit::singleline(&mut self.filter)
                    .hint_text("Name of a component")
                    .desired_width(f32::INFINITY),
            );
            field
                .widget_info(|| egui::WidgetInfo::text_edit(true, "", &self.filter, "Link target"));
            if std::mem::take(&mut self.fresh) {
                field.request_focus();
            }
            let fitting: Vec<usize> = (0..design.components.len())
                .filter(|place| !self.from.contains(place))
                .filter(|&place| design.components[place].name.contains(self.filter.trim()))
                .collect();
            if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                chosen = fitting.first().copied();
            }
            egui::ScrollArea::vertical()
                .max_height(280.0)
                .show(ui, |ui| {
                    for place in fitting {
                        if target(ui, design, place) {
                            chosen = Some(place);
                        }
                    }
                });
        });
        if let Some(to) = chosen {
            for name in names {
                if let Some(from) = component_place(design, name) {
                    acts.push(Act::Edit(Edit::Link { from, to }));
                }
            }
        }
        chosen.is_none() && !modal.should_close()
    }
}

fn target(ui: &mut Ui, design: &Design, place: usize) -> bool {
    let component = &design.components[place];
    ui.horizontal(|ui| {
        let palette = Palette::of(ui.ctx());
        let (rect, _) = ui.allocate_exact_size(vec2(18.0, 18.0), Sense::hover());
        ui.painter().extend(icon(
            component.kind,
            rect,
            kind_colour(palette, component.kind),
        ));
        ui.button(&component.name).clicked()
    })
    .inner
}

fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).text_style(title_style()).strong());
    ui.add_space(size::GAP);
}
