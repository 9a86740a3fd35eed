//! Rows of the inspector: a label and a field that edits one or several components at once.

use super::act::Act;
use super::document::Gesture;
use super::edit::{Edit, Field};
use super::numbers::{MIXED, Unit, number};
use super::typing::{Take, Typing, text_field};
use crate::window::theme::Palette;
use egui::{Align2, Response, RichText, Sense, TextStyle, Ui, WidgetInfo, WidgetType, vec2};
use model::design::Component;

/// Width of the labels.
const LABEL_WIDTH: f32 = 128.0;
/// Width of the menu of known words beside a field.
const MENU_WIDTH: f32 = 34.0;

/// The components that the rows edit.
pub struct Fields<'a> {
    /// Where rows go.
    pub ui: &'a mut Ui,
    /// Their places in the design.
    pub places: &'a [usize],
    /// The components themselves, at least one.
    pub components: &'a [&'a Component],
    /// The field that is typed in.
    pub typing: &'a mut Typing,
    /// What the user did.
    pub acts: &'a mut Vec<Act>,
}

impl Fields<'_> {
    /// A number.
    pub fn number(
        &mut self,
        label: &str,
        unit: Unit,
        value_of: impl Fn(&Component) -> u32,
        field_of: impl Fn(&Component, u32) -> Field,
    ) {
        let value = value_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| value_of(component) != value);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let response = row(ui, label, |ui| {
            number(ui, value, unit, mixed, |new| {
                for (&place, component) in places.iter().zip(*components) {
                    acts.push(within(label, places, vec![place], field_of(component, new)));
                }
            })
        });
        if response.drag_stopped() || response.lost_focus() {
            acts.push(Act::EndGesture);
        }
    }

    /// A line of text; what `parse` refuses is not taken over, and its reason is shown.
    pub fn text(
        &mut self,
        label: &str,
        hint: &str,
        take: Take,
        text_of: impl Fn(&Component) -> String,
        parse: impl Fn(&str) -> Result<Field, String>,
    ) -> Response {
        self.text_with(label, (hint, take), &[], text_of, parse)
    }

    /// A list, written with commas; `known` words can be added from a menu.
    pub fn list(
        &mut self,
        label: &str,
        hint: &str,
        known: &[String],
        list_of: impl Fn(&Component) -> &Vec<String>,
        field_of: impl Fn(Vec<String>) -> Field,
    ) {
        let text_of = |component: &Component| list_of(component).join(", ");
        self.text_with(label, (hint, Take::AtOnce), known, text_of, |text| {
            Ok(field_of(split(text)))
        });
    }

    fn text_with(
        &mut self,
        label: &str,
        (hint, take): (&str, Take),
        known: &[String],
        text_of: impl Fn(&Component) -> String,
        parse: impl Fn(&str) -> Result<Field, String>,
    ) -> Response {
        let written = text_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| text_of(component) != written);
        let (shown, hint) = if mixed {
            ("", MIXED)
        } else {
            (written.as_str(), hint)
        };
        let Self {
            ui,
            places,
            typing,
            acts,
            ..
        } = self;
        let id = ui.id().with((label, *places));
        let mut added = None;
        let mut new = None;
        let response = row(ui, label, |ui| {
            let menu = if known.is_empty() { 0.0 } else { MENU_WIDTH };
            let width = ui.available_width() - menu;
            let (response, text) = text_field(ui, id, width, (hint, shown), typing, acts);
            new = text;
            added = known_menu(ui, label, known, shown);
            response
        });
        if let Some(parsed) = new.as_deref().map(&parse) {
            match (take, parsed) {
                (Take::AtOnce, Ok(field)) => {
                    acts.push(within(label, places, places.to_vec(), field))
                }
                (Take::AtOnce, Err(_)) => {}
                (Take::WhenLeft, parsed) => {
                    let components = places.to_vec();
                    typing.when_left(parsed.map(|field| Edit::Change { components, field }));
                }
            }
        }
        if let Some(Ok(field)) = added.map(|word| parse(&joined(shown, &word))) {
            acts.push(Act::Edit(Edit::Change {
                components: places.to_vec(),
                field,
            }));
        }
        if let Some(Err(reason)) = typing.text_of(id).map(|text| parse(text)) {
            ui.label(
                RichText::new(reason)
                    .small()
                    .color(Palette::of(ui.ctx()).bad),
            );
        }
        response
    }

    /// One of several words.
    pub fn choice<T: Clone + PartialEq>(
        &mut self,
        label: &str,
        options: &[(T, String)],
        value_of: impl Fn(&Component) -> T,
        field_of: impl Fn(&Component, T) -> Field,
    ) {
        let value = value_of(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| value_of(component) != value);
        let value = (!mixed).then_some(value);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let Some(chosen) = choice(ui, label, options, value.as_ref(), MIXED) else {
            return;
        };
        for (&place, component) in places.iter().zip(*components) {
            acts.push(within(
                label,
                places,
                vec![place],
                field_of(component, chosen.clone()),
            ));
        }
        acts.push(Act::EndGesture);
    }

    /// Yes or no.
    pub fn switch(
        &mut self,
        label: &str,
        is_on: impl Fn(&Component) -> bool,
        field_of: impl Fn(&Component, bool) -> Field,
    ) {
        let mut on = is_on(self.components[0]);
        let mixed = self
            .components
            .iter()
            .any(|component| is_on(component) != on);
        let Self {
            ui,
            places,
            components,
            acts,
            ..
        } = self;
        let response = row(ui, label, |ui| {
            ui.add(egui::Checkbox::without_text(&mut on).indeterminate(mixed))
        });
        if response.changed() {
            for (&place, component) in places.iter().zip(*components) {
                acts.push(within(label, places, vec![place], field_of(component, on)));
            }
            acts.push(Act::EndGesture);
        }
    }
}

/// A label and a field, which is called as the label says.
pub fn row(ui: &mut Ui, label: &str, add: impl FnOnce(&mut Ui) -> Response) -> Response {
    ui.horizontal(|ui| {
        let height = ui.spacing().interact_size.y;
        let (rect, caption) = ui.allocate_exact_size(vec2(LABEL_WIDTH, height), Sense::hover());
        caption.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, label));
        let font = TextStyle::Body.resolve(ui.style());
        let colour = ui.visuals().text_color();
        ui.painter()
            .text(rect.left_center(), Align2::LEFT_CENTER, label, font, colour);
        add(ui).labelled_by(caption.id)
    })
    .inner
}

/// One of several words, with `otherwise` where none is chosen; the one that was chosen now.
pub fn choice<T: Clone + PartialEq>(
    ui: &mut Ui,
    label: &str,
    options: &[(T, String)],
    value: Option<&T>,
    otherwise: &str,
) -> Option<T> {
    let named = options.iter().find(|(option, _)| Some(option) == value);
    let shown = named.map_or(otherwise, |(_, text)| text.as_str());
    let mut new = None;
    row(ui, label, |ui| {
        egui::ComboBox::from_id_salt(label)
            .selected_text(shown)
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                for (option, text) in options {
                    let chosen = Some(option) == value;
                    if ui.selectable_label(chosen, text).clicked() && !chosen {
                        new = Some(option.clone());
                    }
                }
            })
            .response
    });
    new
}

/// The words of a list written with commas.
pub fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn joined(shown: &str, word: &str) -> String {
    if shown.is_empty() {
        word.to_owned()
    } else {
        format!("{shown}, {word}")
    }
}

fn within(label: &str, all: &[usize], components: Vec<usize>, field: Field) -> Act {
    Act::EditWithin(
        Edit::Change { components, field },
        Gesture(format!("{label} of {all:?}")),
    )
}

/// A menu of words that the grid knows and the list lacks.
fn known_menu(ui: &mut Ui, label: &str, known: &[String], shown: &str) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let had = split(shown);
    let mut chosen = None;
    let menu = ui.menu_button("+", |ui| {
        for word in known.iter().filter(|word| !had.contains(word)) {
            if ui.button(word).clicked() {
                chosen = Some(word.clone());
            }
        }
    });
    let name = format!("{label} of the open grid");
    menu.response
        .widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Button, true, &name));
    chosen
}
